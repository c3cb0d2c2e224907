"""Only nodes whose attributes satisfy what the request asks of them."""

from pathfinder.domain.selectors import Requirement
from pathfinder.scheduling.fleet import Fleet, Mask
from pathfinder.scheduling.request import Ask


class Constraints:
    """Rejects nodes with the wrong labels, architecture, LXD version or capabilities."""

    name = "constraints"
    lasting = True
    wakes = frozenset({"node.registered", "node.updated"})

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes that satisfy every constraint."""
        mask: Mask = fleet.names.satisfy(ask.constraints)[fleet.row]
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """Which constraints they fail, and which of them no node at all could satisfy for want of such a label."""
        failed = [one for one in ask.constraints.requirements if self._fails(fleet, one, rejected)]
        words = ", ".join(str(one) for one in failed)
        unknown = sorted({one.key for one in failed if len(fleet.names.label(one.key)[1]) == 1})
        return f"node does not satisfy {words}" + (f" (no node has a label {', '.join(unknown)})" if unknown else "")

    @staticmethod
    def _fails(fleet: Fleet, one: Requirement, rejected: Mask) -> bool:
        codes, values = fleet.names.label(one.key)
        return not all(one.holds(values[code]) for code in set(codes[fleet.row[rejected]].tolist()))

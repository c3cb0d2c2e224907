"""Only nodes whose taints the request tolerates."""

from pathfinder.domain.asking import Effect, Taint
from pathfinder.scheduling.fleet import Fleet, Mask, NodeState
from pathfinder.scheduling.request import Ask


class Taints:
    """Rejects nodes with a NoSchedule taint that is not tolerated."""

    name = "taints"
    lasting = True
    wakes = frozenset({"node.registered", "node.updated"})

    def mask(self, fleet: Fleet, ask: Ask) -> Mask:
        """Nodes without such a taint."""
        key = ("taints", Effect.NO_SCHEDULE, ask.tolerations)
        mask: Mask = fleet.names.kept(key, bool, lambda node: not untolerated(node, ask, Effect.NO_SCHEDULE))[fleet.row]
        return mask

    def reason(self, fleet: Fleet, ask: Ask, rejected: Mask) -> str:
        """The taints that keep it away."""
        kept = fleet.names.kept(("taint words", ask.tolerations), object, lambda node: _words(node, ask))
        words = sorted({one for text in kept[fleet.row[rejected]].tolist() for one in text.split()})
        return f"node is tainted {', '.join(words[:5])}{' …' if len(words) > 5 else ''}"


def untolerated(node: NodeState, ask: Ask, effect: Effect) -> list[Taint]:
    """The node's taints of that effect that the request does not tolerate."""
    return [
        taint
        for taint in node.taints
        if taint.effect is effect and not any(one.tolerates(taint) for one in ask.tolerations)
    ]


def _words(node: NodeState, ask: Ask) -> str:
    return " ".join(str(taint) for taint in untolerated(node, ask, Effect.NO_SCHEDULE))

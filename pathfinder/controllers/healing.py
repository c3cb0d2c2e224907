"""Which silent nodes' stateless containers are placed anew now, and which wait.

One dead machine is an accident, a third of a cluster is more likely a switch, and all of it is more likely us.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

#: Up to this share of a cluster, or one node of it, may go at once without a brake.
FREE_SHARE = 1 / 3

#: Beyond it, nodes are healed one after the other, this far apart, counted from the death of each.
SLOW = timedelta(seconds=60)

#: Nodes that went longer ago than this are no sign any more that something larger is wrong.
RECENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Silent:
    """A node that has been DOWN for so long and whose lease has ended; `holding`: it has containers that wait to be
    placed anew.
    """

    id: UUID
    down_for: timedelta
    holding: bool


@dataclass(slots=True)
class Plan:
    """The nodes to heal now, and why others wait, in words."""

    heal: list[UUID] = field(default_factory=list)
    held: dict[UUID, str] = field(default_factory=dict)


def plan(silent: Sequence[Silent], nodes: int, faltering: int = 0) -> Plan:
    """What to do about the silent nodes of one cluster of `nodes` nodes.

    `faltering` are not DOWN yet, but overdue. Nodes that are cut off at one moment last spoke at different ones, so
    their leases end one after the other: who counted only those that are DOWN would heal the first before any brake.
    """
    result = Plan()
    recent = sorted((one for one in silent if one.holding or one.down_for < RECENT), key=lambda one: -one.down_for)
    holding = [one for one in recent if one.holding]
    gone = len(recent) + faltering
    if gone >= nodes:
        words = "Every node of the cluster is silent: nothing is placed anew until one is heard again."
        result.held = {one.id: words for one in holding}
    elif gone <= max(1, nodes * FREE_SHARE):
        result.heal = [one.id for one in holding]
    else:
        words = f"{gone} of {nodes} nodes went silent at once: they are healed one by one."
        for place, one in enumerate(recent, start=1):
            if one.holding and one.down_for >= place * SLOW:
                result.heal.append(one.id)
            elif one.holding:
                result.held[one.id] = words
    return result

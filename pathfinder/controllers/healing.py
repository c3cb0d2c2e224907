"""Which silent nodes' stateless containers are placed anew now, and which wait.

One dead machine is an accident, a third of a cluster is more likely a switch, and all of it is more likely us.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

#: Up to this share of a cluster, or one node of it, may go at once without a brake.
FREE_SHARE = 1 / 3

#: Beyond it, nodes are healed one after the other, this far apart, counted from the death of each.
SLOW = timedelta(seconds=60)

#: Nodes that went longer ago than this are no sign any more that something larger is wrong.
RECENT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Silent:
    """A node that is DOWN and whose lease has ended; `holding`: it has containers that wait to be placed anew."""

    id: UUID
    down_at: datetime
    holding: bool


@dataclass(slots=True)
class Plan:
    """The nodes to heal now, and why others wait, in words."""

    heal: list[UUID] = field(default_factory=list)
    held: dict[UUID, str] = field(default_factory=dict)


def plan(silent: Sequence[Silent], nodes: int, now: datetime) -> Plan:
    """What to do about the silent nodes of one cluster of `nodes` nodes."""
    result = Plan()
    recent = sorted((one for one in silent if one.holding or now - one.down_at < RECENT), key=lambda one: one.down_at)
    holding = [one for one in recent if one.holding]
    if len(recent) >= nodes:
        words = "Every node of the cluster is silent: nothing is placed anew until one is heard again."
        result.held = {one.id: words for one in holding}
    elif len(recent) <= max(1, nodes * FREE_SHARE):
        result.heal = [one.id for one in holding]
    else:
        words = f"{len(recent)} of {nodes} nodes went silent at once: they are healed one by one."
        for place, one in enumerate(recent, start=1):
            if one.holding and now - one.down_at >= place * SLOW:
                result.heal.append(one.id)
            elif one.holding:
                result.held[one.id] = words
    return result

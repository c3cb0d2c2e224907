"""Whom a deployment gives up when it shrinks: the least healthy, then the newest, then whose going balances best."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pathfinder.domain.lifecycle import RUNNING, Health, Status

#: Replicas that were made within this time of each other are equally new: balance decides among them.
SAME_AGE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Replica:
    """What is looked at of a replica. `node` and `zone` are None where it has none."""

    id: UUID
    hostname: str
    status: Status
    health: Health
    created_at: datetime
    node: str | None = None
    zone: str | None = None


def chosen(replicas: Sequence[Replica], count: int) -> list[Replica]:
    """`count` of them, in the order in which they go. The same replicas in any order give the same answer."""
    left = sorted(replicas, key=lambda one: one.hostname)
    gone: list[Replica] = []
    while left and len(gone) < count:
        zones, nodes = Counter(one.zone for one in left), Counter(one.node for one in left)
        first = max(
            left, key=lambda one: (_illness(one), _newness(one), zones[one.zone], nodes[one.node], one.hostname)
        )
        left.remove(first)
        gone.append(first)
    return gone


def _illness(replica: Replica) -> int:
    """From 0, serving, to 4, nowhere."""
    if replica.status in (Status.PENDING, Status.PROVISION_ERROR, Status.LOST):
        return 4
    if replica.status not in RUNNING:
        return 3
    if replica.health is Health.UNHEALTHY or replica.status is Status.BOOTSTRAP_ERROR:
        return 2
    return 1 if replica.status is Status.BOOTSTRAP_STARTED else 0


def _newness(replica: Replica) -> int:
    return int(replica.created_at.timestamp() // SAME_AGE_SECONDS)

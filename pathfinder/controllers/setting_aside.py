"""Nodes on which provisions fail again and again: set aside for a while, then tried with one container.

A node that is set aside gets no placement until `aside_until`. From then on it is *half-open*: one container at a
time is placed there, the probe. A provision that succeeds restores the node, one that fails by its fault sets it aside
for longer.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

#: So many failures in a row, of different containers, set a node aside.
LIMIT = 3

#: A container that failed on the node within this time before counts no second time: a bad container condemns no node.
WINDOW = timedelta(minutes=10)

#: How long a node is set aside first; it doubles with each probe that fails, up to the most. ± a tenth.
FIRST_SECONDS = 60.0
MOST_SECONDS = 1800.0
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Standing:
    """How a node has done lately: failures in a row that count, and until when and why it is set aside."""

    node_id: UUID
    cluster_id: UUID
    hostname: str
    failures: int = 0
    aside_until: datetime | None = None
    aside_reason: str | None = None


def may_set_aside(nodes: int, aside: int) -> bool:
    """Whether one more of a cluster's nodes may be set aside: never more than a third of them, and never the only one.

    What makes more of them fail is more likely the requests, or something they share, and then none is any better.
    """
    return nodes > 1 and aside < max(1, nodes // 3)


def after_success(standing: Standing) -> Standing:
    """A container was made there: the node is as good as any."""
    return replace(standing, failures=0, aside_until=None, aside_reason=None)


def after_failure(standing: Standing, reason: str, now: datetime, *, counts: bool, may: bool) -> Standing:
    """A provision failed by the node's fault; `counts` unless that container failed there a while ago already.

    `may` says whether another node may be set aside. What was under way when it was set aside tells nothing new.
    """
    if standing.aside_until is not None:
        return standing if now < standing.aside_until else _set_aside(standing, standing.failures + 1, reason, now)
    if not counts:
        return standing
    failures = min(standing.failures + 1, LIMIT)
    if failures < LIMIT or not may:
        return replace(standing, failures=failures)
    return _set_aside(standing, failures, reason, now)


def _set_aside(standing: Standing, failures: int, reason: str, now: datetime) -> Standing:
    base = min(FIRST_SECONDS * 2.0 ** min(failures - LIMIT, 30), MOST_SECONDS)
    share = random.Random(f"{standing.node_id}/{failures}").uniform(-JITTER, JITTER)  # noqa: S311 - a wait, no secret
    until = now + timedelta(seconds=base * (1 + share))
    return replace(standing, failures=failures, aside_until=until, aside_reason=reason)

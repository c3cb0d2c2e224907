"""Making room for urgent containers that found none, where their policy lets others give way."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.scheduling import asking
from pathfinder.scheduling.fleet import Fleet
from pathfinder.scheduling.freeable import Lot
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.preempt import (
    MOST_WAITING,
    Budgets,
    Eviction,
    Leaving,
    Tenant,
    keys_of,
    preempt,
    worth_a_look,
)
from pathfinder.scheduling.request import Request
from pathfinder.store import containers, preemption
from pathfinder.store.states import snapshot
from pathfinder.store.tallies import Tallies

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there was to decide on. `names` are the hostnames of those that wait, `keys` the labels that matter."""

    fleet: Fleet
    lots: Sequence[Lot]
    requests: Sequence[Request]
    leaving: Sequence[Leaving]
    budgets: Budgets
    names: Mapping[str, str]
    keys: frozenset[str]
    below: int


async def make_room(process: Process, company: Tallies, cluster_id: UUID, policy: Policy) -> int:
    """Evict what must go for the most urgent of the containers that wait under this policy; how many that were.

    They are placed when the room is reported free: whoever is most urgent goes first then. Victims are chosen in a
    thread, and no transaction is open meanwhile: whoever moved, or found a node by then, is left alone.
    """
    async with preemption.alone(process.database, cluster_id) as begin:
        seen = await _look(process, company, cluster_id, policy)
        if seen is None:
            return 0
        tenants = await _tenants(process, cluster_id, seen, policy)
        evictions = await asyncio.to_thread(
            preempt, seen.fleet, tenants, seen.requests, policy, seen.leaving, seen.budgets
        )
        evicted = await _evict(begin, seen, evictions) if evictions else 0
    if evicted:
        telemetry.PREEMPTIONS.inc(evicted)
        log.info("made room", cluster=str(cluster_id), evicted=evicted, policy=policy.name)
    return evicted


async def _look(process: Process, company: Tallies, cluster_id: UUID, policy: Policy) -> _Seen | None:
    """Who waits and who might go; None where nobody does.

    As of one moment: room that was on its way out in one statement and free in the next would be counted by neither.
    """
    async with process.database.snapshot() as tx:
        waiting = await containers.waiting(tx, cluster_id, policy.name, MOST_WAITING)
        if not waiting:
            return None
        states = await snapshot(tx, cluster_id)
        row_of = {one.id: row for row, one in enumerate(states)}
        budgets = await preemption.budgets(tx, cluster_id)
        below = max(one.priority for one in waiting)
        lots = await preemption.lots(tx, cluster_id, below, row_of, budgets)
        if not lots:
            return None
        asks, labels = {asking.of(one) for one in waiting}, (one.labels for one in waiting)
        there = await company.of(tx, cluster_id, states, asks, keep=False, labels=labels)
        return _Seen(
            Fleet.of(states, there.tallies, there.averse),
            lots,
            asking.requests(waiting, {}, there.keys),
            await preemption.leaving(tx, cluster_id, row_of),
            budgets,
            {str(one.id): one.hostname for one in waiting},
            there.keys | keys_of(budgets),
            below,
        )


async def _tenants(process: Process, cluster_id: UUID, seen: _Seen, policy: Policy) -> list[Tenant]:
    """Those on the rows where victims are worth looking for."""
    rows = await asyncio.to_thread(
        worth_a_look, seen.fleet, seen.lots, seen.requests, policy, seen.leaving, seen.budgets
    )
    row_of = {str(seen.fleet.ids[row]): row for row in rows}
    async with process.database.read() as connection:
        return await preemption.tenants(connection, cluster_id, seen.below, row_of, seen.keys)


async def _evict(begin: preemption.Alone, seen: _Seen, evictions: Sequence[Eviction]) -> int:
    """Only for those that still wait."""
    async with begin() as tx:
        still = await containers.still_pending(tx, {UUID(one.request.id) for one in evictions})
        victims = {
            UUID(victim.id): preemption.Going(
                UUID(str(seen.fleet.ids[one.index])), victim.generation, seen.names[one.request.id]
            )
            for one in evictions
            if UUID(one.request.id) in still
            for victim in one.victims
        }
        return await preemption.evict(tx, victims) if victims else 0

"""Making room for urgent containers that found none, where their policy lets others give way."""

from uuid import UUID

import structlog

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.scheduling import asking
from pathfinder.scheduling.fleet import Fleet
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.preempt import preempt
from pathfinder.store import containers, nodes, preemption
from pathfinder.store.tallies import Tallies

log = structlog.get_logger()

#: For how many containers room is made at a time.
MOST_WAITING = 500


async def make_room(process: Process, company: Tallies, cluster_id: UUID, policy: Policy) -> int:
    """Evict what must go for the most urgent of the containers that wait under this policy; how many that were.

    They are placed when the room is reported free: whoever is most urgent goes first then.
    """
    async with process.database.begin() as tx:
        await preemption.hold(tx, cluster_id)
        waiting = await containers.waiting(tx, cluster_id, policy.name, MOST_WAITING)
        if not waiting:
            return 0
        states, _ = await nodes.snapshot(tx, cluster_id)
        row_of = {one.id: row for row, one in enumerate(states)}
        there = await company.of(tx, cluster_id, states, {asking.of(one) for one in waiting}, keep=False)
        below = max(one.priority for one in waiting)
        tenants = await preemption.tenants(tx, cluster_id, below, row_of, there.keys)
        if not tenants:
            return 0
        evictions = preempt(
            Fleet.of(states, there.tallies, there.averse),
            tenants,
            asking.requests(waiting, {}, there.keys),
            policy,
            await preemption.leaving(tx, cluster_id, row_of),
            await preemption.away(tx, cluster_id, {one.budget for one in tenants if one.budget}),
        )
        names = {str(one.id): one.hostname for one in waiting}
        victims = {UUID(victim.id): names[one.request.id] for one in evictions for victim in one.victims}
        evicted = await preemption.evict(tx, victims) if victims else 0
    if evicted:
        telemetry.PREEMPTIONS.inc(evicted)
        log.info("made room", cluster=str(cluster_id), evicted=evicted, policy=policy.name)
    return evicted

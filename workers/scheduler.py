"""scheduler: chooses nodes for PENDING containers, and tells the nodes."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import backoff, pause
from pathfinder.broker.consume import Delivery, consume
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import SUPPLY, Kind
from pathfinder.failpoints import point
from pathfinder.scheduling.policy import Policy
from pathfinder.store import clusters, containers, nodes
from pathfinder.store.due import Due
from pathfinder.store.fleets import KnownFleet
from workers.alarm import Alarm
from workers.placing import Outcome, place_batch
from workers.preempting import make_room

log = structlog.get_logger()

#: Events after which something may be due at a later moment: a provision failed; or what might have run on of one that
#: failed before does so no more, so that it is due when its pause is over.
LATER = frozenset({Kind.CONTAINER_PROVISION_FAILED, Kind.CONTAINER_DEPARTED, Kind.NODE_DOWN})

#: For those that wait, whatever they wait for.
ANYTHING = frozenset(Kind)

#: How often those that wait are looked at in one go because room or company came meanwhile.
LOOKS = 3


async def run(process: Process) -> None:
    """Place until told to stop."""
    alarm = Alarm(process, partial(_look, process))
    # None of these ends unnoticed: without them what a lost hint told of, or what is due, would wait for ever.
    async with asyncio.TaskGroup() as group:
        aside = [group.create_task(_sweep(process, alarm)), group.create_task(alarm.run())]
        await process.broker("scheduler").run(partial(_serve, process, alarm), process.stopping)
        for task in aside:
            task.cancel()


async def _serve(process: Process, alarm: Alarm, connection: AbstractConnection) -> None:
    handler = partial(_handle, process, alarm)
    await consume(connection, topology.SCHEDULER, handler, process.stopping, prefetch=500, batch=500)


async def _handle(process: Process, alarm: Alarm, batch: Sequence[Delivery]) -> None:
    """The messages only say where to look: the store knows what is PENDING."""
    news: dict[UUID, set[str]] = defaultdict(set)
    if any(envelope.kind in LATER for delivery in batch for envelope in delivery.envelopes):
        alarm.set_anew()
    for delivery in batch:
        for envelope in delivery.envelopes:
            news[UUID(envelope.cluster)].add(envelope.kind)
    for cluster_id, kinds in news.items():
        await _place(process, alarm, cluster_id, kinds)


async def _look(process: Process, alarm: Alarm, due: Due) -> None:
    await _place(process, alarm, due.cluster_id, ANYTHING if due.waiting else ())


async def _place(process: Process, alarm: Alarm, cluster_id: UUID, news: Collection[str]) -> None:
    left = await place_pending(process, cluster_id, news=news)
    if left.unsure:
        alarm.ring_soon(cluster_id)
    if left.waiting:
        alarm.set_anew()


async def _sweep(process: Process, alarm: Alarm) -> None:
    """Look everywhere now and then, for what a lost hint would have told. Off the path of any request."""
    while not process.stopping.is_set():
        await pause(process.stopping, backoff(0) + process.settings.sweep_seconds)
        alarm.set_anew()
        try:
            async with process.database.begin() as tx:
                ids = await clusters.all_ids(tx)
            for cluster_id in ids:
                await _place(process, alarm, cluster_id, ANYTHING)
        except Unavailable as error:
            log.warning("sweep put off", reason=str(error))


@dataclass(slots=True)
class Left:
    """What a look at a cluster left: whether some were let to wait, and whether it is `unsure` that they have to: room
    or company still came while they were judged. `crowded` are the policies by which others may have to give way.
    """

    waiting: bool = False
    unsure: bool = False
    crowded: set[Policy] = field(default_factory=set)


async def place_pending(process: Process, cluster_id: UUID, *, news: Collection[str] = ()) -> Left:
    """Place every PENDING container of a cluster that can be placed; of those that could not be placed before, those
    that wait for one of the kinds of event in `news`.

    A container that is let to wait must not miss room that appeared while it was judged: whoever made that room may
    have looked before it was marked. So the fleet's `supply` is read again after the marks are committed, and if it
    moved, there is another look. Where room comes all the time that would never end, and nothing else would be done:
    after `LOOKS` it is for the caller to look again later. One that waits for company, which is no supply, is looked at
    again by whoever placed something; if both happen at once, the sweep finds it.
    """
    known, left = _known(process, cluster_id), Left()
    for _ in range(LOOKS):
        news = await _look_through(process, known, cluster_id, news, left)
        left.unsure = bool(news)
        if not news:
            break
    for chosen in left.crowded:
        await make_room(process, known.company, cluster_id, chosen)
    return left


async def _look_through(
    process: Process, known: KnownFleet, cluster_id: UUID, news: Collection[str], left: Left
) -> set[str]:
    """Page by page, each container once; the kinds of what happened meanwhile that may help those who wait.

    A page of which another scheduler was faster is looked at until that is settled.
    """
    after: Container | None = None
    limit, full, placed, supplies = process.settings.scheduler_batch, True, False, set[int | None]()
    while full:
        with telemetry.timed(telemetry.PLACEMENT_SECONDS):
            outcome = await _batch(process, known, cluster_id, news, after, limit)
        outcome.count()
        if outcome.taken:
            point("scheduler.committed")
        placed |= outcome.placed > 0
        left.crowded |= outcome.crowded
        if outcome.unplaceable:
            supplies.add(outcome.supply)
        if outcome.held:
            supplies.add(None)
        if not outcome.conflicts:
            after, full = outcome.last, outcome.full
    left.waiting |= bool(supplies)
    return await _meanwhile(process, cluster_id, supplies, placed) if supplies or placed else set()


async def _meanwhile(process: Process, cluster_id: UUID, supplies: set[int | None], placed: bool) -> set[str]:
    """What may help those who wait, after they were judged on these supplies of the fleet, and whether some were
    placed.
    """
    kinds = set[str]()
    async with process.database.read() as connection:
        if supplies and supplies != {await nodes.supply(connection, cluster_id)}:
            kinds |= SUPPLY
        if placed and await containers.wait_for(connection, cluster_id, Kind.CONTAINER_SCHEDULED):
            kinds.add(Kind.CONTAINER_SCHEDULED)
    return kinds


def _known(process: Process, cluster_id: UUID) -> KnownFleet:
    if cluster_id not in process.fleets:
        process.fleets[cluster_id] = KnownFleet()
    return process.fleets[cluster_id]


async def _batch(
    process: Process, known: KnownFleet, cluster_id: UUID, news: Collection[str], after: Container | None, limit: int
) -> Outcome:
    """One transaction. This process decides on one batch of a cluster at a time; other processes do at the same."""
    rules = process.rules  # before the transaction: the first time, packages are imported
    async with known.deciding:
        try:
            async with process.database.begin() as tx:
                return await place_batch(tx, known, cluster_id, news=news, after=after, limit=limit, rules=rules)
        except BaseException:
            known.forget()
            raise

"""scheduler: chooses nodes for PENDING containers, and tells the nodes."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from aio_pika.abc import AbstractConnection
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import backoff, pause
from pathfinder.broker.consume import Delivery, consume
from pathfinder.domain import commands
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Envelope, Kind
from pathfinder.failpoints import point
from pathfinder.scheduling import asking, explain, policy
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.place import Decision, place
from pathfinder.scheduling.policy import Policy
from pathfinder.store import attempts, claims, clusters, containers, journal, nodes
from pathfinder.store.database import Database
from pathfinder.store.due import Due
from pathfinder.store.tallies import Tallies
from workers.alarm import Alarm
from workers.preempting import make_room

log = structlog.get_logger()

ACTOR = "scheduler"

#: Events after which something may be due at a later moment.
LATER = frozenset({Kind.CONTAINER_PROVISION_FAILED})

#: For those that wait, whatever they wait for.
ANYTHING = frozenset(Kind)

#: How often one batch is decided again because another scheduler was faster.
CONFLICT_TRIES = 5


async def run(process: Process) -> None:
    """Place until told to stop."""
    alarm = Alarm(process, partial(_look, process))
    aside = [asyncio.create_task(_sweep(process, alarm)), asyncio.create_task(alarm.run())]
    try:
        await process.broker("scheduler").run(partial(_serve, process, alarm), process.stopping)
    finally:
        for task in aside:
            task.cancel()
        await asyncio.gather(*aside, return_exceptions=True)


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
        if await place_pending(process, cluster_id, news=kinds):
            alarm.set_anew()


async def _look(process: Process, due: Due) -> None:
    await place_pending(process, due.cluster_id, news=ANYTHING if due.waiting else ())


async def _sweep(process: Process, alarm: Alarm) -> None:
    """Look everywhere now and then, for what a lost hint would have told. Off the path of any request."""
    while not process.stopping.is_set():
        await pause(process.stopping, backoff(0) + process.settings.sweep_seconds)
        alarm.set_anew()
        try:
            async with process.database.begin() as tx:
                ids = await clusters.all_ids(tx)
            for cluster_id in ids:
                await place_pending(process, cluster_id, news=ANYTHING)
        except Unavailable as error:
            log.warning("sweep put off", reason=str(error))


@dataclass(slots=True)
class _Outcome:
    """What one transaction did. `supply` is the least supply of the fleet that unplaceable containers were judged on;
    `crowded` are the policies of those for which others may have to go. `failed` are the nodes where containers failed
    before. Once it is `holding` nodes, it must not wait for others.
    """

    taken: int = 0
    last: Container | None = None
    conflicts: int = 0
    holding: bool = False
    supply: int | None = None
    unplaceable: int = 0
    crowded: set[Policy] = field(default_factory=set)
    failed: dict[UUID, tuple[str, ...]] = field(default_factory=dict)
    changed: list[Container] = field(default_factory=list)
    facts: list[journal.Fact] = field(default_factory=list)
    commands: dict[str, list[Envelope]] = field(default_factory=lambda: defaultdict(list))

    @property
    def placed(self) -> int:
        """How many got a node."""
        return self.taken - self.unplaceable - self.conflicts

    def count(self) -> None:
        """In metrics, once it is committed."""
        telemetry.PLACEMENTS.labels("placed").inc(self.placed)
        telemetry.PLACEMENTS.labels("unplaceable").inc(self.unplaceable)
        telemetry.PLACEMENTS.labels("conflict").inc(self.conflicts)


async def place_pending(process: Process, cluster_id: UUID, *, news: Collection[str] = ()) -> bool:
    """Place every PENDING container of a cluster that can be placed; of those that could not be placed before, those
    that wait for one of the kinds of event in `news`. Whether some were let to wait.

    A container that is let to wait must not miss room that appeared while it was judged: whoever made that room may
    have looked before it was marked. So the fleet's `supply` is read again after the mark is committed. One that waits
    for company, which is no supply, is looked at again by whoever placed something; if both happen at once, the sweep
    finds it.
    """
    after: Container | None = None
    left, placed, crowded = False, False, set[Policy]()
    while True:
        with telemetry.timed(telemetry.PLACEMENT_SECONDS):
            async with process.database.begin() as tx:
                outcome = await _place_batch(
                    *(tx, _company(process), cluster_id, news, after, process.settings.scheduler_batch)
                )
        outcome.count()
        left |= outcome.unplaceable > 0
        placed |= outcome.placed > 0
        if outcome.taken:
            point("scheduler.committed")
        if outcome.unplaceable:
            async with process.database.begin() as tx:
                if await nodes.supply(tx, cluster_id) != outcome.supply:
                    after, news = None, ANYTHING
                    continue
        crowded |= outcome.crowded
        if outcome.taken < process.settings.scheduler_batch and not outcome.conflicts:
            if placed and await _company_awaited(process, cluster_id):
                after, news, placed = None, {Kind.CONTAINER_SCHEDULED}, False
                continue
            for chosen in crowded:
                await make_room(process, _company(process), cluster_id, chosen)
            return left
        after = None if outcome.conflicts else outcome.last


async def _company_awaited(process: Process, cluster_id: UUID) -> bool:
    async with process.database.read() as connection:
        return await containers.wait_for(connection, cluster_id, Kind.CONTAINER_SCHEDULED)


def _company(process: Process) -> Tallies:
    """What this process knows of who is where."""
    return _KNOWN.setdefault(process.database, Tallies())


_KNOWN: WeakKeyDictionary[Database, Tallies] = WeakKeyDictionary()


async def _place_batch(
    tx: AsyncConnection, company: Tallies, cluster_id: UUID, news: Collection[str], after: Container | None, limit: int
) -> _Outcome:
    outcome = _Outcome()
    pending = await containers.take_pending(tx, cluster_id, news=news, after=after, limit=limit)
    chosen = await clusters.policy_of(tx, cluster_id) if pending else None
    if chosen is None:
        return outcome
    outcome.taken, outcome.last = len(pending), pending[-1]
    outcome.failed = await attempts.failed_nodes(tx, pending)
    await company.hold(tx, cluster_id, {asking.of(one) for one in pending})
    for name, group in _by_policy(pending, chosen).items():
        for _ in range(CONFLICT_TRIES):
            group = await _decide(tx, company, cluster_id, group, policy.named(name), outcome)
            if not group:
                break
        outcome.conflicts += len(group)
    point("scheduler.claimed")
    await journal.record(tx, outcome.facts, outcome.commands)
    point("scheduler.written")
    return outcome


def _by_policy(pending: Sequence[Container], usual: str) -> dict[str, list[Container]]:
    groups: dict[str, list[Container]] = defaultdict(list)
    for one in pending:
        groups[one.policy or usual].append(one)
    return groups


async def _decide(
    tx: AsyncConnection,
    company: Tallies,
    cluster_id: UUID,
    pending: list[Container],
    chosen: Policy,
    outcome: _Outcome,
) -> list[Container]:
    """Place what can be placed and claim it; the containers whose node another scheduler changed meanwhile."""
    first, outcome.holding = not outcome.holding, True
    states, supply = await nodes.snapshot(tx, cluster_id)
    outcome.supply = supply if outcome.supply is None else min(supply, outcome.supply)
    seed = pending[0].id.int & 0xFFFF_FFFF
    there = await company.of(tx, cluster_id, states, {asking.of(one) for one in pending}, keep=first)
    requests = asking.requests(pending, outcome.failed, there.keys)
    decisions = place(Fleet.of(states, there.tallies, there.averse), requests, chosen, seed)
    chosen_ids = [None if one.index is None else UUID(states[one.index].id) for one in decisions]
    wanted = claims.total(
        (id_, one.resources, one.stateful) for id_, one in zip(chosen_ids, pending, strict=True) if id_
    )
    generations = {UUID(one.id): one.generation for one in states}
    won = await claims.take(tx, wanted, generations, wait=first) if wanted else set()
    torn = {one.gang for one, node_id in zip(pending, chosen_ids, strict=True) if node_id and node_id not in won}
    lost, returned = [], []
    before = len(outcome.changed)
    for container, decision, node_id in zip(pending, decisions, chosen_ids, strict=True):
        document = explain.document(decision, chosen.name, seed, len(states))
        if decision.index is None:
            _let_wait(container, decision, document, len(states), outcome)
            if chosen.preemption:
                outcome.crowded.add(chosen)
        elif node_id in won and (container.gang is None or container.gang not in torn):
            _schedule(container, states[decision.index], document, outcome)
        else:
            lost.append(container)
            if node_id in won:  # the rest of its gang went elsewhere
                returned.append((node_id, container.resources, container.stateful))
    await claims.give_back(tx, claims.total(returned))
    # What is decided again for those who lost counts these where they are now.
    await containers.save(tx, outcome.changed[before:])
    return lost


def _schedule(container: Container, node: NodeState, document: dict[str, object], outcome: _Outcome) -> None:
    placed = container.to(
        Status.SCHEDULED,
        generation=container.generation + 1,
        node_id=UUID(node.id),
        node=node.hostname,
        waiting=False,
        message=None,
        retry_at=None,
        explanation=document,
        decided=True,
    )
    outcome.changed.append(placed)
    outcome.facts.append(journal.about(placed, Kind.CONTAINER_SCHEDULED, ACTOR, {"policy": document["policy"]}))
    outcome.commands[node.hostname].append(commands.provision(placed, node.epoch))


def _let_wait(
    container: Container, decision: Decision, document: dict[str, object], nodes: int, outcome: _Outcome
) -> None:
    outcome.unplaceable += 1
    message = explain.sentence(decision, nodes)
    if not container.waiting:
        outcome.facts.append(journal.about(container, Kind.CONTAINER_UNPLACEABLE, ACTOR, {"reason": message}))
    if not container.waiting or (container.message, container.wakes) != (message, decision.wakes):
        kept = replace(
            container,
            waiting=True,
            wakes=decision.wakes,
            message=message,
            explanation=document,
            decided=True,
            retry_at=None,
        )
        outcome.changed.append(kept)

"""recorder: writes what agents say into the store, in batches, fenced by generation."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from aio_pika.abc import AbstractConnection
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import Delivery, as_report, consume
from pathfinder.controllers import bootstrapping, inventory, reports
from pathfinder.controllers import health as judging
from pathfinder.controllers.bootstrapping import Run
from pathfinder.domain import commands, runs
from pathfinder.domain.attempts import Attempt
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.health import Seen
from pathfinder.domain.instances import Fault
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Command, Envelope, Kind, Report
from pathfinder.failpoints import point
from pathfinder.store import attempts, bootstraps, claims, containers, health, journal, nodes, standing
from workers import dead_letters

log = structlog.get_logger()


async def run(process: Process) -> None:
    """Record until told to stop."""
    await process.broker("recorder").run(partial(_serve, process), process.stopping)


async def _serve(process: Process, connection: AbstractConnection) -> None:
    stopping = process.stopping
    async with asyncio.TaskGroup() as both:
        both.create_task(dead_letters.keep(process, connection))
        handler = partial(_reports, process)
        both.create_task(
            consume(connection, topology.RECORDER, handler, stopping, prefetch=2000, batch=1000, read=as_report)
        )


@dataclass(slots=True)
class Work:
    """What one transaction will write."""

    changed: dict[UUID, Container] = field(default_factory=dict)
    facts: list[journal.Fact] = field(default_factory=list)
    commands: dict[str, list[Envelope]] = field(default_factory=lambda: defaultdict(list))
    departed: list[claims.Departure] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    #: Placements that end while something of them may be left: their claims stand as departures.
    left: dict[UUID, Container] = field(default_factory=dict)
    #: Runs of bootstrappers that went on.
    runs: dict[UUID, Run] = field(default_factory=dict)
    #: How containers are, as their nodes say: by node and container, the latest.
    seen: dict[UUID, dict[UUID, Seen]] = field(default_factory=lambda: defaultdict(dict))
    #: How provisions ended, in order.
    outcomes: list[standing.Outcome] = field(default_factory=list)

    async def write(self, tx: AsyncConnection, before: dict[UUID, Container]) -> None:
        """Save the changes, give back the claims that ended with them, and record it all.

        All claims at once: whoever locks nodes twice in one transaction may wait for somebody who waits for it.
        """
        await containers.save(tx, list(self.changed.values()))
        await attempts.keep(tx, self.attempts)
        await bootstraps.write(tx, self.runs)
        await self._note_health(tx, before)
        ended = [
            before[id_]
            for id_, after in self.changed.items()
            if before[id_].claims and not after.claims and id_ not in self.left
        ]
        freed = [(one.node_id, one.resources, one.stateful) for one in self.departed]
        freed += [(one.node_id, one.resources, one.stateful) for one in ended if one.node_id]
        self.facts += await standing.judge(tx, self.outcomes, [node_id for node_id, *_ in freed])
        await claims.depart(tx, list(self.left.values()))
        await claims.give_back(tx, claims.total(freed))
        await journal.record(tx, self.facts, self.commands)

    async def _note_health(self, tx: AsyncConnection, before: dict[UUID, Container]) -> None:
        for node_id, seen in self.seen.items():
            for change in await health.note(tx, node_id, [one for id_, one in seen.items() if id_ in before]):
                current = self.changed.get(change.container_id, before[change.container_id])
                self.facts += [
                    journal.about(current, kind, f"node:{current.node}", body)
                    for kind, body in judging.facts(change, seen[change.container_id].message)
                ]


async def _reports(process: Process, batch: Sequence[Delivery]) -> None:
    envelopes = [envelope for delivery in batch for envelope in delivery.envelopes]
    plain = [one for one in envelopes if one.kind != Report.INVENTORY]
    if plain:
        async with process.database.begin() as tx:
            await record_reports(tx, plain)
            point("recorder.reports.written")
        point("recorder.reports.committed")
    for envelope in envelopes:
        if envelope.kind == Report.INVENTORY:
            async with process.database.begin() as tx:
                await record_inventory(tx, envelope, timedelta(seconds=process.settings.grace_seconds))
    _count(envelopes)


def _count(envelopes: Sequence[Envelope]) -> None:
    for kind, count in Counter(one.kind for one in envelopes).items():
        telemetry.REPORTS.labels(kind).inc(count)


async def record_reports(tx: AsyncConnection, envelopes: Sequence[Envelope]) -> None:
    """Write what these reports mean; any of them may be late, early, doubled or about the past."""
    sent = [(one, _node_id(one), UUID(one.subject)) for one in envelopes]
    senders = await nodes.by_ids(tx, {node_id for _, node_id, _ in sent})
    before = await containers.lock(tx, {id_ for _, _, id_ in sent})
    now = await attempts.now(tx) if any(one.kind == Report.PROVISION_FAILED for one in envelopes) else datetime.now(UTC)
    work, gone = Work(), []
    known_runs = await _runs(tx, envelopes)
    for report, node_id, id_ in sent:
        node = senders.get(node_id)
        if node is None:
            continue  # the node was deleted; nothing it says counts any more
        if report.kind == Report.BOOTSTRAP:
            _note_run(work, report, node, before.get(id_), known_runs.get(id_))
            continue
        if report.kind == Report.HEALTH:
            work.seen[node.id][id_] = Seen.read(report.body)
        verdict = reports.judge(work.changed.get(id_) or before.get(id_), report, node.id, now)
        if verdict.container is not None:
            work.changed[id_] = verdict.container
        if verdict.fact is not None and id_ in before:
            current = work.changed.get(id_, before[id_])
            # A container that is to be tried elsewhere has no node; the fact is about the one it had.
            actor = f"node:{node.hostname}"
            work.facts.append(journal.about(current, verdict.fact, actor, verdict.body, node.hostname))
        if verdict.made:
            work.outcomes.append(standing.Outcome(node.id))
        if verdict.attempt is not None:
            if verdict.attempt.fault == Fault.NODE and report.kind == Report.PROVISION_FAILED:
                work.outcomes.append(standing.Outcome(node.id, verdict.attempt))
            work.attempts.append(verdict.attempt)
            if verdict.left:
                work.left[id_] = before[id_]
        if verdict.command == Command.DELETE:
            work.commands[node.hostname].append(
                commands.delete(report.cluster, report.subject, _hostname(report), report.generation, report.trace_id)
            )
        if report.kind == Report.DELETED:
            gone.append((id_, report.generation, node.id))
    await _begin_bootstraps(tx, work, before, {node.id: node.epoch for node in senders.values()})
    await _finish_departures(tx, work, gone, before, {node.id: node.hostname for node in senders.values()})
    await work.write(tx, before)


async def _runs(tx: AsyncConnection, envelopes: Sequence[Envelope]) -> dict[UUID, Run]:
    ids = {UUID(one.subject) for one in envelopes if one.kind == Report.BOOTSTRAP}
    return await bootstraps.last(tx, ids) if ids else {}


def _note_run(work: Work, report: Envelope, node: nodes.Node, before: Container | None, known: Run | None) -> None:
    """How far the bootstrappers of a container are; of another placement or another run it means nothing."""
    if before is None or known is None or not reports.is_placement(before, report, node.id):
        return
    current, run = work.changed.get(before.id, before), work.runs.get(before.id, known)
    steps = runs.read(report.body.get("steps", ()))
    outcome = bootstrapping.judge(current, run, int(report.body.get("run", 0)), steps)
    if outcome is None:
        return
    work.runs[before.id] = outcome.run
    if outcome.container != current:
        work.changed[before.id] = outcome.container
    work.facts += [
        journal.about(outcome.container, kind, f"node:{node.hostname}", body) for kind, body in outcome.facts
    ]


async def _begin_bootstraps(
    tx: AsyncConnection, work: Work, before: dict[UUID, Container], epochs: Mapping[UUID, int]
) -> None:
    """What follows for containers that were just PROVISIONED: their bootstrappers are carried out, unless the instance
    has that behind it.
    """
    starting = []
    for id_, after in list(work.changed.items()):
        if after.status != Status.PROVISIONED or before[id_].status == Status.PROVISIONED:
            continue
        if bootstrapping.begins(after):
            starting.append(after)
        elif (kept := bootstrapping.kept(after)) is not after:
            work.changed[id_] = kept
            work.facts.append(journal.about(kept, Kind.CONTAINER_BOOTSTRAPPED, f"node:{kept.node}"))
    for hostname, told in (await bootstraps.begin(tx, starting, epochs)).items():
        work.commands[hostname] += told


async def _finish_departures(
    tx: AsyncConnection,
    work: Work,
    gone: Sequence[tuple[UUID, int, UUID]],
    known: dict[UUID, Container],
    hostnames: dict[UUID, str],
) -> None:
    """End the claims of former placements, now that their instances are gone."""
    work.departed = await claims.finish_departures(tx, gone)
    work.facts += [
        journal.Fact(
            Kind.CONTAINER_DEPARTED,
            known[one.container_id].cluster_id,
            "container",
            one.container_id,
            known[one.container_id].hostname,
            f"node:{hostnames[one.node_id]}",
            generation=one.generation,
            node=hostnames[one.node_id],
            trace_id=known[one.container_id].trace_id,
        )
        for one in work.departed
    ]


async def record_inventory(tx: AsyncConnection, envelope: Envelope, grace: timedelta) -> None:
    """Answer the differences between a node's full list and the store with commands.

    A DOWN node is READY again with the first list that shows nothing stale; the monitor has it send another. What it
    was told before it went DOWN does not count, so its list does only once it has registered anew; one that was under
    way since then does not either.
    """
    node_id = UUID(envelope.subject)
    node = (await nodes.by_ids(tx, {node_id})).get(node_id)
    if node is None:
        return
    if envelope.body["epoch"] != node.epoch:
        await journal.record(tx, [], {node.hostname: [commands.rejoin(envelope.cluster, envelope.subject)]})
        return
    listed = [inventory.Listed.read(item) for item in envelope.body["instances"]]
    busy = set(envelope.body["busy"])
    wanted = await containers.lock_of_node(tx, node_id)
    before = {one.id: one for one in wanted}
    work = Work()
    stale = inventory.stale(wanted, listed)
    clean = not stale
    now = await attempts.now(tx)
    made = inventory.taken(envelope.at, now)
    if node.down:
        made, grace = now, timedelta()  # it does nothing yet that its list could have missed
    in_hand = set(envelope.body.get("bootstraps", ()))  # agents of before carry out none
    resumed = []
    for repair in inventory.compare(wanted, listed, busy, made, grace, in_hand):
        if node.down and not clean and repair.command != Command.DELETE:
            continue  # nothing goes on there before what is stale is gone
        if repair.container is not None:
            work.changed[repair.container.id] = repair.container
            if repair.fact is not None:
                work.facts.append(journal.about(repair.container, repair.fact, f"node:{node.hostname}", repair.body))
        if repair.command == Command.BOOTSTRAP:
            resumed.append(before[UUID(repair.container_id)])
        elif repair.command is not None:
            work.commands[node.hostname].append(_repair_command(repair, envelope.cluster, before, node.epoch))
    epochs = {node_id: node.epoch}
    for hostname, told in (await bootstraps.begin(tx, resumed, epochs, again=False)).items():
        work.commands[hostname] += told
    await _begin_bootstraps(tx, work, before, epochs)
    there = {(one.container_id, one.generation) for one in listed}
    gone = [
        (id_, generation, node_id)
        for id_, generation in await claims.open_departures(tx, node_id, made - grace)
        if (str(id_), generation) not in there and str(id_) not in busy
    ]
    known = before | await containers.lock(tx, {id_ for id_, _, _ in gone} - before.keys())
    await _finish_departures(tx, work, gone, known, {node.id: node.hostname})
    seen = [Seen.read(item) for item in envelope.body.get("health", ())]  # nor do they look after any
    work.seen[node_id] = {one.container_id: one for one in seen}
    await work.write(tx, before)
    if (images := envelope.body.get("images")) is not None:  # agents of before do not tell
        await nodes.note_images(tx, node_id, images)
    if node.down and clean:
        await nodes.mark_ready(tx, node)
    elif node.down:
        await nodes.hold_back(tx, node, inventory.held_back(stale))


def _repair_command(repair: inventory.Repair, cluster: str, known: dict[UUID, Container], epoch: int) -> Envelope:
    if repair.command == Command.PROVISION:
        return commands.provision(repair.container or known[UUID(repair.container_id)], epoch)
    if repair.command == Command.UPDATE:
        return commands.update(known[UUID(repair.container_id)], epoch)
    return commands.delete(cluster, repair.container_id, repair.hostname, repair.generation)


def _node_id(report: Envelope) -> UUID:
    try:
        return UUID(report.body["node_id"])
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedMessage(f"a {report.kind} report must name its node: {error}") from error


def _hostname(report: Envelope) -> str:
    return str(report.body.get("hostname", ""))

"""The node monitor: hears the nodes' heartbeats, declares the silent ones DOWN, and heals what was on them."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID, uuid4

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import as_lost, backoff, pause
from pathfinder.broker.consume import Delivery, as_report, consume
from pathfinder.controllers import healing as decide
from pathfinder.controllers import liveness
from pathfinder.controllers.liveness import Calls, Clocks
from pathfinder.controllers.usage import Usages
from pathfinder.domain import commands
from pathfinder.domain.errors import Contended, TooSlow, Unavailable
from pathfinder.domain.messages import Envelope, Exchange, encode
from pathfinder.domain.resources import Resources
from pathfinder.store import capacity, healing, journal, leases, nodes
from pathfinder.store.healing import DownNode
from pathfinder.store.leadership import Leadership
from workers.agent.lease import now as steady_now
from workers.fencing import Fence

log = structlog.get_logger()

#: Heartbeats are written together, this often; and leases are looked at this often.
BATCH_SECONDS = 0.5
WATCH_SECONDS = 0.5

#: How long a message of the monitor's own to itself, through the queue of heartbeats, may take.
MARK_SECONDS = 5.0


class Monitor:
    """The leader's watch over the nodes, for as long as it leads and has a broker."""

    def __init__(self, process: Process, connection: AbstractConnection, lead: Leadership) -> None:
        self._process = process
        self._connection = connection
        self._lead = lead
        self._lease_seconds = process.settings.lease_seconds
        self._fence = Fence(process.settings, lead)
        #: None where leases must be granted anew before anybody is judged.
        self._clocks: Clocks | None = None
        self._marks: dict[str, asyncio.Event] = {}
        self._calls = Calls(process.settings.heartbeat_seconds)
        #: What containers use, as heartbeats tell it.
        self.usages = Usages()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._watch())
            both.create_task(
                consume(
                    self._connection,
                    topology.HEARTBEATS,
                    self._heartbeats,
                    self._process.stopping,
                    prefetch=5000,
                    batch=5000,
                    read=as_report,
                )
            )

    async def _heartbeats(self, batch: Sequence[Delivery]) -> None:
        """Renew the leases of every node heard from; then let more heartbeats gather.

        A DOWN node that is heard is told to come back, now and then.
        """
        heard = [one for delivery in batch for one in delivery.envelopes]
        beats = {UUID(one.subject): one.body for one in heard if one.kind != topology.MARK}
        latest = {node_id: body["usage"] for node_id, body in beats.items()}
        # Agents of before do not say how long they count on it.
        said = {node_id: body["lease_seconds"] for node_id, body in beats.items() if "lease_seconds" in body}
        sizes = {node_id: Resources(**size) for node_id, body in beats.items() if (size := body.get("capacity"))}
        try:
            async with self._lead.begin() as tx:
                await capacity.note(tx, sizes)  # nodes before leases, as whoever registers: neither waits for the other
                await leases.renew(tx, latest, self._lease_seconds, said)
                await self._call_back(tx, set(latest))
        except BaseException:
            self._calls.forget()
            raise
        for one in heard:
            if containers := one.body.get("containers"):
                self.usages.hear(one.subject, containers, steady_now())
            if one.kind == topology.MARK and one.subject in self._marks:
                self._marks[one.subject].set()
        await pause(self._process.stopping, BATCH_SECONDS)

    async def _call_back(self, tx: AsyncConnection, heard: set[UUID]) -> None:
        down = await nodes.down(tx, heard)
        due = self._calls.due([caller for _, caller in down], steady_now())
        told = {
            node.hostname: [commands.rejoin(str(node.cluster_id), str(node.id))] for node, _ in down if node.id in due
        }
        await journal.record(tx, [], told)

    async def _watch(self) -> None:
        channel = await self._connection.channel()
        failures = 0
        while not self._process.stopping.is_set():
            try:
                await self._look(channel)
                failures = 0
            except (Contended, TooSlow) as error:  # the store is there, and the next look may go through
                log.warning("not looked at everything", reason=str(error))
            except Unavailable as error:
                log.warning("waiting", reason=str(error))
                self._clocks = None  # while the database was away no lease could be renewed
                await asyncio.sleep(backoff(failures))
                failures += 1
            await pause(self._process.stopping, WATCH_SECONDS)

    async def _look(self, channel: AbstractChannel) -> None:
        """One look: fresh leases where ours are not to be trusted, else DOWN for the silent, and healing."""
        clocks = await self._read_clocks()
        before, self._clocks = self._clocks, None
        if before is None or liveness.jumped(before, clocks):
            log.warning("every node gets a fresh lease", why="start" if before is None else "the clock was set")
            async with self._lead.begin() as tx:
                await leases.renew_all(tx, self._lease_seconds, clock_was_set=before is not None)
            self._clocks = clocks
        else:
            self._clocks = clocks
            await self._judge(channel)
        await self._heal()

    async def _read_clocks(self) -> Clocks:
        async with self._lead.begin() as tx:
            database = (await tx.execute(text("SELECT extract(epoch FROM clock_timestamp())"))).scalar_one()
        return Clocks(float(database), steady_now())

    async def _judge(self, channel: AbstractChannel) -> None:
        async with self._lead.begin() as tx:
            if not await leases.expired(tx):
                return
        if not await self._all_heard(channel):
            log.warning("nobody is judged: heartbeats wait to be read")
            return
        async with self._lead.begin() as tx:
            if down := await leases.expired(tx):
                log.warning("nodes down", nodes=list(down.values()))
                await nodes.mark_down(tx, set(down))

    async def _all_heard(self, channel: AbstractChannel) -> bool:
        """Whether every heartbeat that RabbitMQ has by now is written: a mark that was queued behind them came by.

        What waits in the queue could be counted, but not what is on its way to us or in our hands.
        """
        mark = Envelope(topology.MARK, "", str(uuid4()))
        came = self._marks.setdefault(mark.subject, asyncio.Event())
        try:
            async with asyncio.timeout(MARK_SECONDS):
                with as_lost():
                    reports = await channel.get_exchange(Exchange.REPORTS, ensure=False)
                    await reports.publish(Message(encode([mark])), f"{topology.MARK}.{mark.subject}")
                await came.wait()
        except TimeoutError:
            return False
        finally:
            del self._marks[mark.subject]
        return True

    async def _heal(self) -> None:
        async with self._lead.begin() as tx:
            down = await healing.down_nodes(tx)
            fleets = await healing.fleets(tx, self._lease_seconds) if down else {}
        for each in down:
            if each.unlost:
                async with self._lead.begin() as tx:
                    lost = await healing.lose(tx, each.node)
                log.warning("containers lost", node=each.node.hostname, containers=lost)
        await self._replace(down, fleets)
        self._fence.take_over([each for each in down if each.takeover and not each.alive])

    async def _replace(self, down: Sequence[DownNode], fleets: dict[UUID, tuple[int, int]]) -> None:
        silent = defaultdict(list)
        for each in down:
            if not each.alive:
                # What was called LOST just now holds, too.
                holding = each.holding or each.unlost
                silent[each.node.cluster_id].append(decide.Silent(each.node.id, each.down_for, holding))
        by_id = {each.node.id: each.node for each in down}
        for cluster_id, ones in silent.items():
            plan = decide.plan(ones, *fleets.get(cluster_id, (len(ones), 0)))
            for node_id in plan.heal:
                async with self._lead.begin() as tx:
                    moved = await healing.replace(tx, by_id[node_id], takeovers=False)
                if moved:
                    log.warning("placed anew", node=by_id[node_id].hostname, containers=moved)
            for node_id, words in plan.held.items():
                async with self._lead.begin() as tx:
                    await healing.explain_hold(tx, by_id[node_id], words)

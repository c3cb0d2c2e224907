"""relay: publishes what the outbox holds, as soon as it is committed."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial
from itertools import islice

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker.connection import BrokerLost, backoff, pause
from pathfinder.broker.publish import Parcel, Publisher, QueueFull, Refusal, Silence, Unroutable
from pathfinder.controllers.holding import Holding, Way
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Exchange, join
from pathfinder.failpoints import point
from pathfinder.store import containers, nodes, outbox
from pathfinder.store.journal import CHANNEL
from workers import node_queues

log = structlog.get_logger()

#: A joined message body stays below this, so that one message never holds up a channel.
MAX_BODY_BYTES = 1 << 20

#: After so many rows at once the relay rests, unless as many as it takes may wait already: for twice as long as they
#: took, but not long, and only while containers are to be placed. What comes meanwhile and goes the same way travels as
#: one message, and a message costs more than a placement.
MANY = 1_000
MAX_REST_SECONDS = 5.0

#: So many queues that never answer are made anew between two batches: others do not wait for all of them.
RENEWED_AT_ONCE = 3


async def run(process: Process) -> None:
    """Publish until told to stop."""
    wake, holding = asyncio.Event(), Holding()
    # It does not end unnoticed: every message would wait for a sweep.
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_listen(process, wake))
        await process.broker("relay").run(partial(_serve, process, wake, holding), process.stopping)
        listening.cancel()


async def _listen(process: Process, wake: asyncio.Event) -> None:
    """Set `wake` whenever a transaction with outbox rows commits, and when the process is to stop."""
    attempt = 0

    def heard() -> None:
        nonlocal attempt
        attempt = 0
        wake.set()

    while not process.stopping.is_set():
        try:
            await process.database.listen(CHANNEL, heard)
        except Unavailable as error:
            log.warning("not listening to PostgreSQL", error=str(error))
        await pause(process.stopping, backoff(attempt))
        attempt += 1


async def _serve(process: Process, wake: asyncio.Event, holding: Holding, connection: AbstractConnection) -> None:
    publisher = await Publisher.open(connection)
    clock = asyncio.get_running_loop().time
    stop = asyncio.create_task(_wake_on_stop(process, wake))
    try:
        while not process.stopping.is_set():
            wake.clear()
            try:
                # What is committed from here on wakes us again, so only a full batch means that more may be waiting.
                begin, rows = clock(), outbox.BATCH
                while rows >= outbox.BATCH:
                    rows = await publish_some(process, publisher, holding)
                if rows >= MANY:
                    await _rest(process, wake, clock() + min(2 * (clock() - begin), MAX_REST_SECONDS))
                    wake.set()  # for what came meanwhile
            except Unavailable as error:
                log.warning("waiting", reason=str(error))
                await pause(process.stopping, backoff(3))
                continue
            except Silence as silence:
                holding.suspect(silence.ways)
                raise
            if publisher.stuck:
                raise BrokerLost("channels of it wait for queues that do not answer")
            held = holding.next(clock())
            patience = process.settings.sweep_seconds
            await pause(wake, patience if held is None else min(held, patience))
    finally:
        stop.cancel()


async def _rest(process: Process, wake: asyncio.Event, until: float) -> None:
    """Let more come, but only where more is to be expected; each commit may have been the last of it."""
    clock = asyncio.get_running_loop().time
    while not process.stopping.is_set() and (left := until - clock()) > 0:
        wake.clear()
        async with process.database.read() as connection:
            if not await containers.to_place(connection):
                return
        await pause(wake, left)


async def _wake_on_stop(process: Process, wake: asyncio.Event) -> None:
    await process.stopping.wait()
    wake.set()


async def publish_some(process: Process, publisher: Publisher, holding: Holding | None = None) -> int:
    """Publish one batch of the outbox; how many rows it had.

    The rows are deleted by the transaction that spans the publishing: if anything fails they are all there again.
    Those a full queue refuses, or one that does not answer, are put back, and left alone for a while, so that only they
    wait. Raises Silence where it is not clear whose queue that is: those are suspects then.
    """
    holding = holding or Holding()
    clock = asyncio.get_running_loop().time
    async with process.database.begin() as tx:
        held = holding.ways(clock())
        rows = await outbox.take(tx, held)
        if rows:
            point("relay.taken")
        changed = {row.routing_key for row in rows if row.exchange == outbox.QUEUES}
        lost = (key for exchange, key in holding.hopeless() if exchange == Exchange.COMMANDS)
        hopeless = set(islice((key for key in lost if (Exchange.COMMANDS, key) not in held), RENEWED_AT_ONCE))
        hopeless |= {key for key in changed if (outbox.QUEUES, key) in holding.suspects}
        known = await nodes.known(tx, changed | hopeless) if changed | hopeless else set()
        silent = {(outbox.QUEUES, key) for key in known & hopeless if not await node_queues.renew(publisher, key)}
        await node_queues.declare(publisher, known & (changed - hopeless))
        parcels = _joined([row for row in rows if row.exchange != outbox.QUEUES])
        results = await _publish(publisher, parcels, holding.suspects)
        homeless = [parcel for parcel, result in zip(parcels, results, strict=True) if isinstance(result, Unroutable)]
        full = {parcel[:2] for parcel, result in zip(parcels, results, strict=True) if isinstance(result, QueueFull)}
        silent |= {parcel[:2] for parcel, result in zip(parcels, results, strict=True) if isinstance(result, Silence)}
        if homeless:
            full |= await _house(publisher, homeless, await nodes.known(tx, {key for _, key, _ in homeless}))
        await node_queues.retire(publisher, changed - known)
        holding.only({*held, *full, *silent})
        for way in full:
            log.warning("queue full; its messages wait in the outbox", exchange=way[0], key=way[1])
            holding.refused(way, clock())
        for way in silent:
            log.warning("queue does not answer; its messages wait in the outbox", exchange=way[0], key=way[1])
            holding.silent(way, clock())
        back = [row for row in rows if (row.exchange, row.routing_key) in full | silent]
        if back:
            await outbox.put_back(tx, back)
        if rows:
            point("relay.published")
    if rows:
        point("relay.committed")
    telemetry.HELD.set(len(holding.ways(clock())))
    telemetry.RELAYED.inc(len(rows) - len(back))
    return len(rows)


async def _publish(publisher: Publisher, parcels: Sequence[Parcel], suspects: Collection[Way]) -> list[Refusal | None]:
    """What became of each: those that go a suspect way travel apart."""
    # An event that no queue wants is no mistake; a command without a queue is.
    mandatory = (Exchange.COMMANDS,)
    apart = [parcel for parcel in parcels if parcel[:2] in suspects]
    if not apart:
        return await publisher.publish_all(parcels, mandatory)
    rest = [parcel for parcel in parcels if parcel[:2] not in suspects]
    of_rest, of_apart = map(
        iter, (await publisher.publish_all(rest, mandatory), await publisher.publish_apart(apart, mandatory))
    )
    return [next(of_apart if parcel[:2] in suspects else of_rest) for parcel in parcels]


async def _house(publisher: Publisher, homeless: Sequence[Parcel], known: set[str]) -> set[Way]:
    """Commands whose node's queue is gone wait in a new one for its agent, if it comes.

    The ways that were refused all the same: a queue without its leader yet, just after the broker came back.
    """
    housed = []
    for parcel in homeless:
        if parcel[1] not in known:
            log.info("commands to a node that was deleted are dropped", node=parcel[1])
            continue
        housed.append(parcel)
    await node_queues.declare(publisher, {key for _, key, _ in housed})
    results = await publisher.publish_all(housed, mandatory=(Exchange.COMMANDS,))
    return {parcel[:2] for parcel, result in zip(housed, results, strict=True) if result is not None}


def _joined(rows: Sequence[outbox.Message]) -> list[Parcel]:
    """Messages that go the same way as one, oldest first, each below `MAX_BODY_BYTES` where that is possible."""
    ways: dict[tuple[str, str], list[list[bytes]]] = defaultdict(lambda: [[]])
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        way = row.exchange, row.routing_key
        if sizes[way] and sizes[way] + len(row.body) > MAX_BODY_BYTES:
            ways[way].append([])
            sizes[way] = 0
        ways[way][-1].append(row.body)
        sizes[way] += len(row.body)
    return [(*way, join(parcel)) for way, parcels in ways.items() for parcel in parcels]

"""The live end of the event log: read once in each process, however many streams follow it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import structlog
from aio_pika.abc import AbstractConnection

from api.windows import Part, Window
from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import Serve, pause
from pathfinder.broker.consume import Delivery, consume
from pathfinder.domain.errors import Unavailable
from pathfinder.store import events
from pathfinder.store.events import Cursor, Query

log = structlog.get_logger()

PAGE = 500

#: Windows a slow stream may be behind before it is ended; its client comes back with the last cursor it got.
MAX_BEHIND = 1_000

#: Committed events wait for older transactions that still run; they are looked for again this often.
RETRY_SECONDS = 0.005

#: How often the log is looked at when no hint comes, because the broker is away.
BLIND_SECONDS = 1.0

#: Streams that get a window at once, and the pause until the next ones do: hundreds of them would keep every other
#: request waiting. What is written meanwhile is gathered, so the more there are, the more each gets at a time.
AT_ONCE = 50
BREATH_SECONDS = 0.005

#: How long a stream is silent at most.
QUIET_SECONDS = 15.0
NOTHING = Window([], 0)


class Tail:
    """Follows the log and hands each window to every stream; while there is none, nothing is read."""

    def __init__(self, process: Process, *beside: Serve) -> None:
        """`beside` are served over the same connection to RabbitMQ."""
        self._process = process
        self._beside = beside
        self._wake = asyncio.Event()
        self._streams: set[asyncio.Queue[Window | None]] = set()
        #: `_at` is the present: everything after it reaches the streams.
        self._following = asyncio.Event()
        self._at = Cursor()

    async def run(self) -> None:
        """Follow until the process stops."""
        broker = self._process.broker("api")
        stopping = self._process.stopping
        hints = asyncio.create_task(broker.run(self._hints, stopping))
        waking = asyncio.create_task(self._wake_on_stop())
        try:
            while not stopping.is_set():
                sighted = await self._read_all() and broker.up
                await pause(self._wake, self._process.settings.sweep_seconds if sighted else BLIND_SECONDS)
        finally:
            self._following.set()
            for stream in self._streams:
                stream.put_nowait(None)
            for task in (hints, waking):
                task.cancel()
            await asyncio.gather(hints, waking, return_exceptions=True)

    async def stream(self, reached: Cursor, query: Query) -> AsyncIterator[Part]:
        """Every event after `reached` that matches, for as long as the process lives.

        The stream is registered, then the present begins, if it has not, then the past is read: so between past and
        present nothing is missed. What both hold is told apart by the cursor. Where nothing happens for a while, an
        empty part says so.
        """
        queue: asyncio.Queue[Window | None] = asyncio.Queue()
        self._streams.add(queue)
        telemetry.STREAMS.inc()
        try:
            self._wake.set()
            await self._following.wait()
            clock = asyncio.get_running_loop().time
            more, said = True, clock()
            while more:
                async with self._process.database.read() as connection:
                    part = await events.read(connection, reached, query, PAGE)
                if part.events:
                    yield Part([event for _, event in part.events])
                more, reached = part.more and part.cursor != reached, part.cursor
            while (window := await _next(queue)) is not None and queue.qsize() <= MAX_BEHIND:
                mine = window.part(query, reached)
                if mine.events or clock() - said >= QUIET_SECONDS:
                    said = clock()
                    yield mine
        finally:
            self._streams.discard(queue)
            telemetry.STREAMS.dec()

    async def now(self) -> Cursor:
        """The end of the log."""
        async with self._process.database.read() as connection:
            return await events.now(connection)

    async def _read_all(self) -> bool:
        """Hand out everything that is committed, waiting for older transactions where need be; False if the log could
        not be read.
        """
        more = True
        while more and not self._process.stopping.is_set():
            self._wake.clear()
            if not self._streams:
                self._following.clear()
                break
            try:
                if not self._following.is_set():
                    self._at = await self.now()
                    self._following.set()
                async with self._process.database.read() as connection:
                    part = await events.read(connection, self._at, Query(), PAGE)
            except Unavailable as error:
                log.warning("waiting", reason=str(error))
                return False
            if part.events:
                await self._hand_out(Window(part.events, self._at.low))
            elif part.more:
                await asyncio.sleep(RETRY_SECONDS)
            more, self._at = part.more, part.cursor
        return True

    async def _hand_out(self, window: Window) -> None:
        """To every stream; one that comes meanwhile reads what is in it from the log."""
        streams = list(self._streams)
        for start in range(0, len(streams), AT_ONCE):
            if start:
                await asyncio.sleep(BREATH_SECONDS)
            for stream in streams[start : start + AT_ONCE]:
                stream.put_nowait(window)

    async def _hints(self, connection: AbstractConnection) -> None:
        # A new name for each connection: the queue of the one before is exclusive and may outlive it for a while.
        queue = topology.hints_queue(uuid4().hex)
        await topology.declare(await connection.channel(), queue)
        self._wake.set()  # what was published before there was a queue for it
        async with asyncio.TaskGroup() as all_of_them:
            all_of_them.create_task(
                consume(connection, queue, self._hint, self._process.stopping, prefetch=1000, batch=1000)
            )
            for serve in self._beside:
                all_of_them.create_task(_coroutine(serve, connection))

    async def _hint(self, _: Sequence[Delivery]) -> None:
        self._wake.set()

    async def _wake_on_stop(self) -> None:
        await self._process.stopping.wait()
        self._wake.set()


async def _next(queue: asyncio.Queue[Window | None]) -> Window | None:
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            return await queue.get()
    except TimeoutError:
        return NOTHING


async def _coroutine(serve: Serve, connection: AbstractConnection) -> None:
    await serve(connection)

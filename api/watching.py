"""What somebody looks at: nodes are asked to tell what is used, and what they tell is handed to whoever looks.

Each api process asks for its own readers, again and again; a node that is not asked tells nothing. The past is the
node's to tell, so nothing here outlives the last reader.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import BrokerLost, pause
from pathfinder.broker.consume import Delivery, as_report, consume
from pathfinder.broker.publish import Publisher, QueueFull, Unroutable
from pathfinder.controllers.looks import Point, heard
from pathfinder.domain import commands
from pathfinder.domain.messages import Envelope, Exchange, encode

log = structlog.get_logger()

#: How often a node is asked again; it tells for three times as long.
RENEW_SECONDS = 10.0

#: The most of one series: the hour that a node tells, and an hour of what it tells then, every two seconds.
MOST_POINTS = 2_000

#: Ages are measured twice when a history is told twice.
BLUR_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a container on its node, or a node itself."""

    id: str
    node_id: str
    hostname: str
    cluster_id: str


class Series:
    """The points of one subject, oldest first, for as long as somebody reads them."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.readers = 0
        #: Has its node asked.
        self.asking: asyncio.Task[None] | None = None
        #: Set once the node told its past.
        self.told = asyncio.Event()
        #: Set when its node is to be asked at once.
        self.wanted = asyncio.Event()
        self._points: deque[Point] = deque(maxlen=MOST_POINTS)
        self._news = asyncio.Event()

    def after(self, at: float) -> list[Point]:
        """The points later than that moment."""
        return [one for one in self._points if one.at > at]

    async def more(self, at: float) -> list[Point]:
        """The same, once there are any."""
        while not (found := self.after(at)):
            await self._news.wait()
        return found

    def add(self, points: Sequence[Point], *, history: bool) -> None:
        """Take what was told; of a past only what is older than what is known, for several may have asked for it."""
        if history:
            first = self._points[0].at - BLUR_SECONDS if self._points else None
            self._points.extendleft(reversed([one for one in points if first is None or one.at < first]))
            self.told.set()
        else:
            self._points.extend(points)
        news, self._news = self._news, asyncio.Event()
        news.set()


class Watching:
    """The series of one api process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._series: dict[tuple[str, str], Series] = {}
        self._publisher: Publisher | None = None

    async def serve(self, connection: AbstractConnection) -> None:
        """Ask and hear over this connection until the process stops."""
        queue = topology.usage_queue(uuid4().hex)
        await topology.declare(await connection.channel(), queue)
        self._publisher = await Publisher.open(connection)
        for series in self._series.values():
            series.wanted.set()
        try:
            stopping = self._process.stopping
            await consume(connection, queue, self._hear, stopping, prefetch=100, batch=100, read=as_report)
        finally:
            self._publisher = None

    @asynccontextmanager
    async def watch(self, subject: Subject) -> AsyncIterator[Series]:
        """The series of a subject while the context is open; the first reader has its node asked."""
        key = subject.node_id, subject.id
        series = self._series.setdefault(key, Series(subject))
        series.readers += 1
        series.asking = series.asking or asyncio.create_task(self._ask(series))
        try:
            yield series
        finally:
            series.readers -= 1
            if not series.readers:
                series.asking.cancel()
                del self._series[key]

    async def _ask(self, series: Series) -> None:
        subject = series.subject
        while not self._process.stopping.is_set():
            series.wanted.clear()
            command = commands.watch(subject.cluster_id, subject.id, history=not series.told.is_set())
            try:
                if self._publisher is not None:
                    await self._publisher.publish(
                        Exchange.COMMANDS, subject.hostname, encode([command]), persistent=False
                    )
            except (Unroutable, QueueFull, BrokerLost) as error:
                log.warning("a node cannot be asked what it uses", node=subject.hostname, reason=str(error))
            await pause(series.wanted, RENEW_SECONDS)

    async def _hear(self, batch: Sequence[Delivery]) -> None:
        now = time.time()
        for delivery in batch:
            for envelope in delivery.envelopes:
                self._take(envelope, now)

    def _take(self, envelope: Envelope, now: float) -> None:
        series = self._series.get((envelope.subject, str(envelope.body.get("about"))))
        told = envelope.body.get("points")
        if series is not None and isinstance(told, list):
            points = [point for one in told if (point := heard(one, now)) is not None]
            series.add(points, history=bool(envelope.body.get("history")))

"""Part of the controller: looks for problems, writes what opened and what is over, and tells of it."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import count

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import pause
from pathfinder.broker.depths import depths, messages
from pathfinder.controllers import problems as engine
from pathfinder.controllers.noticing import News, Noticing
from pathfinder.controllers.situation import Survival
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.problems import Problem, ProblemKind
from pathfinder.store import problems, situation
from pathfinder.store.leadership import Leadership
from workers.leadership import while_leading
from workers.resilience import Watch
from workers.webhooks import deliver

log = structlog.get_logger()

#: How often is looked.
LOOK_SECONDS = 3.0

#: RabbitMQ has so long to tell of all nodes' queues; what it does not tell is not known.
ASK_SECONDS = 3.0

#: Every so manieth look is at what is dear to ask: each node's queue, each container.
SELDOM = 5

#: What the one process leads in that looks.
LEAD = "problems"


class Queues:
    """How much waits in RabbitMQ's shared queues, as of lately. `silent` counts the seconds without an answer.

    `deaf` are the READY nodes whose queue nobody reads, as the one process sees that looks for problems.
    """

    def __init__(self) -> None:
        self._answered = time.monotonic()
        self.depths: Mapping[str, int] | None = None
        self.deaf: Collection[str] | None = None

    @property
    def silent(self) -> float:
        """Seconds since RabbitMQ last answered; 0 while it does."""
        return 0.0 if self.depths is not None else time.monotonic() - self._answered

    async def measure(self, process: Process, connection: AbstractConnection) -> None:
        """Keep asking over this connection, until told to stop or it breaks."""
        channel = await connection.channel()
        try:
            for turn in count():
                if process.stopping.is_set():
                    return
                self.depths = {queue.name: await messages(channel, queue.name) for queue in topology.SHARED}
                if turn % SELDOM == 0:
                    self.deaf = await self._unread(process, connection) if LEAD in process.leading else None
                await pause(process.stopping, LOOK_SECONDS)
        finally:
            self.depths, self.deaf, self._answered = None, None, time.monotonic()

    async def _unread(self, process: Process, connection: AbstractConnection) -> Collection[str] | None:
        try:
            async with process.database.read() as tx:
                queues = {topology.node_queue(name).name: name for name in await situation.ready(tx)}
        except Unavailable:
            return None
        found = await depths(connection, list(queues), ASK_SECONDS)
        return [queues[one.name] for one in found.values() if not one.consumers]


async def run(process: Process, queues: Queues) -> None:
    """Look for problems until told to stop, while this process leads in it.

    A lead of its own: the controller's is given up while RabbitMQ is away, which is when there is much to tell.
    """
    await while_leading(process, LEAD, partial(_lead, process, queues))


async def _lead(process: Process, queues: Queues, lead: Leadership) -> None:
    async with asyncio.TaskGroup() as tasks:
        survival = Watch(process)
        tasks.create_task(survival.run())
        tasks.create_task(watch(process, queues, survival, lead))
        tasks.create_task(deliver(process))


async def watch(process: Process, queues: Queues, survival: Watch, lead: Leadership) -> None:
    """Look, and write what there is to tell, again and again."""
    noticing = Noticing()
    for turn in count():
        if process.stopping.is_set():
            return
        try:
            await look(lead, queues, noticing, survival.survivals, thorough=turn % SELDOM == 0)
        except Unavailable as error:
            # Where the lead is lost with it, this is about to be cancelled.
            log.warning("could not look for problems", reason=str(error))
        except Exception:
            # A mistake in here must not take the rest of the controller with it.
            log.exception("could not look for problems")
        await pause(process.stopping, LOOK_SECONDS)


async def look(
    lead: Leadership,
    queues: Queues,
    noticing: Noticing,
    survivals: tuple[Survival, ...] | None,
    *,
    thorough: bool = True,
) -> News:
    """Look once; what was written."""
    async with lead.begin() as tx:
        known = await problems.known(tx)
        waiting = queues.depths
        if waiting is not None:
            waiting = {name: depth for name, depth in waiting.items() if name != topology.DEAD.name}
        seen = await situation.read(tx, waiting, queues.silent, survivals, queues.deaf, thorough=thorough)
        news = noticing.news(engine.judge(seen, known), known, time.monotonic())
        if news:
            await problems.write(tx, news)
    _log(news)
    return news


async def look_at_one(
    lead: Leadership, kind: ProblemKind, noticing: Noticing, present: Sequence[Problem], now: float
) -> News:
    """Write what there is to tell, at `now`, of a kind that others than `look` look for; `present` is all of it."""
    async with lead.begin() as tx:
        known = {key: one for key, one in (await problems.known(tx)).items() if one.kind is kind}
        news = noticing.news(engine.Verdict(tuple(present), frozenset()), known, now)
        if news:
            await problems.write(tx, news)
    _log(news)
    return news


def _log(news: News) -> None:
    for one in news.opened:
        log.warning("problem", key=one.key, summary=one.summary)
    for key in news.ended:
        log.info("problem is over", key=key)

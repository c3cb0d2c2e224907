"""Deployments: their replicas are made what is wanted of them. A part of the controller's leader."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import backoff, pause
from pathfinder.broker.consume import Delivery, consume
from pathfinder.domain.errors import Contended, Unavailable
from pathfinder.failpoints import point
from pathfinder.store import rollouts

log = structlog.get_logger()

#: So many deployments are looked at at once.
AT_ONCE = 4

#: What changes within this time is looked at together. And after this time it is asked what is due, told or not.
GATHER_SECONDS, ASK_SECONDS = 0.1, 1.0

#: While very much changes, so many times the last looks' time is let to pass before the next: whole fleets of replicas
#: that come up are worth few looks, and what makes them come up needs the processors, too.
REST = 1.0


class Deployments:
    """The leader's looks at deployments. What is due is in the store: messages only say that something may be."""

    def __init__(self, process: Process, connection: AbstractConnection) -> None:
        self._process = process
        self._connection = connection
        self._woken = asyncio.Event()
        self._failures: dict[UUID, int] = {}
        #: Deployments whose look failed, and when there may be another.
        self._put_off: dict[UUID, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._look())
            both.create_task(
                consume(
                    self._connection,
                    topology.DEPLOYMENTS,
                    self._wake,
                    self._process.stopping,
                    prefetch=1000,
                    batch=1000,
                )
            )

    async def _wake(self, batch: Sequence[Delivery]) -> None:
        self._woken.set()
        await pause(self._process.stopping, GATHER_SECONDS)

    async def _look(self) -> None:
        clock, sweep_at, attempt = asyncio.get_running_loop().time, 0.0, 0
        while not self._process.stopping.is_set():
            self._woken.clear()
            try:
                if clock() >= sweep_at:
                    async with self._process.database.begin() as tx:
                        await rollouts.touch_all(tx)
                    sweep_at = clock() + self._process.settings.sweep_seconds
                begin = clock()
                looked = await self._look_at_due(begin)
                attempt = 0
            except Unavailable as error:
                log.warning("deployments put off", reason=str(error))
                await pause(self._process.stopping, backoff(attempt))
                attempt += 1
                continue
            if looked:
                await pause(self._process.stopping, min(REST * (clock() - begin), ASK_SECONDS))
            else:
                await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _look_at_due(self, now: float) -> int:
        """Look at everything that is due; how many that were."""
        async with self._process.database.read() as tx:
            due = [one for one in await rollouts.due(tx) if self._put_off.get(one, 0.0) <= now]
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as looks:
            for id_ in due:
                looks.create_task(self._in_turn(slots, id_))
        return len(due)

    async def _in_turn(self, slots: asyncio.Semaphore, id_: UUID) -> None:
        async with slots:
            if self._process.stopping.is_set():
                return
            try:
                await self._once(id_)
            except Exception as error:
                # It stays due. One that cannot be looked at keeps nobody from the others.
                failures = self._failures[id_] = self._failures.get(id_, 0) + 1
                self._put_off[id_] = asyncio.get_running_loop().time() + backoff(failures)
                if isinstance(error, Contended):
                    return
                if isinstance(error, Unavailable):
                    log.warning("deployment put off", deployment=str(id_), reason=str(error))
                else:
                    log.exception("deployment not looked at", deployment=str(id_))
                telemetry.LOOKS.labels("failed").inc()
            else:
                self._failures.pop(id_, None)
                self._put_off.pop(id_, None)

    async def _once(self, id_: UUID) -> None:
        with telemetry.timed(telemetry.LOOK_SECONDS):
            async with self._process.database.begin() as tx:
                plan = await rollouts.look(tx, id_, uuid4().hex, self._process.rules)
                point("controller.deployment.written")
        point("controller.deployment.committed")
        acted = plan is not None and (plan.delete or plan.change or plan.create)
        telemetry.LOOKS.labels("acted" if acted else "nothing").inc()

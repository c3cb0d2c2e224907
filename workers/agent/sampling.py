"""What the node's containers use, looked at now and then beside the heartbeats, which never wait for it.

The newest look goes with a heartbeat; an hour of them is kept here. While somebody looks at a page of a container or of
the node, its use is told every few seconds.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from pathfinder.broker.connection import BrokerLost, pause
from pathfinder.broker.publish import QueueFull, Unroutable
from pathfinder.controllers.looks import LEAST_SECONDS, History, Point, Rates, together, told
from pathfinder.domain.instances import ContainerUsage, NodeUsage
from pathfinder.domain.messages import Envelope, Report
from pathfinder.runtime.port import Runtime, RuntimeFailure
from workers.agent import lease
from workers.agent.admission import Membership
from workers.agent.reporting import Reporter

log = structlog.get_logger()

#: So long an answer is waited for.
ANSWER_SECONDS = 10.0

#: Who looks is told this often, but a look never takes more than so small a part of the time.
WATCHED_SECONDS = 2.0
SHARE = 20

#: What is asked for is told so long; who goes on looking asks again.
ATTENTION_SECONDS = 30.0
#: Pages of one node that are looked at at once; who comes later is not told.
MOST_WATCHED = 100


class Sampler:
    """Looks every `seconds`, and more often while somebody watches.

    Each regular look is told with one heartbeat; the next makes up for one that gets lost. With 60 containers a look
    takes 150 ms of LXD's processor time: every 15 s, a hundredth of a core; an hour of them takes 3 MB of memory.
    """

    def __init__(self, runtime: Runtime, membership: Membership, seconds: float) -> None:
        self._seconds = seconds
        self._runtime = runtime
        self._membership = membership
        self._sample: dict[str, Any] | None = None
        self._regular, self._live, self._history = Rates(), Rates(), History()
        #: Until when each id is told of, and those whose history is to be told once.
        self._watched: dict[str, float] = {}
        self._asked: set[str] = set()
        self._soon = asyncio.Event()
        self._looked = self._took = 0.0
        self._due = 0.0
        #: How busy the machine is, as of the last heartbeat; set by those.
        self.machine: NodeUsage | None = None
        #: Set while a connection to RabbitMQ stands.
        self.reporter: Reporter | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._soon.clear()
            await self._tell_history()
            if lease.now() >= self._due:
                await self.look()
            elif lease.now() - self._looked >= LEAST_SECONDS:
                await self._tell(await self._used())
            await pause(self._soon, self._pause())

    async def look(self) -> None:
        """A regular look; what the runtime does not say is not told."""
        self._due = lease.now() + self._seconds
        used = await self._used()
        if used is None:
            return
        points = self._regular.points(self._looked, used)
        self._history.note(self._with_node(points))
        self._sample = {
            # Of a clock that is never set; only differences mean something.
            "at": round(self._looked, 3),
            "usages": {
                id_: [round(one.cpu_seconds, 3), one.memory_bytes, one.received_bytes, one.sent_bytes]
                for id_, one in used.items()
            },
        }
        await self._tell(used)

    def take(self) -> dict[str, Any]:
        """What a heartbeat tells of it besides: nothing where that was told already."""
        sample, self._sample = self._sample, None
        return {} if sample is None else {"containers": sample}

    def watch(self, command: Envelope) -> None:
        """Somebody looks at this container, or at this node."""
        now = lease.now()
        self._watched = {id_: until for id_, until in self._watched.items() if until > now}
        if command.subject in self._watched or len(self._watched) < MOST_WATCHED:
            self._watched[command.subject] = now + ATTENTION_SECONDS
            if command.body.get("history"):
                self._asked.add(command.subject)
            self._soon.set()

    def _pause(self) -> float:
        now = lease.now()
        regular = max(0.0, self._due - now)
        if not any(until > now for until in self._watched.values()):
            return regular
        return min(regular, max(WATCHED_SECONDS, SHARE * self._took))

    async def _used(self) -> Mapping[str, ContainerUsage] | None:
        """What the runtime says now. Nothing that depends on it is worth the agent."""
        begin = lease.now()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                used = await self._runtime.usages(self._membership.now.cluster_id)
        except (RuntimeFailure, TimeoutError) as error:
            log.warning("no usage of containers", error=str(error))
            return None
        except Exception:
            log.exception("no usage of containers")
            return None
        self._looked = lease.now()
        self._took = self._looked - begin
        return used

    def _with_node(self, points: dict[str, Point]) -> dict[str, Point]:
        whole = together(self._looked, points.values(), self.machine)
        return {**points, self._membership.now.node_id: whole}

    async def _tell(self, used: Mapping[str, ContainerUsage] | None) -> None:
        """Tell of what is watched now."""
        if used is None or not self._watched:
            return
        points, now = self._with_node(self._live.points(self._looked, used)), lease.now()
        for id_, until in self._watched.items():
            if until > now and id_ in points:
                await self._report(id_, [points[id_]])

    async def _tell_history(self) -> None:
        while self._asked:
            id_ = self._asked.pop()
            await self._report(id_, self._history.of(id_), history=True)

    async def _report(self, id_: str, points: list[Point], *, history: bool = False) -> None:
        """Say it to every api; those that nobody looks through pass it over."""
        if self.reporter is None:
            return
        now = lease.now()
        body = {"about": id_, "points": [told(one, now) for one in points], **({"history": True} if history else {})}
        try:
            await self.reporter.about_node(Report.USAGE, body, persistent=False)
        except (Unroutable, QueueFull, BrokerLost, TimeoutError):
            return  # whoever still looks asks again

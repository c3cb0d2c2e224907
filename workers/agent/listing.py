"""The node's full list, sent on connect, when asked for, and now and then: it repairs what messages missed."""

import asyncio
import time
from typing import Any

import structlog

from pathfinder.broker.connection import pause
from pathfinder.broker.publish import QueueFull, Unroutable
from pathfinder.domain.messages import Report
from pathfinder.runtime.port import RuntimeFailure
from workers.agent.admission import Membership
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist

log = structlog.get_logger()


class Lister:
    """Sends the list; `soon` asks for one out of turn."""

    def __init__(self, worklist: Worklist, membership: Membership, seconds: float) -> None:
        self._worklist = worklist
        self._membership = membership
        self._seconds = seconds
        self._wanted = asyncio.Event()
        self._first_seen: dict[tuple[str, int], float] = {}

    def soon(self) -> None:
        """Send a list as soon as the one under way, if any, is sent."""
        self._wanted.set()

    async def run(self, reporter: Reporter) -> None:
        """Send lists over `reporter` until cancelled."""
        while True:
            self._wanted.clear()
            try:
                await reporter.about_node(Report.INVENTORY, await self._list(), persistent=True)
            except (RuntimeFailure, Unroutable, QueueFull) as error:
                log.warning("no inventory", error=str(error))
            await pause(self._wanted, self._seconds)

    async def _list(self) -> dict[str, Any]:
        """The list, and the containers whose entries may be out of date because they were worked on meanwhile."""
        epoch, term = self._membership.now.epoch, self._worklist.term
        await self._worklist.keep_fences()
        with self._worklist.watching() as touched:
            instances = await self._worklist.runtime.instances(self._worklist.cluster_id)
        checking = self._worklist.checking
        await checking.sync(instances, touched, term)
        now = time.monotonic()
        keys = {(one.container_id or "", one.generation) for one in instances}
        for gone in self._first_seen.keys() - keys:
            del self._first_seen[gone]
        return {
            "epoch": epoch,
            "images": await self._worklist.runtime.images(),
            "instances": [
                {
                    "container_id": one.container_id,
                    "hostname": one.hostname,
                    "generation": one.generation,
                    "running": one.running,
                    "address": one.address,
                    "digest": one.digest,
                    "seen_seconds": now - self._first_seen.setdefault((one.container_id or "", one.generation), now),
                }
                for one in instances
            ],
            # Those that ended are started anew by this agent, in its time.
            "busy": sorted(touched | checking.resting),
            "bootstraps": sorted(self._worklist.bootstraps.in_hand),
            "health": checking.told(),
        }

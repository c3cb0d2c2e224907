"""What an agent says unasked: heartbeats, and full lists."""

import asyncio
import time
from dataclasses import asdict
from typing import Any

import structlog

from pathfinder.broker.publish import QueueFull, Unroutable
from pathfinder.domain.messages import Report
from pathfinder.runtime.port import Runtime, RuntimeFailure
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist

log = structlog.get_logger()


async def heartbeats(reporter: Reporter, runtime: Runtime, seconds: float) -> None:
    """Say now and then that the node lives, and how busy it is."""
    while True:
        try:
            # A runtime that hangs must not silence the node: its lease is about the node, not about one daemon.
            usage = asdict(await asyncio.wait_for(runtime.usage(), seconds))
        except (RuntimeFailure, TimeoutError) as error:
            log.warning("no usage", error=str(error))
            usage = {}
        try:
            await reporter.about_node(Report.HEARTBEAT, usage, persistent=False)
        except Unroutable:
            log.warning("nobody takes heartbeats")
        await asyncio.sleep(seconds)


async def inventories(reporter: Reporter, worklist: Worklist, seconds: float) -> None:
    """Send the full list on connect and now and then: messages make it fast, this makes it right."""
    first_seen: dict[tuple[str, int], float] = {}
    while True:
        try:
            await reporter.about_node(Report.INVENTORY, await _inventory(worklist, first_seen), persistent=True)
        except (RuntimeFailure, Unroutable, QueueFull) as error:
            log.warning("no inventory", error=str(error))
        await asyncio.sleep(seconds)


async def _inventory(worklist: Worklist, first_seen: dict[tuple[str, int], float]) -> dict[str, Any]:
    """The list, and the containers whose entries may be out of date because they were worked on meanwhile."""
    with worklist.watching() as touched:
        instances = await worklist.runtime.instances(worklist.cluster_id)
    now = time.monotonic()
    keys = {(one.container_id or "", one.generation) for one in instances}
    for gone in first_seen.keys() - keys:
        del first_seen[gone]
    return {
        "instances": [
            {
                "container_id": one.container_id,
                "hostname": one.hostname,
                "generation": one.generation,
                "running": one.running,
                "address": one.address,
                "seen_seconds": now - first_seen.setdefault((one.container_id or "", one.generation), now),
            }
            for one in instances
        ],
        "busy": sorted(touched),
    }

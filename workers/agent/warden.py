"""warden: stops a node's stateless containers when its lease has run out, before they are started elsewhere.

The agent runs one; a second one, in a process of its own (`pathfinder run warden`), acts where the agent hangs. It
needs the machine and LXD alone: no broker, no API, no database. A whole machine that hangs stops nothing: that takes a
fence from outside (docs/concepts/healing.md).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import backoff, pause
from pathfinder.domain.instances import Instance
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.runtime.port import Runtime, RuntimeFailure, RuntimeUnreachable
from pathfinder.runtime.select import open_runtime
from pathfinder.settings import Settings
from workers.agent import lease
from workers.agent.lease import Right

log = structlog.get_logger()

#: How often the lease is looked at, on this machine alone, and what runs once it is over: a start may be under way.
LOOK_SECONDS = 0.25

#: The process of its own leaves the agent's the first try.
PATIENCE_SECONDS = 1.0

#: A guard that starts with a lease that has been over for so long gives the agent a moment to be heard first. Whatever
#: a control plane would start elsewhere has been by now; and a site that was switched off as a whole, which has started
#: nothing elsewhere, keeps its containers. A lease that runs, or ran out just now, gives no such moment: the agent and
#: the warden may have been restarted while the node is cut off. After a boot, which ends every lease, nothing of ours
#: runs: LXD starts no stateless container by itself.
LONG_OVER_SECONDS, START_SECONDS = 60.0, 2.0

LEASE_FILE = "lease.json"


async def run(process: Process) -> None:
    """Guard this node until told to stop."""
    settings = process.settings
    if settings.runtime == "simulated":
        log.info("nothing to guard: a simulated node's instances end with its agent")
        await process.stopping.wait()
        return
    runtime = await _open(settings, process.stopping)
    if runtime is not None:
        try:
            await guard(runtime, partial(lease.read, lease_path(settings)), process.stopping, PATIENCE_SECONDS)
        finally:
            await runtime.close()


async def _open(settings: Settings, stopping: asyncio.Event) -> Runtime | None:
    attempt = 0
    while not stopping.is_set():
        try:
            return await open_runtime("lxd", settings.lxd_socket, settings.state_dir)
        except RuntimeUnreachable as error:
            log.warning("waiting", reason=str(error))
        await pause(stopping, backoff(attempt))
        attempt += 1
    return None


def lease_path(settings: Settings) -> Path:
    """Where a node's agent and warden keep its lease."""
    return (settings.lease_dir or settings.state_dir) / LEASE_FILE


async def guard(
    runtime: Runtime, read: Callable[[], Right | None], stopping: asyncio.Event, patience_seconds: float = 0.0
) -> None:
    """Stop stateless containers whenever the lease that `read` gives has run out for `patience_seconds`."""
    right = read()
    if right is not None and right.overdue_seconds >= LONG_OVER_SECONDS:
        await pause(stopping, START_SECONDS)
    while not stopping.is_set():
        right = read()
        if right is not None and right.overdue_seconds >= patience_seconds:
            await _fence(runtime, right.cluster_id)
        await pause(stopping, LOOK_SECONDS)


async def _fence(runtime: Runtime, cluster_id: str) -> None:
    """Stop what would be started elsewhere."""
    try:
        there = await runtime.instances(cluster_id)
    except RuntimeFailure as error:
        log.error("cannot fence", error=str(error))
        return
    running = [one for one in there if one.running and one.type == ContainerType.STATELESS]
    if running:
        log.warning("lease lost; stopping what is started elsewhere soon", containers=len(running))
        await asyncio.gather(*(_stop(runtime, one) for one in running))


async def _stop(runtime: Runtime, instance: Instance) -> None:
    try:
        await runtime.stop(instance.hostname, 0)
    except RuntimeFailure as error:
        log.error("not stopped", hostname=instance.hostname, error=str(error))
    else:
        log.warning("stopped", hostname=instance.hostname)

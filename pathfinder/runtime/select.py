"""Chooses what an agent drives: LXD where it answers, else a simulation that says that it is one."""

from pathlib import Path
from typing import Literal

import structlog

from pathfinder.runtime.lxd import LxdRuntime
from pathfinder.runtime.port import Runtime, RuntimeUnreachable
from pathfinder.runtime.simulated import SimulatedRuntime

log = structlog.get_logger(__name__)

RuntimeKind = Literal["auto", "lxd", "simulated"]


async def open_runtime(kind: RuntimeKind, socket: Path | None, state_dir: Path) -> Runtime:
    """The runtime to drive; the caller closes it.

    `auto` falls back to a simulation, with one line in the log that says why; `lxd` never does.
    A simulation keeps its instances in `state_dir`. Raises RuntimeUnreachable for `lxd`.
    """
    if kind == "simulated":
        return _simulated(state_dir, "asked for by PATHFINDER_RUNTIME=simulated")
    try:
        return await _lxd(socket)
    except RuntimeUnreachable as failure:
        if kind == "lxd":
            raise
        return _simulated(state_dir, str(failure))


async def _lxd(socket: Path | None) -> LxdRuntime:
    runtime = LxdRuntime(socket)
    try:
        facts = await runtime.facts()  # a socket file may outlive its daemon: only an answer counts
    except BaseException:
        await runtime.close()
        raise
    log.info("runtime.lxd", socket=str(runtime.socket), version=facts.runtime_version, pool=facts.pool_driver)
    return runtime


def _simulated(state_dir: Path, reason: str) -> SimulatedRuntime:
    log.warning("runtime.simulated", reason=reason, hint="containers here are not real")
    # The directory is what tells one agent's machine from another's on the same host.
    return SimulatedRuntime(str(state_dir.resolve()), journal=state_dir / "simulated-instances.jsonl")

"""Hears at once that a container's init ended. The inventory finds those that were missed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from pathfinder.broker.connection import backoff, pause
from pathfinder.runtime.port import Runtime, RuntimeFailure

log = structlog.get_logger()


async def hear(runtime: Runtime, look: Callable[[str], Awaitable[None]], stopping: asyncio.Event) -> None:
    """Call `look` with the hostname of each instance that ends, until `stopping`; whatever becomes of the daemon."""
    attempt = 0
    while not stopping.is_set():
        try:
            async with aclosing(runtime.endings()) as endings:
                async for hostname in endings:
                    attempt = 0
                    await look(hostname)
        except RuntimeFailure as error:
            log.warning("not told which containers end; the inventory finds them", reason=str(error))
        except Exception:
            log.exception("not told which containers end")  # a hint is not worth the agent
        await pause(stopping, backoff(attempt))
        attempt += 1

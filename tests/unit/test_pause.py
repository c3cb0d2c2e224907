"""Waiting for a while, but not beyond the end of the process."""

import asyncio

import pytest

from pathfinder.broker.connection import pause


async def test_a_pause_that_is_cancelled_while_the_process_stops_is_cancelled() -> None:
    """Else a loop that waits to be cancelled would run on for ever."""
    stopping = asyncio.Event()

    async def wait() -> None:
        while True:
            await pause(stopping, 60)
            await asyncio.sleep(0)

    for turns in range(4):
        stopping.clear()
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        stopping.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await waiting


async def test_a_pause_ends_after_its_time() -> None:
    """And says nothing."""
    await pause(asyncio.Event(), 0)

"""A connection that ends tells whoever waits for it that they were cancelled; nobody may vanish because of that."""

import asyncio

import pytest

from pathfinder.broker.connection import BrokerLost, as_lost
from workers.agent import _lasting


async def waits_for_what_is_cancelled() -> None:
    """As for a confirm on a channel that is torn down."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def test_a_group_hears_of_a_task_that_was_cancelled_by_nobody() -> None:
    """By itself it does not: it would go on without it, as an agent that beats no more."""
    async with asyncio.TaskGroup() as unheard:
        unheard.create_task(waits_for_what_is_cancelled())

    with pytest.raises(ExceptionGroup) as heard:
        async with asyncio.TaskGroup() as group:
            group.create_task(_lasting(waits_for_what_is_cancelled()))

    assert heard.group_contains(BrokerLost)


async def test_a_cancellation_and_a_timeout_of_our_own_go_through() -> None:
    """They are meant."""

    async def waits() -> None:
        with as_lost():
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await waits()

"""The scheduler's alarm: whatever is due rings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from pathfinder.bootstrap import Process
from pathfinder.store import due
from pathfinder.store.due import Due
from workers import alarm
from workers.alarm import Alarm


class Stub:
    """A process whose store has something that stays due."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.database = self

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        """No connection."""
        yield None


async def test_what_stays_due_keeps_nothing_else_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be in the hands of somebody who hangs; who is to be looked at soon in another cluster is, once."""
    stuck, other = uuid4(), uuid4()
    process, rung = Stub(), list[UUID]()

    async def next_due(*_: Any) -> tuple[Due, datetime]:
        return Due(stuck, False, -100.0), datetime.now(UTC)

    async def ring(_: Alarm, one: Due) -> None:
        rung.append(one.cluster_id)
        if other in rung and rung[-2:] == [stuck, stuck]:
            process.stopping.set()

    monkeypatch.setattr(due, "next_due", next_due)
    monkeypatch.setattr(alarm, "AGAIN_SECONDS", 0.001)
    ringing = Alarm(cast(Process, process), ring)
    ringing.ring_soon(other)
    async with asyncio.timeout(30):
        await ringing.run()

    assert rung.count(other) == 1

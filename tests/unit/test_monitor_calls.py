"""DOWN nodes that are heard are called back, also where PostgreSQL undid the first call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock, Mock
from uuid import UUID

import pytest

import workers.monitor
from pathfinder.broker.consume import Delivery
from pathfinder.controllers.liveness import Caller
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Command, Envelope, Report
from pathfinder.settings import Settings
from pathfinder.store.nodes import Node
from workers.monitor import Monitor

NODE = Node(UUID(int=1), UUID(int=2), "node-01", down=True)
BEAT = Envelope(Report.HEARTBEAT, str(NODE.cluster_id), str(NODE.id), body={"usage": {}})


class Lead:
    """Leads, and loses the first transaction when it is to be committed."""

    def __init__(self) -> None:
        self.lost = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Mock]:
        """A transaction."""
        yield Mock()
        if not self.lost:
            self.lost = True
            raise Unavailable("PostgreSQL undid this change")


async def test_a_call_that_was_undone_is_made_with_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the node would stay DOWN until the call, which nobody made, counts as lost."""
    record = AsyncMock()
    monkeypatch.setattr(workers.monitor.capacity, "note", AsyncMock())
    monkeypatch.setattr(workers.monitor.leases, "renew", AsyncMock())
    monkeypatch.setattr(workers.monitor.nodes, "down", AsyncMock(return_value=[(NODE, Caller(NODE.id, 3, new=False))]))
    monkeypatch.setattr(workers.monitor.journal, "record", record)
    stopping = asyncio.Event()
    stopping.set()
    monitor = Monitor(Mock(settings=Settings(), stopping=stopping), Mock(), Lead())  # type: ignore[arg-type]
    batch = [Delivery(Mock(), [BEAT])]

    with pytest.raises(Unavailable):
        await monitor._heartbeats(batch)
    await monitor._heartbeats(batch)

    _, _, told = record.call_args.args
    assert [one.kind for one in told["node-01"]] == [Command.REJOIN]

"""Keeping dead letters: from `pathfinder.dead` into the store, where people find them. A part of the recorder."""

from collections.abc import Sequence
from functools import partial

import structlog
from aio_pika.abc import AbstractConnection

from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.consume import Delivery, consume
from pathfinder.controllers.dead_letters import letter
from pathfinder.failpoints import point
from pathfinder.store import dead_letters

log = structlog.get_logger()


async def keep(process: Process, connection: AbstractConnection) -> None:
    """Keep what arrives until told to stop."""
    # What is there was readable by nobody: it is kept as it is.
    await consume(
        connection, topology.DEAD, partial(_keep, process), process.stopping, prefetch=50, batch=50, read=lambda _: []
    )


async def _keep(process: Process, batch: Sequence[Delivery]) -> None:
    letters = [
        letter(one.message.body, one.message.headers, one.message.message_id, one.message.routing_key or "")
        for one in batch
    ]
    kept = {one.key: one for one in letters if one is not None}
    if len(letters) > len(kept):
        log.info("messages that only made room or came twice were left out", count=len(letters) - len(kept))
    if kept:
        async with process.database.begin() as tx:
            await dead_letters.insert(tx, list(kept.values()))
            point("dead_letters.written")
        point("dead_letters.committed")

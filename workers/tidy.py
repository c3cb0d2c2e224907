"""Removing what is no longer needed: now and then, a little of each table at a time. A part of the controller."""

import asyncio

import structlog

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Contended, Unavailable
from pathfinder.store import pruning

log = structlog.get_logger()

#: How often is looked for something to remove, unless more is known to be there.
EVERY_SECONDS = 60.0


class Tidy:
    """Call `run` as often as you like: it does something when that is due."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._due = 0.0

    async def run(self) -> None:
        """Remove a batch from each table, if it is time; soon again where that was not all.

        Never raises: what cannot be removed now is no reason to watch over nothing.
        """
        clock = asyncio.get_running_loop().time
        if clock() < self._due:
            return
        self._due = clock() + EVERY_SECONDS
        for table, prune in pruning.steps(self._process.settings).items():
            try:
                async with self._process.database.begin() as tx:
                    await pruning.hurry(tx)
                    removed = await prune(tx)
            except Contended:
                continue  # somebody is at work there: the next time, then
            except Unavailable:
                return
            except Exception:
                log.exception("not tidied", table=table)
                continue
            telemetry.TIDIED.labels(table.partition(" ")[0]).inc(removed)
            if removed >= pruning.BATCH:
                self._due = clock()

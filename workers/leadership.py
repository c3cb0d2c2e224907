"""One leader among the processes of a role: it works, the others stand by."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import backoff, pause
from pathfinder.domain.errors import Unavailable
from pathfinder.store import leadership
from pathfinder.store.leadership import Leadership

log = structlog.get_logger()

#: How often a leader proves that it leads, and a follower asks whether it may.
ASK_SECONDS = 1.0

Work = Callable[[Leadership], Awaitable[None]]


async def while_leading(process: Process, name: str, work: Work) -> None:
    """Do `work` while this process is the leader called `name`, and again each time it becomes that; until stopping.

    `work` returns when the process stops. It is cancelled when the lead is lost, and its transactions through
    `Leadership.begin` do not commit then. Unavailable out of it gives up the lead; every other error is raised.
    """
    attempt = 0
    while not process.stopping.is_set():
        try:
            async with leadership.session(process.database, name) as session:
                attempt = 0
                while not process.stopping.is_set():
                    if lead := await leadership.take(session, name):
                        await _lead(process, lead, work)
                        break
                    await pause(process.stopping, ASK_SECONDS)
        except Unavailable as error:
            log.warning("not leading", name=name, reason=str(error))
            attempt += 1
        await pause(process.stopping, backoff(attempt))


async def _lead(process: Process, lead: Leadership, work: Work) -> None:
    log.info("leading", name=lead.name)
    process.leading.add(lead.name)
    working = asyncio.ensure_future(work(lead))
    proving = asyncio.ensure_future(_prove(lead))
    try:
        await asyncio.wait({working, proving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        process.leading.discard(lead.name)
        for task in (working, proving):
            task.cancel()
        results = await asyncio.gather(working, proving, return_exceptions=True)
    # What went wrong with the work counts more than that the lead was lost.
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _prove(lead: Leadership) -> None:
    """Prove again and again; ends with an error once there is no proof any more."""
    while True:
        await asyncio.sleep(ASK_SECONDS)
        await lead.prove()

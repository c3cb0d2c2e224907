"""Part of the controller: sends notices of problems to webhooks, to each by itself: none waits for another."""

import asyncio
import random
from datetime import UTC, datetime
from uuid import UUID

import structlog

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.controllers.notices import prepare, wait_seconds
from pathfinder.domain.errors import Unavailable
from pathfinder.posting import Answer, post
from pathfinder.store import webhooks
from pathfinder.store.webhooks import Receiver

log = structlog.get_logger()

#: How often is looked for notices that are due.
LOOK_SECONDS = 1.0


async def deliver(process: Process) -> None:
    """Send what is due until told to stop."""
    busy: dict[UUID, asyncio.Task[None]] = {}
    try:
        while not process.stopping.is_set():
            busy = {id_: task for id_, task in busy.items() if not task.done()}
            try:
                async with process.database.begin() as tx:
                    waiting = await webhooks.waiting(tx)
            except Unavailable as error:
                log.warning("notices wait", reason=str(error))
                waiting = []
            for receiver in waiting:
                if receiver.id not in busy:
                    busy[receiver.id] = asyncio.create_task(_drain(process, receiver))
            await pause(process.stopping, LOOK_SECONDS)
    finally:
        # What is cut off here is claimed again, and sent with the same id.
        for task in busy.values():
            task.cancel()
        await asyncio.gather(*busy.values(), return_exceptions=True)


async def _drain(process: Process, receiver: Receiver) -> None:
    try:
        while not process.stopping.is_set() and (answer := await send_one(process, receiver)):
            if not answer.taken:
                return
    except Unavailable as error:
        log.warning("notices wait", webhook=receiver.name, reason=str(error))
    except Exception:
        log.exception("could not send a notice", webhook=receiver.name)


async def send_one(process: Process, receiver: Receiver) -> Answer | None:
    """Send the next notice that is due for a webhook; None if there is none."""
    async with process.database.begin() as tx:
        claimed = await webhooks.claim(tx, receiver.id)
    if claimed is None:
        return None
    notice = claimed.notice
    answer = await post(prepare(receiver.format, receiver.url, receiver.secret, notice, datetime.now(UTC)))
    told = {"webhook": receiver.name, "key": notice.key, "state": notice.state}
    async with process.database.begin() as tx:
        if answer.taken:
            await webhooks.taken(tx, notice.id)
            log.debug("notice taken", **told)
        else:
            again = wait_seconds(claimed.attempt, random.random())  # noqa: S311 - jitter is no secret
            await webhooks.failed(tx, receiver, notice, answer.words, again)
            log.warning("notice not taken" if again else "notice given up", reason=answer.words, **told)
    return answer

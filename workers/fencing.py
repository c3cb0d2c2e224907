"""The fencing hook: the operator's own way to make sure that nothing runs on a silent machine any more."""

import asyncio
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import httpx2
import structlog

from pathfinder.broker.connection import backoff
from pathfinder.domain.errors import Unavailable
from pathfinder.settings import Settings
from pathfinder.store import healing
from pathfinder.store.healing import DownNode
from pathfinder.store.leadership import Leadership

log = structlog.get_logger()


class Fence:
    """Fences nodes whose stateful containers are to be taken over, then lets those go. Never holds up the monitor."""

    def __init__(self, settings: Settings, lead: Leadership) -> None:
        self._settings = settings
        self._lead = lead
        self._working: dict[UUID, asyncio.Task[None]] = {}

    def take_over(self, wanted: Sequence[DownNode]) -> None:
        """See to these nodes, each once at a time."""
        self._working = {id_: task for id_, task in self._working.items() if not task.done()}
        for each in wanted:
            if each.node.id not in self._working:
                self._working[each.node.id] = asyncio.create_task(self._see_to(each))

    async def _see_to(self, each: DownNode) -> None:
        with suppress(Unavailable):
            if not each.fenced and (self._settings.fence_command or self._settings.fence_url):
                failure = await fence(self._settings, each.node.hostname, each.ipaddress)
                async with self._lead.begin() as tx:
                    await healing.note_fencing(tx, each.node, failure)
                if failure is not None:
                    log.error("not fenced", node=each.node.hostname, reason=failure)
                    await asyncio.sleep(backoff(10))
                    return
            async with self._lead.begin() as tx:
                moved = await healing.replace(tx, each.node, takeovers=True)
            log.warning("taken over", node=each.node.hostname, containers=moved)


async def fence(settings: Settings, hostname: str, ipaddress: str) -> str | None:
    """Call the hook for a node; None if it says that nothing runs there any more, else why not."""
    try:
        async with asyncio.timeout(settings.fence_timeout_seconds):
            if settings.fence_command:
                return await _run(settings.fence_command, hostname, ipaddress)
            return await _post(str(settings.fence_url), hostname, ipaddress)
    except TimeoutError:
        return f"the hook took longer than {settings.fence_timeout_seconds:g} s"


async def _run(command: str, hostname: str, ipaddress: str) -> str | None:
    environment = {**os.environ, "PATHFINDER_NODE": hostname, "PATHFINDER_NODE_ADDRESS": ipaddress}
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            hostname,
            ipaddress,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return f"the command cannot be run: {error.strerror}"
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode == 0:
        return None
    return f"the command ended with {process.returncode}: {output.decode(errors='replace').strip()[-300:]}"


async def _post(url: str, hostname: str, ipaddress: str) -> str | None:
    try:
        async with httpx2.AsyncClient() as client:
            answer = await client.post(url, json={"node": hostname, "ipaddress": ipaddress})
    except httpx2.HTTPError as error:
        return f"the webhook does not answer: {error or type(error).__name__}"
    return None if answer.is_success else f"the webhook answered {answer.status_code}"

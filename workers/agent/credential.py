"""The node's credential: on disk, so that a restart needs no join token, and another one before it is old.

The agent itself makes the next credential, and has it on disk before the API hears of it, which is told its SHA-256
only. So whatever is lost or dies in between, one of the two on disk is good: the former one is until the next was used.
"""

import asyncio
import os
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import SystemRandom
from typing import Any, Protocol

import httpx2
import orjson
import structlog

from pathfinder import tls
from pathfinder.broker.connection import pause

log = structlog.get_logger()

_HOUR = 3600.0
#: A credential is old somewhat early, each node's at another moment: not all of a fleet in the same one.
EARLY = (0.8, 1.0)
#: How long after a change that did not succeed the next is tried.
AGAIN_SECONDS = 60.0
TIMEOUT_SECONDS = 10.0
_RANDOM = SystemRandom()


class Refused(Exception):
    """The API did not take the next credential; the message has its words."""


class Kept:
    """The credentials on disk, readable by the agent alone: `token`, and `next` while it is being changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tokens(self) -> list[str]:
        """What may be good, the newest first."""
        found = self._read()
        return [str(found[name]) for name in ("next", "token") if found.get(name)]

    def following(self) -> str | None:
        """What was begun with, and not finished."""
        return self._read().get("next")

    def keep(self, admission: dict[str, Any]) -> None:
        """Replace all of it, or nothing. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)  # one that is there keeps its mode
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(admission))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        # The former credential ends soon: a power cut must not bring back the file of before.
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _read(self) -> dict[str, Any]:
        try:
            found = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}


class Holder(Protocol):
    """Who goes by the credential."""

    async def renew(self) -> None:
        """Change it. Raises Refused, HTTPError or OSError: then the present one stays."""


async def keep_young(holder: Holder, hours: float, stopping: asyncio.Event) -> None:
    """Change the credential each time it is `hours` old, until told to stop. What fails is tried again soon."""
    while True:
        await pause(stopping, hours * _HOUR * _RANDOM.uniform(*EARLY))
        while not stopping.is_set():
            try:
                await holder.renew()
                break
            except (Refused, httpx2.HTTPError, OSError) as error:
                log.warning("the credential was not changed; it stays", error=tls.words(error))
            await pause(stopping, min(AGAIN_SECONDS, hours * _HOUR))
        if stopping.is_set():
            return


async def begin(kept: Kept, admission: dict[str, Any], urls: Sequence[str], ca_file: Path | None) -> str:
    """Have a next credential stand beside `admission["token"]`: that next one, which is good from now on.

    `ca_file` has the authorities that the API is trusted by, if not this system's.
    Raises Refused, HTTPError or OSError; it may then have become good or not, and the same one is tried again.
    """
    following = kept.following() or f"pf_{secrets.token_urlsafe(32)}"
    kept.keep(admission | {"next": following})
    await _propose(urls, ca_file, str(admission["token"]), following)
    return following


async def finish(kept: Kept, admission: dict[str, Any], urls: Sequence[str], ca_file: Path | None) -> None:
    """Use `admission["token"]`, so that those before it end, and keep it alone. Raises as `begin` does."""
    await _propose(urls, ca_file, str(admission["token"]), str(admission["token"]))
    kept.keep(admission)


async def _propose(urls: Sequence[str], ca_file: Path | None, token: str, following: str) -> None:
    failure: httpx2.HTTPError | None = None
    for url in urls:
        verify = tls.verifying(url, ca_file)
        try:
            async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT_SECONDS, verify=verify) as client:
                answer = await client.put(
                    "/api/v3/nodes/credential",
                    json={"sha256": sha256(following.encode()).hexdigest()},
                    headers={"Authorization": f"Bearer {token}"},
                )
        except httpx2.HTTPError as error:
            failure = error
            continue
        if not answer.is_success:
            raise Refused(f"the API answered {answer.status_code}: {answer.text[:200]}")
        return
    if failure is not None:
        raise failure

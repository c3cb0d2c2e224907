"""Asking a container whether it is well, over its network as a client of its would, or by a command in it."""

import asyncio
import os
import ssl
from contextlib import suppress

import httpx2

from pathfinder.domain.checks import Check, HttpProbe, TcpProbe
from pathfinder.runtime.port import OperationFailed, Runtime

#: So much of an answer is looked at for the text that it should contain, in bytes.
MOST_BODY = 64 << 10

#: What a container says of itself is asked for where nobody else can be: who signed its certificate says nothing.
_UNVERIFIED = ssl.create_default_context()
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


async def tcp(address: str, probe: TcpProbe, timeout_seconds: float) -> str | None:
    """Why the port takes no connection; None if it does."""
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(address, probe.port)
    except TimeoutError:
        return f"port {probe.port} did not answer within {timeout_seconds:g} s"
    except OSError as error:
        # asyncio's own words say no more than that it failed.
        return f"port {probe.port}: {os.strerror(error.errno) if error.errno else error}"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None


async def http(address: str, probe: HttpProbe, timeout_seconds: float) -> str | None:
    """What is wrong with the answer; None if nothing is."""
    url = f"{probe.scheme}://{address}:{probe.port}{probe.path}"
    verify = _UNVERIFIED if probe.scheme == "https" else False
    try:
        # Neither a proxy nor a redirect: what is asked is this very container.
        async with (
            asyncio.timeout(timeout_seconds),
            httpx2.AsyncClient(verify=verify, trust_env=False, timeout=timeout_seconds) as client,
            client.stream("GET", url, headers=probe.headers) as answer,
        ):
            if not _well(probe, answer.status_code):
                return f"{probe.path} answered {answer.status_code}"
            if probe.body is not None and probe.body not in await _beginning(answer):
                return f"{probe.path} answered without {probe.body[:80]!r}"
    except TimeoutError:
        return f"{probe.path} did not answer within {timeout_seconds:g} s"
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"{probe.path}: {str(error) or type(error).__name__}"
    return None


async def command(runtime: Runtime, hostname: str, check: Check) -> str | None:
    """How the command of a check failed; None if it ended well."""
    assert check.exec is not None  # noqa: S101 - whoever calls has looked
    try:
        ended = await runtime.execute(hostname, check.exec.command, timeout_seconds=check.timeout_seconds)
    except OperationFailed as failure:
        return str(failure)
    if ended.exit_code == 0:
        return None
    said = ended.output.strip().splitlines()
    return f"{check.exec.command[0]} ended with {ended.exit_code}{f': {said[-1][:200]}' if said else ''}"


def _well(probe: HttpProbe, status: int) -> bool:
    return status in probe.statuses if probe.statuses else 200 <= status < 400


async def _beginning(answer: httpx2.Response) -> str:
    found = b""
    async for chunk in answer.aiter_bytes():
        found += chunk
        if len(found) >= MOST_BODY:
            break
    return found[:MOST_BODY].decode(errors="replace")

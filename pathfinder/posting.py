"""Posting a notice to a webhook: bounded in time and size, and wherever it is told to go, not further."""

import asyncio
import time
from dataclasses import dataclass

import httpx2

from pathfinder.controllers.notices import Prepared

#: For each step, and for all of it: a receiver that answers byte by byte is not waited for.
STEP_SECONDS, WHOLE_SECONDS = 5.0, 8.0

#: So much of an answer is read; nobody needs more of it than its status and first words.
MAX_ANSWER_BYTES = 4096

_LOOPBACK = ("localhost", "127.", "::1", "[::1]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: whether the receiver took the notice (2xx), what it said, and how long that took."""

    taken: bool
    words: str
    seconds: float


async def post(prepared: Prepared) -> Answer:
    """Send it once. Never raises for what the receiver or the network does; redirects are not followed."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            taken, words = await _post(prepared)
    except TimeoutError:
        taken, words = False, f"gave no answer within {WHOLE_SECONDS:g} s"
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        taken, words = False, f"cannot be reached: {str(error) or type(error).__name__}"
    return Answer(taken, words, time.monotonic() - began)


async def _post(prepared: Prepared) -> tuple[bool, str]:
    host = httpx2.URL(prepared.url).host
    async with (
        httpx2.AsyncClient(
            timeout=STEP_SECONDS, follow_redirects=False, trust_env=not host.startswith(_LOOPBACK)
        ) as client,
        client.stream(
            "POST", prepared.url, content=prepared.body, headers=dict(prepared.headers) | {"User-Agent": "pathfinder"}
        ) as answer,
    ):
        read = b""
        async for part in answer.aiter_raw(1024):
            read += part
            if len(read) >= MAX_ANSWER_BYTES:
                break
        said = " ".join(read[:200].decode("utf-8", "replace").split())
        if 300 <= answer.status_code < 400:
            return False, f"answered {answer.status_code}; redirects are not followed, give the webhook the new URL"
        words = f"answered {answer.status_code}" + (f": {said}" if said and not answer.is_success else "")
        return answer.is_success, words

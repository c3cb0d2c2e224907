"""Browsers for the integration tests, and who sits before them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from argon2 import PasswordHasher

from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process

ALICE = {"username": "alice", "password": "correct horse"}
#: The hash of her password: made once, because that takes long.
KNOWN = PasswordHasher().hash(ALICE["password"])


@asynccontextmanager
async def browser(
    process: Process, source: str = "192.0.2.1", scheme: str = "http"
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that keeps cookies, of an api process of its own."""
    transport = httpx2.ASGITransport(create_app(process, Tail(process)), client=(source, 1), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=f"{scheme}://pathfinder/api/v3") as client:
        yield client

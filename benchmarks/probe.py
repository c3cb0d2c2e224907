"""One create, asked as a user would whose requests fail for a while, and timed until it is PROVISIONED."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.store import Store
from pathfinder.client import ApiError, Client, Unreachable

#: A refused request is asked again so soon.
AGAIN_SECONDS = 0.05
PROVISIONED = "SELECT at FROM events WHERE subject_name = $1 AND kind = 'container.provisioned'"
LIVING = "SELECT id FROM containers WHERE hostname = $1 AND status <> 'DELETED'"


@dataclass(frozen=True, slots=True)
class Done:
    """Moments of one create, as `time.time()`, which is PostgreSQL's clock, too."""

    asked: float
    accepted: float
    provisioned: float

    @property
    def seconds(self) -> float:
        """From the request until PROVISIONED."""
        return self.provisioned - self.asked


class Probe:
    """Creates containers, one after the other, and removes them again."""

    def __init__(self, store: Store, api_urls: Sequence[str], token: str) -> None:
        self.store = store
        self._urls, self._token = api_urls, token
        self._numbers = itertools.count(1)

    async def create(self, first_api: int = 0) -> Done:
        """Ask now, again and again until accepted, and wait until the container is PROVISIONED; then delete it.

        `first_api`: which of the APIs is asked first.
        """
        name = f"probe-{next(self._numbers):03d}"
        urls = [*self._urls[first_api:], *self._urls[:first_api]]
        async with Client(",".join(urls), self._token) as client:
            asked = time.time()
            await self._ask(client, name)
            accepted = time.time()
            rows = await self.store.until(f"{name} to be PROVISIONED", PROVISIONED, name)
            await self._delete(client, name)
        return Done(asked, accepted, rows[0]["at"].timestamp())

    async def _ask(self, client: Client, name: str) -> None:
        while True:
            try:
                await client.containers.create(name)
            except Unreachable:
                await asyncio.sleep(AGAIN_SECONDS)
            except ApiError as refusal:
                if refusal.status == 409:
                    return  # an earlier try was carried out though its answer was lost
                if not refusal.unavailable:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def _delete(self, client: Client, name: str) -> None:
        await client.containers.delete(name)
        await self.store.until(f"the end of {name}", LIVING, name, enough=lambda rows: not rows)

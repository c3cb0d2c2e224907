"""Users who never rest: they create, delete and reschedule, and keep about as many containers alive as told."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from pathfinder.client import ApiError, Client, Unreachable

USERS = 6
#: What a user may be told while others work on the same container; another request follows.
TOLERATED = frozenset({404, 409, 503})


@dataclass
class Churn:
    """`rate` requests a second, at most `most` containers alive."""

    api_url: str
    token: str
    most: int
    rate: float
    seed: int = 1
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Ask until cancelled."""
        draw = random.Random(self.seed)
        mine: set[str] = set()
        async with Client(self.api_url, self.token) as client, asyncio.TaskGroup() as users:
            for number in range(USERS):
                users.create_task(self._user(client, number, draw, mine))

    async def _user(self, client: Client, number: int, draw: random.Random, mine: set[str]) -> None:
        made = 0
        while True:
            dice = draw.random()
            try:
                if not mine or (dice < 0.5 and len(mine) < self.most):
                    made += 1
                    name = f"churn-{number}-{made:05d}"
                    await client.containers.create(name, memory="16MiB", cpu="100m")
                    mine.add(name)
                    self.counts["created"] += 1
                elif dice < 0.8 or len(mine) >= self.most:
                    name = draw.choice(sorted(mine))
                    mine.discard(name)
                    await client.containers.delete(name)
                    self.counts["deleted"] += 1
                else:
                    await client.containers.reschedule(draw.choice(sorted(mine)))
                    self.counts["rescheduled"] += 1
            except Unreachable:
                self.counts["unanswered"] += 1
            except ApiError as refusal:
                if refusal.status not in TOLERATED:
                    raise
                self.counts[f"refused with {refusal.status}"] += 1
            await asyncio.sleep(draw.expovariate(self.rate / USERS))

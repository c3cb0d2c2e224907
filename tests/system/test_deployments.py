"""A deployment on real nodes, as its clients see it: rolled out under load, and back again where it fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from harness import Harness

from pathfinder.client import ApiError
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Kind
from pathfinder.domain.rollouts import Phase

pytestmark = pytest.mark.lab

REPLICAS, LEAST = 3, 2
SERVE = "mkdir -p /www && echo $VERSION > /www/index.html && httpd -p 80 -h /www"


def site(version: str, script: str = SERVE, **strategy: Any) -> dict[str, Any]:
    """A web server that answers with its version, of which no more than one may be away."""
    script = {"type": "script", "name": "serve", "script": script, "environment": {"VERSION": version}, "retries": 0}
    return {
        "name": "site",
        "replicas": REPLICAS,
        "min_available_replicas": LEAST,
        "template": {"environment": {"VERSION": version}, "bootstrappers": [script]},
        "strategy": {"min_healthy_seconds": 0.5, **strategy},
    }


class Visitor:
    """Asks every replica all the time; `fewest` is how many answered when the fewest did, `answers` the last ones."""

    def __init__(self, harness: Harness, http: httpx2.AsyncClient) -> None:
        self._harness, self._http = harness, http
        self.fewest, self.rounds = REPLICAS, 0
        self.answers: list[str] = []

    async def ask(self) -> None:
        """Visit each once."""
        replicas = [one for one in await self._harness.containers() if one.hostname.startswith("site-")]
        said = await asyncio.gather(*(self._get(one.ipaddress) for one in replicas))
        self.answers = [one for one in said if one is not None]
        self.fewest, self.rounds = min(self.fewest, len(self.answers)), self.rounds + 1

    async def _get(self, address: str | None) -> str | None:
        try:
            return (await self._http.get(f"http://{address}/")).text.strip() if address else None
        except httpx2.TransportError:
            return None


@asynccontextmanager
async def visited(harness: Harness) -> AsyncIterator[Visitor]:
    """While the context is open somebody visits."""
    async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
        visitor = Visitor(harness, http)

        async def visit() -> None:
            while True:
                await visitor.ask()
                await asyncio.sleep(0.05)

        visiting = asyncio.create_task(visit())
        try:
            yield visitor
        finally:
            visiting.cancel()


async def rolled_out(harness: Harness, revision: int) -> None:
    """Wait until all replicas are of that revision, and available."""

    async def check() -> bool:
        now = await harness.client.deployments.get("site")
        return (now.stable, now.counts.available, now.counts.updated) == (revision, REPLICAS, REPLICAS)

    await harness.until(f"revision {revision} everywhere", check)


async def went_back(harness: Harness) -> None:
    """Wait until the rollout of a third revision was given up."""

    async def check() -> bool:
        return Kind.DEPLOYMENT_ROLLOUT_FAILED in {event.kind for event in await harness.events()}

    await harness.until("a failed rollout", check)


async def delete(harness: Harness) -> None:
    """Have the deployment go, with its replicas."""
    await harness.client.deployments.delete("site")

    async def gone() -> bool:
        try:
            await harness.client.deployments.get("site")
        except ApiError as refusal:
            return refusal.status == 404
        return False

    await harness.until("no deployment", gone)


async def test_a_rolling_update_is_not_noticed_by_who_visits_and_a_broken_one_goes_back(harness: Harness) -> None:
    """Two of three answer at any time; a canary that fails is the only one touched, and is put back by itself."""
    await harness.client.deployments.apply("site", site("one"))
    await rolled_out(harness, 1)
    async with visited(harness) as visitor:
        await harness.client.deployments.apply("site", site("two"))
        await rolled_out(harness, 2)
        await visitor.ask()
        assert visitor.answers == ["two"] * REPLICAS

        broken = site("three", "exit 1", type="canary", on_failure="undo", progress_deadline_seconds=30)
        await harness.client.deployments.apply("site", broken)
        await went_back(harness)
        await rolled_out(harness, 2)
        await visitor.ask()

        assert visitor.answers == ["two"] * REPLICAS
        assert visitor.fewest >= LEAST
        assert visitor.rounds > 10
    assert (await harness.client.deployments.get("site")).rollout.get("phase") != Phase.FAILED
    await delete(harness)
    await harness.exactly()


async def test_a_deployment_grows_shrinks_and_brings_back_what_somebody_deletes(harness: Harness) -> None:
    """Its replicas are numbered, spread over the nodes, and as many as are wanted."""
    await harness.client.deployments.apply("site", {"name": "site", "replicas": 2, "template": {}})
    await harness.client.deployments.scale("site", 6)
    grown = [f"site-{number:02d}" for number in range(1, 7)]

    async def six() -> bool:
        return [one.hostname for one in await harness.containers() if one.status == Status.PROVISIONED] == grown

    await harness.until("six replicas", six)
    assert {one.node for one in await harness.containers()} == {"node-01", "node-02", "node-03"}
    before = (await harness.client.containers.get("site-04")).id

    await harness.client.containers.delete("site-04")

    async def another() -> bool:
        try:
            now = await harness.client.containers.get("site-04")
        except ApiError:
            return False
        return now.id != before and now.status == Status.PROVISIONED

    await harness.until("another site-04", another)
    await harness.client.deployments.scale("site", 1)

    async def alone() -> bool:
        return len(await harness.containers()) == 1

    await harness.until("one replica", alone)
    await delete(harness)
    await harness.exactly()

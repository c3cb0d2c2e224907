"""Who owns deployments: declares some, and changes, rolls, scales, undoes, deletes them all the time.

One task looks after one deployment at a time, so that what it asks has an order; a deployment that is deleted is
followed by another, of another name.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from chaos.asking import Asking
from chaos.evidence import Told
from chaos.ledger import Ledger

#: Rarely: an image that is nowhere, so that the rollout fails, and says so.
DOOMED_IMAGE = "local:missing"
#: How often each thing is asked for.
WEIGHTS = {
    "rebuild": 25,
    "in place": 25,
    "scale": 22,
    "undo": 8,
    "pause": 6,
    "restart": 8,
    "doom": 2,
    "retire": 4,
}


@dataclass(frozen=True)
class Estate:
    """So many deployments at a time, of so many replicas, of one of these images (None: the cluster's own), each
    asked something about every `pause` seconds.
    """

    deployments: int
    least: int
    most: int
    images: tuple[str | None, ...] = (None,)
    memory: str = "16MiB"
    pause: float = 6.0


@dataclass(frozen=True)
class Holding:
    """A deployment as its owner knows it."""

    name: str
    strategy: dict[str, Any]
    template: dict[str, Any]
    told: Told | None = None


class Owner:
    """The owner of an estate, over every API there is."""

    def __init__(self, apis: Sequence[str], token: str, ledger: Ledger, seed: int, estate: Estate) -> None:
        self._apis = list(apis)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ledger = ledger
        self._seed = seed
        self._estate = estate
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Ask until `stopping`; every request that was begun is finished first."""
        limits = httpx2.Limits(max_connections=4 * self._estate.deployments)
        async with (
            httpx2.AsyncClient(headers=self._headers, timeout=8, trust_env=False, limits=limits) as http,
            asyncio.TaskGroup() as group,
        ):
            for place in range(self._estate.deployments):
                chance = random.Random(f"{self._seed} {place}")
                asking = Asking(self._apis, self._ledger, chance, _told)
                steward = _Steward(asking, self._ledger, http, chance, self._estate, place)
                group.create_task(steward.run(self.stopping))


@dataclass
class _Steward:
    """Looks after one deployment after the other."""

    asking: Asking
    ledger: Ledger
    http: httpx2.AsyncClient
    random: random.Random
    estate: Estate
    place: int
    count: int = 0
    now: Holding | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`."""
        while not stopping.is_set():
            if self.now is None:
                await self._begin()
            else:
                await self._change(self.now)
            await asyncio.sleep(self.random.expovariate(1 / self.estate.pause))

    async def _begin(self) -> None:
        self.count += 1
        name = f"d{self.place + 1}v{self.count}"
        most = max(1, self.estate.most // 2)
        kind = "recreate" if self.place % 4 == 1 else "rolling"
        strategy = {"type": kind, "max_unavailable": most, "min_healthy_seconds": 1}
        self.now = Holding(name, strategy, self._template(name))
        await self._declare(self.now, self._some())

    def _template(self, name: str) -> dict[str, Any]:
        """Every other deployment counts its replicas, so that no number may be missing."""
        peers = {"user.peers": f"$pf-meta:deployment_host_sequences?host={name}"} if self.place % 2 else {}
        return {
            "image": self.random.choice(self.estate.images),
            "cpu": "50m",
            "memory": self.estate.memory,
            "environment": {"RELEASE": "0"},
            "labels": {"note": "0"},
            "config": {"user.note": "0", **peers},
        }

    def _some(self) -> int:
        return self.random.randint(self.estate.least, self.estate.most)

    async def _change(self, one: Holding) -> None:
        (what,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if one.told is None:  # its first declaration was refused, and nothing is there
            self.now = None
        elif one.told.paused and self.random.random() < 0.7:
            await self._ask(one, "resume")
        elif what in ("rebuild", "in place", "doom"):
            wanted = replace(one, template=self._other(one.template, what))
            await self._declare(wanted, self._some() if self.random.random() < 0.2 else one.told.replicas)
        elif what == "scale":
            await self._ask(one, "scale", replicas=self._some())
        elif what == "retire":
            await self._retire(one)
        else:
            await self._ask(one, what)

    def _other(self, template: dict[str, Any], what: str) -> dict[str, Any]:
        tag = str(self.random.randrange(1_000_000))
        sound = {**template, "image": self.random.choice(self.estate.images)}
        if what == "doom":
            return {**template, "image": DOOMED_IMAGE}
        if what == "rebuild":
            return {**sound, "environment": {"RELEASE": tag}}
        part = self.random.choice(("labels", "config", "limits"))
        if part == "labels":
            return {**template, "labels": {"note": tag}}
        if part == "config":
            return {**template, "config": {**template["config"], "user.note": tag}}
        return {**template, "limits": {"cpu": f"{self.random.randrange(50, 500)}m"}}

    async def _declare(self, one: Holding, replicas: int) -> None:
        """Only in place of the version that is known, so that a try that was left behind overwrites nothing."""
        number = self.ledger.demand("declare", one.name, replicas=replicas, template=one.template)
        body = {"name": one.name, "replicas": replicas, "strategy": one.strategy, "template": one.template}
        expected = one.told.version if one.told else 0
        path = f"/deployments/{one.name}?expected_version={expected}"
        status, said = await self.asking.until_told(number, self.http, "PUT", path, body)
        await self._learn(one, status, said)

    async def _ask(self, one: Holding, op: str, **asked: Any) -> None:
        number = self.ledger.demand(op, one.name, **asked)
        path = f"/deployments/{one.name}/" + ("scale" if op == "scale" else f"rollout/{op}")
        status, said = await self.asking.until_told(number, self.http, "POST", path, asked or None)
        await self._learn(one, status, said)

    async def _retire(self, one: Holding) -> None:
        number = self.ledger.demand("retire", one.name)
        self.now = None
        await self.asking.until_told(number, self.http, "DELETE", f"/deployments/{one.name}")

    async def _learn(self, one: Holding, status: int, said: Any) -> None:
        """Know what was told; where it was refused, look."""
        if status >= 300:
            status, said = await self.asking.until_told(None, self.http, "GET", f"/deployments/{one.name}")
        if status >= 300:
            self.now = None
        else:
            self.now = replace(one, told=Told(**said), template=said["template"])


def _told(document: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "version", "revision", "replicas", "paused", "leaving")
    return {**{name: document[name] for name in names}, "template": document["document"]["template"]}

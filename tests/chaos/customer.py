"""The client: creates, deletes and reschedules by the thousand, each repeated until answered and written down."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx2

from chaos.asking import Asking
from chaos.ledger import Ledger

#: Rarely, an image that is nowhere: its create is accepted, and must end in PROVISION_ERROR.
DOOMED_IMAGE = "local:missing"

#: Groups of containers of which no two may share a node.
GROUPS = 3


class Customer:
    """Many users at once, over every API there is. `most` bounds the containers alive at one time."""

    def __init__(
        self,
        apis: Sequence[str],
        token: str,
        ledger: Ledger,
        seed: int,
        *,
        most: int,
        rate: float,
        memory: Sequence[str] = ("16MiB", "32MiB"),
    ) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ledger = ledger
        self._random = random.Random(seed)
        self._asking = Asking(apis, ledger, self._random, _containers)
        self._most = most
        self._rate = rate
        self._memory = memory
        #: Hostname → id of what this client has, and is not just asking something else about.
        self._mine: dict[str, str] = {}
        self._count = 0
        self.stopping = asyncio.Event()

    async def run(self, users: int = 12) -> None:
        """Ask until `stopping`; every request that was begun is finished first."""
        limits = httpx2.Limits(max_connections=4 * users)
        async with (
            httpx2.AsyncClient(headers=self._headers, timeout=8, trust_env=False, limits=limits) as http,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(users):
                group.create_task(self._user(http, users))

    async def _user(self, http: httpx2.AsyncClient, users: int) -> None:
        while not self.stopping.is_set():
            draw = self._random.random()
            if not self._mine or (draw < 0.5 and len(self._mine) < self._most):
                await self._create(http)
            elif draw < 0.8 or len(self._mine) >= self._most:
                await self._delete(http)
            else:
                await self._reschedule(http)
            await asyncio.sleep(self._random.expovariate(self._rate / users))

    async def _create(self, http: httpx2.AsyncClient) -> None:
        names = []
        for _ in range(self._random.choice((1, 1, 2, 4, 8))):
            self._count += 1
            names.append(f"c{self._count:05d}")
        doomed = self._random.random() < 0.01
        specs = [self._spec(name, doomed) for name in names]
        key = str(UUID(int=self._random.getrandbits(128)))
        number = self._ledger.ask("create", names, doomed=doomed)
        path, body = ("/containers/batch", {"containers": specs}) if len(specs) > 1 else ("/containers", specs[0])
        again = self._random.random() < 0.05
        for _ in range(2 if again else 1):
            status, said = await self._asking.until_told(number, http, "POST", path, body, {"Idempotency-Key": key})
        if status == 201 and not doomed:
            self._mine |= {one["hostname"]: one["id"] for one in said}

    def _spec(self, hostname: str, doomed: bool) -> dict[str, Any]:
        return {
            "hostname": hostname,
            "type": "STATEFUL" if self._random.random() < 0.2 else "STATELESS",
            "cpu": self._random.choice(("100m", "250m", "500m")),
            "memory": self._random.choice(self._memory),
            **self._company(),
        } | ({"image": DOOMED_IMAGE} if doomed else {})

    def _company(self) -> dict[str, Any]:
        """A fifth is of one of a few groups, of which no two may share a node."""
        if self._random.random() > 0.2:
            return {}
        group = f"g{self._random.randrange(GROUPS)}"
        return {"labels": {"apart": group}, "affinity": [{"to": f"apart={group}", "rule": "apart"}]}

    async def _delete(self, http: httpx2.AsyncClient) -> None:
        name = self._random.choice(sorted(self._mine))
        id_ = self._mine.pop(name)
        number = self._ledger.ask("delete", [name], target=id_)
        await self._asking.until_told(number, http, "DELETE", f"/containers/{name}")

    async def _reschedule(self, http: httpx2.AsyncClient) -> None:
        name = self._random.choice(sorted(self._mine))
        id_ = self._mine.pop(name)
        number = self._ledger.ask("reschedule", [name], target=id_)
        await self._asking.until_told(number, http, "POST", f"/containers/{name}/reschedule")
        self._mine[name] = id_


def _containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    items = document.get("items", [document])
    return [{name: one[name] for name in ("id", "hostname", "generation")} for one in items]

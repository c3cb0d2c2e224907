"""The client: one connection, and the nouns of the API on it."""

from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
from pydantic import BaseModel

from pathfinder.client.autoscaling import Scaling
from pathfinder.client.clusters import Clusters
from pathfinder.client.connection import PATIENCE_SECONDS, Connection, OnWait
from pathfinder.client.containers import Containers
from pathfinder.client.dead import Dead
from pathfinder.client.deployments import Deployments
from pathfinder.client.events import Events
from pathfinder.client.identity import Identity, Tokens, Users
from pathfinder.client.nodes import Nodes
from pathfinder.client.plans import Plans
from pathfinder.client.policies import Policies
from pathfinder.client.problems import Problems
from pathfinder.client.replays import Replays
from pathfinder.client.resilience import Survival
from pathfinder.client.secrets import Secrets
from pathfinder.client.webhooks import Webhooks
from pathfinder.domain.status import SystemStatus


class _Version(BaseModel):
    version: str


class Client:
    """Pathfinder's API, as one cluster's user sees it.

        async with Client("http://127.0.0.1:8080", token) as client:
            container = await client.containers.create("web-01", memory="512MiB")

    `server` may be several URLs of one Pathfinder, separated by commas: one that answers is asked.
    `ca_file` has the authorities that https servers are trusted by; without one, this system's are.
    Raises `BadArgument` for a server that is no http(s) URL, or a file without certificates. A server that is
    overloaded is waited for, as long as `patience` (seconds) lasts; `on_wait` is told. `transport` replaces the wire in
    tests.
    """

    def __init__(
        self,
        server: str,
        token: str = "",
        *,
        cluster: str = "default",
        ca_file: str | Path | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        patience: float = PATIENCE_SECONDS,
        on_wait: OnWait | None = None,
    ) -> None:
        self._connection = Connection(
            server, token, ca_file=ca_file, transport=transport, patience=patience, on_wait=on_wait
        )
        self.containers = Containers(self._connection, cluster)
        self.deployments = Deployments(self._connection, cluster)
        self.nodes = Nodes(self._connection, cluster)
        self.clusters = Clusters(self._connection, cluster)
        self.resilience = Survival(self._connection, cluster)
        self.autoscaling = Scaling(self._connection, cluster)
        self.plans = Plans(self._connection, cluster)
        self.policies = Policies(self._connection, cluster)
        self.replays = Replays(self._connection, cluster)
        self.webhooks = Webhooks(self._connection, cluster)
        self.events = Events(self._connection, cluster)
        self.dead = Dead(self._connection, cluster)
        self.problems = Problems(self._connection, cluster)
        self.identity = Identity(self._connection, cluster)
        self.secrets = Secrets(self._connection, cluster)
        self.users = Users(self._connection, cluster)
        self.tokens = Tokens(self._connection, cluster)

    async def version(self) -> str:
        """The server's version."""
        return (await self._connection.ask(_Version, "GET", "/version")).version

    async def status(self) -> SystemStatus:
        """Everything at a glance: roles, RabbitMQ, nodes, containers, and what is wrong."""
        return await self._connection.ask(SystemStatus, "GET", "/status")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

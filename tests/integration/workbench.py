"""Short ways to what the integration tests need again and again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

import workers.relay
from pathfinder import tls
from pathfinder.bootstrap import Process
from pathfinder.broker.publish import Parcel, Publisher, QueueFull, Refusal, Unroutable
from pathfinder.domain.specs import ContainerSpec, NodeRegistration
from pathfinder.embedded.ports import free_port
from pathfinder.settings import Settings
from pathfinder.store import clusters, decisions, nodes, requests
from pathfinder.store.tallies import Company, Tallies
from workers.agent import lease
from workers.agent.admission import Admission, Membership
from workers.agent.lease import Lease

GIB = 1 << 30

MakeProcess = Callable[..., Process]

EMPTY = text(
    "TRUNCATE clusters, nodes, leases, containers, departures, events, outbox, tokens, idempotency_keys, "
    "dead_letters, roles, problems, webhooks, deliveries, policies, decisions, deployments, touches, users CASCADE"
)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until an async condition holds; TimeoutError after `seconds`. It is asked ever less often."""
    pause = 0.01
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(pause)
            pause = min(pause * 1.1, 0.1)


async def administer(url: str, *statements: str) -> None:
    """Run statements that want no transaction round them."""
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(False))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


class OneByOne(Publisher):
    """A publisher for tests that only say what becomes of a single message."""

    async def publish_all(
        self, parcels: Sequence[Parcel], mandatory: Collection[str] = (), patience: float | None = None
    ) -> list[Refusal | None]:
        """All at once, each by `publish`."""

        async def one(exchange: str, key: str, body: bytes) -> Refusal | None:
            try:
                await self.publish(exchange, key, body, mandatory=exchange in mandatory)
            except (Unroutable, QueueFull) as refusal:
                return refusal
            return None

        return await asyncio.gather(*(one(*parcel) for parcel in parcels))


@asynccontextmanager
async def relaying(process: Process, broker_url: str) -> AsyncIterator[None]:
    """A relay at work on a real RabbitMQ."""
    process.settings.broker_url = broker_url
    running = asyncio.create_task(workers.relay.run(process))

    async def up() -> bool:
        return process.broker("relay").up

    await eventually(up)
    try:
        yield
    finally:
        process.stopping.set()
        await running


def whenever_looked_at(monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]) -> None:
    """Whenever a scheduler has looked at a fleet, have something happen before it decides."""
    of = Tallies.of

    async def and_then(*given: Any, **named: Any) -> Company:
        company = await of(*given, **named)
        await then()
        return company

    monkeypatch.setattr(Tallies, "of", and_then)


class Fleet:
    """Short ways to what tests need again and again, each a transaction of its own."""

    def __init__(self, process: Process, cluster_id: UUID) -> None:
        self.process, self.cluster_id = process, cluster_id

    async def node(self, hostname: str, **changes: object) -> UUID:
        """Register a node with 8 cores, 8 GiB and 80 GiB, and call it READY; keyword arguments replace fields."""
        async with self.process.database.begin() as tx:
            admitted = await nodes.register(tx, self.cluster_id, registration(hostname, **changes), 60, "")
            await tx.execute(text("UPDATE nodes SET status = 'READY' WHERE id = :id"), {"id": admitted.id})
            return admitted.id

    async def ask(self, *hostnames: str, **fields: object) -> list[UUID]:
        """Ask for containers."""
        specs = [ContainerSpec(hostname=name, **fields) for name in hostnames]  # type: ignore[arg-type]
        async with self.process.database.begin() as tx:
            found = await clusters.find(tx, "default")
            return await requests.create(tx, found, specs, requests.Asker("test", "trace"), None)

    async def rows(self, query: str, **given: object) -> list[tuple[object, ...]]:
        """The rows of a query."""
        async with self.process.database.begin() as tx:
            return [tuple(row) for row in await tx.execute(text(query), given)]

    async def decision(self, container_id: object) -> dict[str, Any]:
        """Why a container is where it is."""
        async with self.process.database.begin() as tx:
            return await decisions.about(tx, UUID(str(container_id)))

    async def statuses(self) -> dict[str, str]:
        """Each container's status, by hostname."""
        return dict(await self.rows("SELECT hostname, status FROM containers"))  # type: ignore[arg-type]

    async def kinds(self) -> list[str]:
        """The kinds of every event, oldest first."""
        return [str(row[0]) for row in await self.rows("SELECT kind FROM events ORDER BY seq")]

    async def assert_claims_add_up(self) -> None:
        """What nodes say is claimed is what their placements and departures sum up to, and it fits."""
        columns = "cpu_claimed, memory_claimed, disk_claimed, containers, stateful"
        kept = await self.rows(f"SELECT hostname, {columns} FROM nodes ORDER BY hostname")  # noqa: S608
        scratch = await self.rows(
            """
            SELECT n.hostname, COALESCE(sum(p.cpu_millicores), 0), COALESCE(sum(p.memory_bytes), 0),
                   COALESCE(sum(p.disk_bytes), 0), count(p.node_id), count(p.node_id) FILTER (WHERE p.stateful)
            FROM nodes AS n LEFT JOIN (
                SELECT node_id, cpu_millicores, memory_bytes, disk_bytes, type = 'STATEFUL' AS stateful FROM containers
                WHERE status NOT IN ('PENDING', 'PROVISION_ERROR', 'DELETED')
                UNION ALL SELECT node_id, cpu_millicores, memory_bytes, disk_bytes, stateful FROM departures
            ) AS p ON p.node_id = n.id GROUP BY n.hostname ORDER BY n.hostname
            """
        )
        assert kept == scratch
        over = await self.rows(
            "SELECT hostname FROM nodes WHERE cpu_claimed > cpu_millicores OR memory_claimed > memory_bytes "
            "OR disk_claimed > disk_bytes"
        )
        assert over == []


async def multiply(fleet: Fleet, times: int) -> None:
    """Very many PENDING containers."""
    await fleet.ask("first")
    copied = "cluster_id, image, type, cpu_millicores, memory_bytes, disk_bytes, spec"
    async with fleet.process.database.begin() as tx:
        await tx.execute(
            text(f"""
                INSERT INTO containers (id, hostname, {copied})
                SELECT gen_random_uuid(), 'c' || n, {copied} FROM containers, generate_series(1, :times) AS n
            """),  # noqa: S608 - the text is put together from the constant
            {"times": times},
        )
    async with fleet.process.database.begin() as tx:
        await tx.execute(text("ANALYZE containers"))


async def plan_of(tx: AsyncConnection, asking: Awaitable[object]) -> str:
    """How PostgreSQL goes about the first statement of what is awaited, and how many rows it sees."""
    asked: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, given: object, *___: object) -> None:
        asked.append((statement, given))

    connection = tx.sync_connection
    assert connection is not None
    event.listen(connection, "before_cursor_execute", note)
    await asking
    event.remove(connection, "before_cursor_execute", note)
    (statement, given), *_ = asked
    return "\n".join(await tx.run_sync(lambda sync: _explained(sync, statement, given)))


def _explained(connection: Connection, statement: str, given: object) -> list[str]:
    found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", given)  # type: ignore[arg-type]
    return [str(row[0]) for row in found]


def registration(hostname: str, **changes: object) -> NodeRegistration:
    """What an agent would announce."""
    usual: dict[str, object] = {
        "hostname": hostname,
        "ipaddress": "10.0.0.1",
        "machine_id": f"machine-of-{hostname}",
        "runtime": "simulated",
        "runtime_version": "1",
        "architecture": "x86_64",
        "pool_driver": "dir",
        "agent_version": "3",
        "cpu_millicores": 8000,
        "memory_bytes": 8 * GIB,
        "disk_bytes": 80 * GIB,
    }
    return NodeRegistration(**(usual | changes))  # type: ignore[arg-type]


@contextmanager
def serving(
    database_url: str, broker_url: str, log: Path, *roles: str, port: int | None = None, **settings: str
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """`pathfinder run ROLE…` as a process, once its API answers: the API's URL and the process, ended at the end.

    With `ca_file` and `tls_certificate` among the settings, over TLS.
    """
    port = port or free_port(26000)
    url = f"http{'s' if 'tls_certificate' in settings else ''}://127.0.0.1:{port}"
    environment = os.environ | {
        "PATHFINDER_DATABASE_URL": database_url,
        "PATHFINDER_BROKER_URL": broker_url,
        "PATHFINDER_API_LISTEN": f"127.0.0.1:{port}",
        **{f"PATHFINDER_{name.upper()}": value for name, value in settings.items()},
    }
    program = (sys.executable, "-m", "pathfinder.cli.operator", "run", *roles)
    with log.open("wb") as output, subprocess.Popen(program, env=environment, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + 30
            while not _answers(url, Path(settings.get("ca_file", ""))):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            yield url, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def _answers(url: str, ca_file: Path) -> bool:
    verify = tls.verifying(url, ca_file)
    try:
        return httpx2.get(f"{url}/healthz", timeout=2, trust_env=False, verify=verify).status_code == 200
    except httpx2.TransportError:
        time.sleep(0.05)
        return False


def member(node_id: object, hostname: str, cluster_id: object) -> Membership:
    """What an agent is in its cluster, without asking the API."""
    made = Membership(Settings(), None)  # type: ignore[arg-type]
    made._admission = Admission(str(node_id), hostname, str(cluster_id), "", 0, 5.0, 15.0)
    return made


def heard(directory: Path) -> Lease:
    """The lease of a node that is heard, for as long as a test lasts."""
    made = Lease(directory / "lease.json")
    made.renew("", lease.now(), 3600)
    return made

"""What the integration tests run on: a PostgreSQL, a RabbitMQ, a fresh database for each module, an API in-process."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aio_pika
import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from simulated_site import NODES, Site
from sqlalchemy import make_url, text
from workbench import EMPTY, Fleet, MakeProcess, administer

import workers.recorder
import workers.relay
from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.certificate_files import CertificateFiles
from pathfinder.certificates import LOOPBACK
from pathfinder.embedded.ports import free_port
from pathfinder.embedded.postgres import start_postgres
from pathfinder.embedded.rabbitmq import RabbitMQ, running, single
from pathfinder.settings import Settings
from pathfinder.store import clusters, tokens
from pathfinder.store.database import Database
from pathfinder.store.migrate import migrate


@pytest.fixture(scope="session")
def service_directory() -> Iterator[Path]:
    """Where private services keep their data: the services' accounts may pass through it."""
    with tempfile.TemporaryDirectory(prefix="pf-it-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.fixture(scope="session")
def database_url(service_directory: Path) -> Iterator[str]:
    """A PostgreSQL where databases may be created: $PATHFINDER_TEST_DATABASE_URL, else a private one."""
    if given := os.environ.get("PATHFINDER_TEST_DATABASE_URL"):
        yield given
        return
    with start_postgres(service_directory / "postgres", free_port(24500)) as url:
        yield url


@pytest.fixture(scope="session")
def authority(service_directory: Path) -> CertificateFiles:
    """A private authority, which the private RabbitMQ has its certificate from."""
    made = CertificateFiles(service_directory / "certs")
    made.create(LOOPBACK, datetime.now(UTC))
    return made


@pytest.fixture(scope="session")
def broker_tls_port() -> int:
    """Where the private RabbitMQ speaks TLS."""
    return free_port(25200)


@pytest.fixture(scope="session")
def rabbitmq(service_directory: Path, authority: CertificateFiles, broker_tls_port: int) -> Iterator[RabbitMQ]:
    """A private RabbitMQ."""
    node = single(service_directory / "rabbitmq", free_port(24700))
    with running(replace(node, certificate=authority.directory / "broker", tls_port=broker_tls_port)) as node:
        yield node


@pytest.fixture(scope="session")
def broker_url(request: pytest.FixtureRequest) -> str:
    """A RabbitMQ: $PATHFINDER_TEST_BROKER_URL, else the private one."""
    return os.environ.get("PATHFINDER_TEST_BROKER_URL") or str(request.getfixturevalue("rabbitmq").url)


@pytest.fixture(scope="session")
async def template(database_url: str) -> AsyncIterator[str]:
    """The name of a database with every migration, to be copied."""
    name = f"pf_template_{uuid4().hex[:10]}"
    await administer(database_url, f"CREATE DATABASE {name}")
    database = Database(_named(database_url, name))
    await migrate(database)
    await database.close()
    yield name
    await administer(database_url, f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
async def fresh_url(database_url: str, template: str) -> AsyncIterator[str]:
    """A migrated database of the module's own."""
    name = f"pf_test_{uuid4().hex[:10]}"
    await administer(database_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _named(database_url, name)
    await administer(database_url, f"DROP DATABASE {name} WITH (FORCE)")


def _named(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
async def make_process(fresh_url: str, tmp_path: Path) -> AsyncIterator[MakeProcess]:
    """Makes processes on the module's database; keyword arguments replace settings. No RabbitMQ unless told one."""
    made: list[Process] = []

    def make(**changes: object) -> Process:
        usual: dict[str, object] = {
            "database_url": fresh_url,
            "broker_url": "amqp://nobody:nothing@127.0.0.1:9/",
            "database_pool_size": 5,
            "max_body_bytes": 1 << 20,
            "state_dir": tmp_path / "agent",
        }
        settings = Settings(**(usual | changes))  # type: ignore[arg-type]
        made.append(Process(settings))
        return made[-1]

    yield make
    for process in made:
        process.stopping.set()
        await process.close()


@pytest.fixture
async def process(make_process: MakeProcess) -> Process:
    """A process on an empty database with one cluster, `default`, and an empty outbox."""
    made = make_process()
    async with made.database.begin() as tx:
        await tx.execute(EMPTY)
        await clusters.create(tx, "default", "spread", "local:tiny", "test", "")
        await tx.execute(text("DELETE FROM outbox"))
    return made


@pytest.fixture
async def cluster(process: Process) -> clusters.Cluster:
    """The cluster `default`."""
    async with process.database.begin() as tx:
        return await clusters.find(tx, "default")


@pytest.fixture
def fleet(process: Process, cluster: clusters.Cluster) -> Fleet:
    """Short ways to what tests need again and again."""
    return Fleet(process, cluster.id)


@pytest.fixture
async def api(process: Process) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an API in this process, with an operator's token."""
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "tester", "operator")
    transport = httpx2.ASGITransport(create_app(process, Tail(process)), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://pathfinder/api/v3", headers={"Authorization": f"Bearer {secret}"}
    ) as client:
        yield client


@pytest.fixture
async def channel(broker_url: str) -> AsyncIterator[AbstractChannel]:
    """A channel of the test's own on a RabbitMQ with Pathfinder's exchanges and empty shared queues."""
    async with await aio_pika.connect(broker_url) as connection:
        opened = await connection.channel()
        for queue in topology.SHARED:
            await opened.queue_delete(queue.name)
        await topology.declare_all(opened)
        yield opened


@pytest.fixture
async def site(
    fleet: Fleet, make_process: MakeProcess, broker_url: str, channel: AbstractChannel, tmp_path: Path
) -> AsyncIterator[Site]:
    """A relay and a recorder at work; afterwards the books balance."""
    made = Site(fleet, make_process, broker_url, tmp_path)
    await made.start(workers.relay.run, workers.recorder.run)
    yield made
    await made.stop()
    await fleet.assert_claims_add_up()
    for node in NODES:
        await channel.queue_delete(topology.node_queue(node).name)

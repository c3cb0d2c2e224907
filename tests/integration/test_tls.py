"""The API over TLS: real handshakes with good and bad certificates, and one that is renewed under open connections."""

import asyncio
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import orjson
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from sqlalchemy import text
from structlog.testing import capture_logs
from workbench import Fleet, MakeProcess, administer, eventually
from yarl import URL

import api.serve
import workers.agent
import workers.controller
import workers.recorder
from api.app import create_app
from api.tail import Tail
from pathfinder import certificates
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import Broker
from pathfinder.certificate_files import CertificateFiles
from pathfinder.client import BadArgument, Client, Untrusted
from pathfinder.domain.errors import DatabaseAway
from pathfinder.embedded.account import Account
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.errors import NotReady
from pathfinder.embedded.ports import free_port
from pathfinder.embedded.rabbitmq import start_rabbitmq
from pathfinder.store import tokens
from pathfinder.store.database import Database

HOSTS = ("localhost", "127.0.0.1")
RELOAD = "SELECT pg_reload_conf()"


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    """A private authority with its first certificates."""
    made = CertificateFiles(tmp_path / "certs")
    made.create(HOSTS, datetime.now(UTC))
    return made


@pytest.fixture(scope="session")
def broker_tls(
    service_directory: Path, authority: CertificateFiles, broker_url: str, broker_tls_port: int
) -> Iterator[str]:
    """A RabbitMQ over TLS: the private one, or one of these tests' own where another is given."""
    if "PATHFINDER_TEST_BROKER_URL" not in os.environ:
        yield str(URL(broker_url).with_scheme("amqps").with_host("localhost").with_port(broker_tls_port))
        return
    certificate = authority.directory / "broker"
    with start_rabbitmq(service_directory / "rabbitmq-tls", free_port(24800), certificate, broker_tls_port) as url:
        yield str(URL(url).with_scheme("amqps").with_port(broker_tls_port))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewed certificate is looked for all the time."""
    monkeypatch.setattr(api.serve, "RENEWAL_SECONDS", 0.02)


@asynccontextmanager
async def serving_tls(make_process: MakeProcess, leaf: Path) -> AsyncIterator[str]:
    """The api role, which shows the certificate in that directory; its port's URL without the host is yielded."""
    port = free_port(26300)
    listen = {"api_listen": f"127.0.0.1:{port}"}
    process = make_process(tls_certificate=leaf / "tls.crt", tls_key=leaf / "tls.key", **listen)
    running = asyncio.create_task(api.serve.run(process))
    try:
        while not running.done():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.01)
        yield f":{port}"
    finally:
        process.stopping.set()
        await running


async def pfi(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run it as its users do: exit code, standard output, standard error."""
    pipe = asyncio.subprocess.PIPE
    given = {key: value for key, value in os.environ.items() if not key.startswith("PFI_")} | environment
    command = (sys.executable, "-m", "pathfinder.cli.pfi", *arguments)
    running = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=given)
    out, err = await running.communicate()
    return running.returncode or 0, out.decode(), err.decode()


async def operator(process: Process) -> str:
    """An operator's token."""
    async with process.database.begin() as tx:
        return await tokens.create(tx, "tester", "operator")


async def test_pfi_talks_tls_and_tells_whom_it_does_not_trust(
    process: Process, make_process: MakeProcess, files: CertificateFiles, tmp_path: Path
) -> None:
    """Its authority comes from the profile or the environment; without one, exit code 3 and what to do."""
    token = await operator(process)
    ca = str(files.directory / "ca.crt")
    async with serving_tls(make_process, files.directory / "api") as at:
        mine = {"PFI_CONFIG": str(tmp_path / "config"), "PFI_TOKEN": token, "PFI_SERVER": f"https://localhost{at}"}
        good, set_, bad, plain = await asyncio.gather(
            pfi("get", "clusters", "-o", "name", **mine, PFI_CA=ca),
            pfi("config", "set", "ca", ca, **mine),
            pfi("get", "clusters", **mine | {"PFI_CONFIG": str(tmp_path / "none")}),
            pfi("--server", f"http://localhost{at}", "get", "clusters", **mine),
        )
        by_profile = await pfi("get", "clusters", "-o", "name", **mine)
        assert await asyncio.to_thread(ControlPlane(mine["PFI_SERVER"], token, ca_file=ca).accepts_token)

    assert good == (0, "default\n", "")
    assert set_[0] == 0
    assert by_profile == good
    assert bad[0] == 3
    assert "of an authority that is not trusted here" in bad[2]
    assert "pfi config set ca FILE" in bad[2]
    assert plain[0] == 3
    assert "hint: if it speaks TLS there, write https://" in plain[2]


@pytest.mark.parametrize(
    ("host", "days", "reason", "advice"),
    [
        ("127.0.0.1", -400, "its certificate has ended", "pathfinder certs renew"),
        ("127.0.0.1", 400, "its certificate is not valid yet", "clocks"),
        ("other.example.org", 0, "its certificate is not for that address", "pathfinder certs add --host"),
    ],
)
async def test_a_certificate_that_is_not_good_is_told_with_what_to_do(
    make_process: MakeProcess, tmp_path: Path, host: str, days: int, reason: str, advice: str
) -> None:
    """At once, without another try; and nothing is sent to whoever shows it."""
    now = datetime.now(UTC) + timedelta(days=days)
    old = certificates.make_authority(datetime.now(UTC) - timedelta(days=500))
    leaf = certificates.make_leaf(old, "api", [host], now)
    for name, pem in {"ca.crt": old.certificate, "tls.crt": leaf.certificate, "tls.key": leaf.key}.items():
        (tmp_path / name).write_bytes(pem)

    async with (
        serving_tls(make_process, tmp_path) as at,
        Client(f"https://127.0.0.1{at}", ca_file=tmp_path / "ca.crt") as client,
    ):
        with pytest.raises(Untrusted, match=reason) as refused:
            await client.version()
    assert advice in refused.value.advice
    assert not refused.value.sent


async def test_another_authority_or_none_at_all_is_refused(
    make_process: MakeProcess, files: CertificateFiles, tmp_path: Path
) -> None:
    """Also by what starts the API and waits for it."""
    other = CertificateFiles(tmp_path / "other")
    other.create(HOSTS, datetime.now(UTC))
    ca = other.directory / "ca.crt"
    async with serving_tls(make_process, files.directory / "api") as at:
        url = f"https://127.0.0.1{at}"
        async with Client(url, ca_file=ca) as client:
            with pytest.raises(Untrusted, match="not trusted here"):
                await client.version()
        with pytest.raises(NotReady, match="PATHFINDER_CA_FILE"):
            await asyncio.to_thread(ControlPlane(url, ca_file=str(ca)).becomes_ready)
    with pytest.raises(BadArgument, match="no certificates as PEM"):
        Client("https://127.0.0.1", ca_file=files.directory / "ca.key")
    with pytest.raises(BadArgument, match="no such file"):
        Client("https://127.0.0.1", ca_file=tmp_path / "nowhere")


async def test_a_server_without_tls_is_told_from_one_that_is_not_trusted(files: CertificateFiles) -> None:
    """What answers there is something else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(url, ca_file=files.directory / "ca.crt") as client:
            with pytest.raises(Untrusted, match="does not speak TLS there"):
                await client.version()


async def test_a_renewed_certificate_is_shown_and_no_connection_is_dropped(
    make_process: MakeProcess, files: CertificateFiles
) -> None:
    """New connections are shown it; an open one goes on."""
    own, trusted = files.directory / "api", ssl.create_default_context(cafile=files.directory / "ca.crt")
    async with serving_tls(make_process, own) as at:
        url = f"https://localhost{at}"
        async with httpx2.AsyncClient(base_url=url, verify=trusted, limits=httpx2.Limits(max_connections=1)) as client:
            first = await client.get("/healthz")
            stream = first.extensions["network_stream"]
            before = await shown(at, trusted)
            assert before == files.all()[1].facts.fingerprint

            files.renew(datetime.now(UTC), every=True)
            async with asyncio.timeout(10):
                while await shown(at, trusted) == before:
                    pass  # each look is a handshake
            assert await shown(at, trusted) == files.all()[1].facts.fingerprint

            again = await client.get("/healthz")
            assert again.status_code == 200
            assert again.extensions["network_stream"] is stream
            assert again.headers["Strict-Transport-Security"]


async def test_a_node_joins_and_is_heard_over_tls_alone(
    process: Process,
    fleet: Fleet,
    make_process: MakeProcess,
    authority: CertificateFiles,
    broker_tls: str,
    channel: AbstractChannel,
    tmp_path: Path,
) -> None:
    """Its agent reaches the API, also to change its credential, and RabbitMQ with the one authority it is told."""
    async with process.database.begin() as tx:
        token = await tokens.create(tx, "joiner", "join", fleet.cluster_id)
    reached: dict[str, object] = {"broker_url": broker_tls, "ca_file": authority.directory / "ca.crt"}
    own = {"node_name": "node-1", "runtime": "simulated", "credential_hours": 1e-4}
    tokens_kept = set()

    async def ready() -> bool:
        return await fleet.rows("SELECT 1 FROM nodes WHERE hostname = 'node-1' AND status = 'READY'") != []

    async def another_credential() -> bool:
        tokens_kept.add(orjson.loads((agent.settings.state_dir / "agent.json").read_bytes())["token"])
        return len(tokens_kept) > 1

    async with serving_tls(make_process, authority.directory / "api") as at:
        agent = make_process(api_url=f"https://localhost{at}", join_token=token, **reached, **own)
        parts = [agent, make_process(**reached), make_process(**reached)]
        roles = (workers.agent.run, workers.recorder.run, workers.controller.run)
        running = [asyncio.create_task(role(part)) for role, part in zip(roles, parts, strict=True)]
        try:
            await eventually(ready)
            await eventually(another_credential)
        finally:
            for part in parts:
                part.stopping.set()
            await asyncio.gather(*running)
    await channel.queue_delete(topology.node_queue("node-1").name)


async def test_a_rabbitmq_that_is_not_trusted_is_told_and_tried_again(
    files: CertificateFiles, authority: CertificateFiles, broker_tls: str
) -> None:
    """The log says what to do; with the right authority a connection stands."""
    stopping, connected = asyncio.Event(), asyncio.Event()

    async def serve(_: AbstractConnection) -> None:
        connected.set()
        await stopping.wait()

    with capture_logs() as lines:
        ca_files = (made.directory / "ca.crt" for made in (files, authority))
        stranger, friend = (Broker(broker_tls, "test", ca_file=ca_file) for ca_file in ca_files)
        trying = [asyncio.create_task(each.run(serve, stopping)) for each in (stranger, friend)]
        async with asyncio.timeout(10):
            await connected.wait()
        await eventually(lambda: asyncio.sleep(0, sum("error" in line for line in lines) > 1))
        assert friend.up
        assert not stranger.up
        stopping.set()
        await asyncio.gather(*trying)
    told = [line["error"] for line in lines if "error" in line]
    assert all("an authority that is not trusted here" in error and "PATHFINDER_CA_FILE" in error for error in told)


async def test_postgresql_is_reached_over_tls_and_trusted_as_the_url_says(
    database_url: str, authority: CertificateFiles, service_directory: Path, tmp_path: Path
) -> None:
    """`verify-full` wants an authority and the name, `verify-ca` the former, `require` neither."""
    authority.add("postgres", ["db.example.org"], datetime.now(UTC))
    account, kept = Account.of("postgres"), service_directory / "postgres-tls"
    for path in (shutil.copytree(authority.directory / "postgres", kept), *kept.iterdir()):
        os.chown(path, account.uid, account.gid)
    ca, other = authority.directory / "ca.crt", tmp_path / "other"
    CertificateFiles(other).create(HOSTS, datetime.now(UTC))
    switched = {"ssl": "on", "ssl_cert_file": kept / "tls.crt", "ssl_key_file": kept / "tls.key"}
    await administer(database_url, *(f"ALTER SYSTEM SET {key} = '{value}'" for key, value in switched.items()), RELOAD)
    try:
        await eventually(lambda: encrypted(f"{database_url}?sslmode=require", None))
        assert await encrypted(f"{database_url}?ssl=verify-ca", ca)
        with capture_logs() as lines:
            for mode, trusted in (("verify-ca", other / "ca.crt"), ("verify-full", ca)):
                with pytest.raises(DatabaseAway):
                    await encrypted(f"{database_url}?ssl={mode}", trusted)
        said = [str(line["servers"]) for line in lines]
        assert ["not trusted here" in said[0], "not for that address" in said[1]] == [True, True]
    finally:
        await administer(database_url, *(f"ALTER SYSTEM RESET {key}" for key in switched), RELOAD)


async def encrypted(url: str, ca_file: Path | None) -> bool:
    """Whether a connection of that database is. Raises DatabaseAway where there is none."""
    database = Database(url, 1, ca_file)
    try:
        async with database.read() as connection:
            found = await connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
            return bool(found.scalar_one())
    except DatabaseAway:
        if ca_file is not None:
            raise
        return False  # not switched on yet
    finally:
        await database.close()


async def test_the_status_tells_where_the_api_speaks_plain_text(make_process: MakeProcess, process: Process) -> None:
    """In development mode, where it starts all the same."""
    token = await operator(process)
    exposed = make_process(api_listen="10.9.8.7:80")
    exposed.roles = ("api",)
    transport = httpx2.ASGITransport(create_app(exposed, Tail(exposed)))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder", headers=headers) as client:
        findings = (await client.get("/api/v3/status")).json()["findings"]

    (told,) = [one for one in findings if one["kind"] == "transport.plain"]
    assert told["subject"] == "PATHFINDER_API_LISTEN (10.9.8.7)"


async def shown(at: str, trusted: ssl.SSLContext) -> str:
    """The SHA-256 of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(at[1:]), ssl=trusted, server_hostname="localhost")
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certificates.facts(ssl.DER_cert_to_PEM_cert(found).encode()).fingerprint

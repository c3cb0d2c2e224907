"""What RabbitMQ lets a node do, and what it does not: a real agent's credential, a real broker that asks a real API.

The roles are users of their own, too, so that this also shows that what they may is enough. All of it asks over TLS.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import aio_pika
import httpx2
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from aiormq.exceptions import ChannelAccessRefused
from workbench import eventually, registration, serving

from pathfinder import tls
from pathfinder.broker import topology
from pathfinder.broker.login import Login, logged_in, node_user
from pathfinder.certificate_files import CA, CERTIFICATE, KEY, CertificateFiles
from pathfinder.domain.messages import Envelope, Exchange, Report, encode, report_key
from pathfinder.embedded.ports import free_port
from pathfinder.embedded.rabbitmq import RabbitMQ, running, single
from pathfinder.embedded.roles import CONTROL_PLANE
from pathfinder.store import clusters, tokens
from pathfinder.store.database import Database

API = "/api/v3"
OWN, OTHER = topology.node_queue("node-1").name, topology.node_queue("node-2").name


@dataclass(frozen=True)
class Place:
    """A control plane, a RabbitMQ that asks it, and a node with its agent at work."""

    broker: RabbitMQ
    api: httpx2.Client
    join: str
    directory: Path
    #: The control plane.
    process: "subprocess.Popen[bytes]"

    def login(self, hostname: str) -> tuple[Login, str]:
        """The credential that an agent keeps on its disk, and the id of its node."""
        kept = json.loads((self.directory / hostname / "agent.json").read_bytes())
        return Login(node_user(hostname, kept["node_id"]), kept["token"]), kept["node_id"]

    def register(self, hostname: str) -> tuple[Login, str]:
        """Another node, without an agent."""
        answer = self.api.post(
            "/nodes/register",
            json=registration(hostname).model_dump(),
            headers={"Authorization": f"Bearer {self.join}"},
        ).json()
        return Login(node_user(hostname, answer["node_id"]), answer["token"]), answer["node_id"]

    @asynccontextmanager
    async def channel(self, login: Login) -> AsyncIterator[AbstractChannel]:
        """A channel of somebody's."""
        async with await aio_pika.connect(logged_in(self.broker.anonymous_url, login), timeout=10) as connection:
            yield await connection.channel()

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[AbstractChannel]:
        """A channel of somebody who may do everything."""
        async with await aio_pika.connect(self.broker.url) as connection:
            yield await connection.channel()


@dataclass(frozen=True)
class Thief:
    """Somebody with a node's credential: the ids of that node and of another."""

    place: Place
    login: Login
    own: str
    other: str


Attempt = Callable[[Thief, AbstractChannel], Awaitable[None]]


@pytest.fixture(scope="module")
def broker(service_directory: Path, authority: CertificateFiles) -> Iterator[RabbitMQ]:
    """A RabbitMQ that asks an API, and believes what it hears for a second."""
    made = single(service_directory / "asking", free_port(24800))
    api_url, ca_file = f"https://127.0.0.1:{free_port(26500)}", authority.directory / CA
    with running(replace(made, api_url=api_url, ca_file=ca_file, cache_seconds=1)) as node:
        yield node


@pytest.fixture(scope="module")
async def secrets(fresh_url: str) -> tuple[str, str]:
    """An operator's token and a join token, for a cluster `default`."""
    database = Database(fresh_url)
    async with database.begin() as tx:
        await clusters.create(tx, "default", "spread", "local:tiny", "test", "")
        made = await tokens.create(tx, "tester", "operator"), await tokens.create(tx, "joining", "join")
    await database.close()
    return made


@pytest.fixture(scope="module")
def place(
    fresh_url: str,
    broker: RabbitMQ,
    authority: CertificateFiles,
    secrets: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """The control plane, each role as itself, and the simulated node `node-1`."""
    operator, join = secrets
    directory = tmp_path_factory.mktemp("broker-access")
    certificate = authority.directory / "api"
    settings = {
        "broker_passwords": json.dumps(broker.passwords),
        "broker_secret": broker.secret,
        "tls_certificate": str(certificate / CERTIFICATE),
        "tls_key": str(certificate / KEY),
        "ca_file": str(broker.ca_file),
    }
    port = int(broker.api_url.rpartition(":")[2])
    log = directory / "log"
    with serving(fresh_url, broker.anonymous_url, log, *CONTROL_PLANE, port=port, **settings) as (url, process):
        headers = {"Authorization": f"Bearer {operator}"}
        with (
            agent(directory, broker, url, join),
            httpx2.Client(
                base_url=f"{url}{API}",
                headers=headers,
                trust_env=False,
                timeout=10,
                verify=tls.trusting(broker.ca_file),
            ) as api,
        ):
            yield Place(broker, api, join, directory, process)


@contextmanager
def agent(directory: Path, broker: RabbitMQ, api_url: str, join: str) -> Iterator[None]:
    """The agent of `node-1`, as a process. All it is told of RabbitMQ is where it is."""
    environment = os.environ | {
        "PATHFINDER_BROKER_URL": broker.anonymous_url,
        "PATHFINDER_API_URL": api_url,
        "PATHFINDER_CA_FILE": str(broker.ca_file),
        "PATHFINDER_JOIN_TOKEN": join,
        "PATHFINDER_NODE_NAME": "node-1",
        "PATHFINDER_STATE_DIR": str(directory / "node-1"),
        "PATHFINDER_RUNTIME": "simulated",
    }
    program = (sys.executable, "-m", "pathfinder.cli.operator", "run", "agent")
    with (
        (directory / "agent.log").open("wb") as log,
        subprocess.Popen(program, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
async def thief(place: Place) -> Thief:
    """Whoever has the credential of `node-1`; beside it there is `node-2`, whose queue is declared."""

    async def ready() -> bool:
        answer = place.api.get("/nodes/node-1")
        return answer.status_code == 200 and answer.json()["status"] == "READY"

    await eventually(ready)
    _, other = place.register("node-2")
    login, own = place.login("node-1")
    await eventually(lambda: is_there(place, "node-2"))
    return Thief(place, login, own, other)


async def is_there(place: Place, hostname: str) -> bool:
    """Whether a node's queue is declared."""
    async with await aio_pika.connect(place.broker.url) as connection:
        return await topology.is_there(connection, topology.node_queue(hostname))


# What is tried


def taking(name: str) -> Attempt:
    """Consume a queue."""

    async def attempt(_: Thief, channel: AbstractChannel) -> None:
        await (await channel.get_queue(name, ensure=False)).consume(print)

    return attempt


def sending(exchange: str, key: str) -> Attempt:
    """Publish a message; `{own}` and `{other}` in the key are the ids of nodes."""

    async def attempt(thief: Thief, channel: AbstractChannel) -> None:
        into = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await into.publish(Message(b"[]"), key.format(own=thief.own, other=thief.other), mandatory=False)

    return attempt


def binding(queue: str, exchange: str, key: str) -> Attempt:
    """Bind a queue to an exchange."""

    async def attempt(_: Thief, channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).bind(exchange, key)

    return attempt


def declaring(name: str | None, **how: bool) -> Attempt:
    """Declare a queue."""

    async def attempt(_: Thief, channel: AbstractChannel) -> None:
        await channel.declare_queue(name, **how)

    return attempt


async def get_from_another(_: Thief, channel: AbstractChannel) -> None:
    """Take one message of another node."""
    await (await channel.get_queue(OTHER, ensure=False)).get(fail=False)


async def purge_another(_: Thief, channel: AbstractChannel) -> None:
    """Throw away what another node was told."""
    await (await channel.get_queue(OTHER, ensure=False)).purge()


async def delete_another(_: Thief, channel: AbstractChannel) -> None:
    """Remove another node's queue."""
    await channel.queue_delete(OTHER)


async def delete_own(_: Thief, channel: AbstractChannel) -> None:
    """Remove the own queue."""
    await channel.queue_delete(OWN)


async def declare_an_exchange(_: Thief, channel: AbstractChannel) -> None:
    """Make an exchange."""
    await channel.declare_exchange("mine")


async def delete_an_exchange(_: Thief, channel: AbstractChannel) -> None:
    """Remove one of Pathfinder's."""
    await channel.exchange_delete(Exchange.EVENTS)


async def bind_exchanges(_: Thief, channel: AbstractChannel) -> None:
    """Have what goes to the commands come to an exchange that may be read."""
    exchange = await channel.get_exchange(Exchange.REPORTS, ensure=False)
    await exchange.bind(Exchange.COMMANDS, "node-2")


ATTEMPTS: dict[str, Attempt] = {
    "consume another node's queue": taking(OTHER),
    **{f"consume {queue.name}": taking(queue.name) for queue in topology.SHARED},
    "get from another node's queue": get_from_another,
    "purge another node's queue": purge_another,
    "delete another node's queue": delete_another,
    "delete its own queue": delete_own,
    "declare its own queue": declaring(OWN, durable=True),
    "declare another node's queue": declaring("pathfinder.node.node-9"),
    "declare any queue": declaring("mine"),
    "declare a queue of the connection": declaring(None, exclusive=True),
    "declare an api's queue": declaring("pathfinder.api.1"),
    "declare an exchange": declare_an_exchange,
    "delete an exchange": delete_an_exchange,
    "bind an exchange to another": bind_exchanges,
    "bind its queue to another node's commands": binding(OWN, Exchange.COMMANDS, "node-2"),
    "bind its queue to events": binding(OWN, Exchange.EVENTS, "#"),
    "bind its queue to reports": binding(OWN, Exchange.REPORTS, "#"),
    "bind its queue to dead letters": binding(OWN, Exchange.DEAD, "#"),
    "bind another node's queue to its commands": binding(OTHER, Exchange.COMMANDS, "node-1"),
    "send a command": sending(Exchange.COMMANDS, "node-2"),
    "send itself a command": sending(Exchange.COMMANDS, "node-1"),
    "send an event": sending(Exchange.EVENTS, "container.requested"),
    "send into another node's queue": sending("", OTHER),
    "send into the recorder's queue": sending("", topology.RECORDER.name),
    "send over an exchange of RabbitMQ": sending("amq.topic", "anything"),
    "report as another node": sending(Exchange.REPORTS, "provisioned.{other}"),
    "report as nobody": sending(Exchange.REPORTS, "provisioned"),
    "report what there is not": sending(Exchange.REPORTS, "anything.{own}"),
    "beat for another node": sending(Exchange.REPORTS, "heartbeat.{other}"),
    "beat for two nodes": sending(Exchange.REPORTS, "heartbeat.{own}.{other}"),
    "send the monitor's mark": sending(Exchange.REPORTS, f"{topology.MARK}.{{own}}"),
    "set aside for another node": sending(Exchange.DEAD, OTHER),
    "set aside for the recorder": sending(Exchange.DEAD, topology.RECORDER.name),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_node_may_nothing_but_its_own_work(thief: Thief, attempt: str) -> None:
    """Each of these is refused, and for no other reason than that it is not allowed."""
    async with thief.place.channel(thief.login) as channel:
        with pytest.raises(ChannelAccessRefused):
            await ATTEMPTS[attempt](thief, channel)


async def test_a_node_may_do_its_own_work(thief: Thief) -> None:
    """A container is asked for, the agent takes the command from its queue and reports; nobody but itself is needed."""
    created = thief.place.api.post("/containers", json={"hostname": "web-1"})
    assert created.status_code in (201, 202), created.text

    async def provisioned() -> bool:
        return bool(thief.place.api.get("/containers/web-1").json()["status"] == "PROVISIONED")

    await eventually(provisioned)


async def test_a_node_is_nobody_else(thief: Thief) -> None:
    """Its credential opens no role, no other node and no other virtual host, and without it nobody is the node."""
    broker, secret = thief.place.broker, thief.login.password
    elsewhere = broker.anonymous_url.rpartition("/")[0] + "/"
    for url, login in (
        (broker.anonymous_url, Login("pathfinder-relay", secret)),
        (broker.anonymous_url, Login("pathfinder", secret)),
        (broker.anonymous_url, Login(node_user("node-2", thief.other), secret)),
        (broker.anonymous_url, Login(node_user("node-2", thief.own), secret)),
        (broker.anonymous_url, Login(node_user("node-1", thief.own), "pf_guessed")),
        (broker.anonymous_url, Login(node_user("node-1", uuid4()), secret)),
        (elsewhere, thief.login),
    ):
        with pytest.raises((AMQPError, ConnectionError)):
            await aio_pika.connect(logged_in(url, login), timeout=10)


@pytest.mark.parametrize("kind", [Report.PROVISIONED, Report.INVENTORY, Report.HEARTBEAT])
async def test_a_report_that_claims_another_node_is_set_aside(thief: Thief, kind: Report) -> None:
    """RabbitMQ only sees the routing key; what the message says must agree with it, or it is nothing but kept."""
    body = {"node_id": thief.other, "usage": {}, "epoch": 0, "hostname": "web-9"}
    subject = str(uuid4()) if kind == Report.PROVISIONED else thief.other
    sent = Envelope(kind=kind, cluster=str(uuid4()), subject=subject, generation=1, body=body)
    async with thief.place.channel(thief.login) as channel:
        reports = await channel.get_exchange(Exchange.REPORTS, ensure=False)
        await reports.publish(Message(encode([sent])), report_key(kind, thief.own))

    async def kept() -> bool:
        return any(
            one["kinds"] == [kind] and f"node {thief.own} sent" in one["reason"]
            for one in thief.place.api.get("/dead").json()["items"]
        )

    await eventually(kept)


async def test_a_node_that_was_deleted_is_let_in_no_more(thief: Thief) -> None:
    """Its credential ends with it, as soon as RabbitMQ asks again; also for a connection that is open by then, which
    is not the node that registers under the same name later.
    """
    login, _ = thief.place.register("node-3")
    await eventually(lambda: is_there(thief.place, "node-3"))
    async with await aio_pika.connect(logged_in(thief.place.broker.anonymous_url, login)) as kept:
        assert thief.place.api.delete("/nodes/node-3").status_code == 204

        async def let_in_no_more() -> bool:
            try:
                async with thief.place.channel(login):
                    return False
            except (AMQPError, ConnectionError):
                return True

        async def taking_no_more() -> bool:
            async with kept.channel() as channel:
                try:
                    await taking("pathfinder.node.node-3")(thief, channel)
                except ChannelAccessRefused:
                    return True
            return False

        await eventually(let_in_no_more)
        thief.place.register("node-3")
        await eventually(lambda: is_there(thief.place, "node-3"))
        await eventually(taking_no_more)


async def test_a_queue_that_was_lost_is_declared_again(thief: Thief) -> None:
    """The agent may not declare it; it registers again, which has a relay do so."""
    async with thief.place.operator() as channel:
        await channel.queue_delete(OWN)
    await eventually(lambda: is_there(thief.place, "node-1"), 40)


async def test_roles_need_no_api_to_get_in(thief: Thief) -> None:
    """While no API answers, the roles connect as ever, and what is connected goes on; only new nodes wait."""
    broker, login = thief.place.broker, Login("pathfinder-relay", thief.place.broker.passwords["relay"])
    async with thief.place.channel(thief.login) as channel:
        reports = await channel.get_exchange(Exchange.REPORTS, ensure=False)
        heartbeat = report_key(Report.HEARTBEAT, thief.own)
        await reports.publish(Message(b"[]"), heartbeat)
        thief.place.process.send_signal(signal.SIGSTOP)
        try:
            async with await aio_pika.connect(logged_in(broker.anonymous_url, login)) as connection:
                await topology.declaring("relay")(await connection.channel())
            await reports.publish(Message(b"[]"), heartbeat)
            with pytest.raises((AMQPError, ConnectionError)):
                await aio_pika.connect(logged_in(broker.anonymous_url, Login(node_user("x", uuid4()), "y")), timeout=15)
        finally:
            thief.place.process.send_signal(signal.SIGCONT)


async def test_nobody_but_rabbitmq_is_answered(thief: Thief) -> None:
    """Without the secret there is nothing to be asked: nobody can find out so which names are nodes."""
    form = {"username": thief.login.user, "password": thief.login.password}
    path = "/broker/user"

    assert thief.place.api.post(path, data=form).status_code == 404
    assert thief.place.api.post(path, data=form, auth=("rabbitmq", "guessed")).status_code == 404
    answer = thief.place.api.post(path, data=form, auth=("rabbitmq", thief.place.broker.secret))
    assert (answer.status_code, answer.text) == (200, "allow")  # and no tag, which could open the management

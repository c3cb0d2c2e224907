"""A private RabbitMQ node: its own name, ports, data, cookie, plugins file and port mapper.

Erlang nodes of one machine usually share one `epmd`, which stays behind when they end. Ours is a program of its own
under supervision, on its own port, so nothing of the machine is used and nothing stays.

Several nodes make a cluster: those after the first join it when they start for the first time.
"""

import hashlib
import hmac
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pathfinder.broker import setup
from pathfinder.broker.topology import PARTS
from pathfinder.embedded.account import Account
from pathfinder.embedded.amqp_login import lets_in
from pathfinder.embedded.errors import NotInstalled, NotReady
from pathfinder.embedded.ports import LOOPBACK, answers, free_port
from pathfinder.embedded.program import Program
from pathfinder.embedded.supervisor import wait_until

#: Beside the standard ones, which may belong to the machine: AMQP, between nodes, port mapper.
#: Below the ports that the kernel gives to outgoing connections: one of those would hold them just when we start.
PORT, NODES_PORT, MAPPER_PORT = 21672, 22672, 23369
NAME = "pathfinder"
READY_SECONDS = 60.0
#: Debian's own script; the one on PATH is a wrapper that only knows the machine's node.
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
_MAPPER = Path("/usr/bin/epmd")
#: How much of the log of quorum queues is kept in memory before it goes to their segments. By default that is 512 MiB,
#: towards which the memory of a node that has little to do grows for days.
LOG_BYTES = 32 << 20
#: Erlang's schedulers would spin for a while before they sleep, which other nodes of the same machine pay for.
_IDLE = " +sbwt none +sbwtdcpu none +sbwtdio none"
#: Each quorum queue looks after itself so often, in ms; every 5 s by default, which with 5,000 nodes took a fifth of a
#: core. Alone it has no peers to look after: it is only for expiry, after days, and what `rabbitmqctl` tells.
_SELDOM = " -rabbit quorum_tick_interval 30000"


@dataclass(frozen=True)
class RabbitMQ:
    """One RabbitMQ node."""

    directory: Path
    port: int
    nodes_port: int
    mapper_port: int
    password: str
    account: Account
    #: More addresses to listen on beside loopback.
    extra_hosts: tuple[str, ...] = ()
    #: Which node of how many it is. They share a directory, for its cookie, and the port mapper.
    number: int = 1
    count: int = 1
    #: A directory with `tls.crt` and `tls.key` for TLS on a port of its own, beside the other; None: plain text alone.
    certificate: Path | None = None
    tls_port: int = 0
    #: The API it asks about nodes; without one, none is let in.
    api_url: str = ""
    #: The authorities that it is trusted by over TLS.
    ca_file: Path = setup.SYSTEM_CA
    cache_seconds: float = setup.CACHE_SECONDS
    #: How much of the log of quorum queues is kept in memory.
    log_bytes: int = LOG_BYTES

    @property
    def name(self) -> str:
        """The program's name."""
        return node_name("rabbitmq", self.number)

    @property
    def own(self) -> Path:
        """Its own part of the directory."""
        return self.directory if self.number == 1 else self.directory / f"node-{self.number}"

    @property
    def url(self) -> str:
        """Its virtual host, for somebody who may do everything there."""
        return f"amqp://{NAME}:{self.password}@{LOOPBACK}:{self.port}/{NAME}"

    @property
    def anonymous_url(self) -> str:
        """The same for roles and nodes, each of which has a login of its own."""
        return f"amqp://{LOOPBACK}:{self.port}/{NAME}"

    @property
    def passwords(self) -> dict[str, str]:
        """Those of the roles. All nodes of a cluster have the same."""
        return {role: self._derived(role) for role in PARTS}

    @property
    def secret(self) -> str:
        """What it shows to the API."""
        return self._derived("broker secret")

    @property
    def environment(self) -> dict[str, str]:
        """What makes the node ours alone."""
        return {
            "HOME": str(self.directory),  # where Erlang keeps its cookie
            "ERL_EPMD_PORT": str(self.mapper_port),
            "RABBITMQ_NODENAME": f"{node_name(NAME, self.number)}@localhost",
            "RABBITMQ_DIST_PORT": str(self.nodes_port),
            "RABBITMQ_MNESIA_BASE": str(self.own / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.own / "log"),
            "RABBITMQ_LOGS": "-",  # supervisord keeps and rotates the log
            "RABBITMQ_CONFIG_FILE": str(self.own / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.own / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.own / "pid"),
            # The machine's own settings must not reach our node.
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILES": str(self.own / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.own / "advanced.config"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            + _IDLE
            + (_SELDOM if self.count == 1 else ""),
            # Read by nobody: with another configuration it is another program, and is started anew.
            "PATHFINDER_CONFIGURATION": hashlib.sha256("".join(self._files().values()).encode()).hexdigest()[:16],
        }

    @property
    def mapper_command(self) -> tuple[str, ...]:
        """What runs its port mapper."""
        return (str(_MAPPER), "-port", str(self.mapper_port), "-address", LOOPBACK)

    def configure(self) -> None:
        """Write its configuration. Users and virtual host are made, or put right again, at each start."""
        if not _SERVER.exists() or not _MAPPER.exists():
            raise NotInstalled("RabbitMQ")
        self.account.own(self.own)
        if self.certificate is not None:
            for name in ("tls.crt", "tls.key"):  # copies that belong to its account
                self._write(name, (self.certificate / name).read_text())
        for name, content in self._files().items():
            self._write(name, content)
        cookie = self.directory / ".erlang.cookie"
        if self.count > 1 and not cookie.exists():
            cookie.write_text(hashlib.sha256(f"cookie {self.password}".encode()).hexdigest())
            os.chown(cookie, self.account.uid, self.account.gid)
            cookie.chmod(0o400)

    def is_ready(self) -> bool:
        """Whether it accepts our password: listeners are opened when everything else is up."""
        return lets_in(LOOPBACK, self.port, NAME, self.password)

    def control(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """What `rabbitmqctl` says to it."""
        return self.account.run(str(_CONTROL), "--quiet", *words, env=os.environ | self.environment)

    def leader(self, queue: str) -> int:
        """The number of the node that leads a quorum queue."""
        listed = self.control("list_queues", "--vhost", NAME, "--no-table-headers", "name", "leader")
        leaders = dict(line.split("\t") for line in listed.stdout.splitlines())
        if queue not in leaders:
            raise NotReady(f"rabbitmqctl does not tell the leader of {queue}: {listed.stderr.strip() or listed.stdout}")
        name = leaders[queue].split("@")[0].removeprefix(NAME).removeprefix("-")
        return int(name or 1)

    def programs(self) -> list[Program]:
        """It and its port mapper, under supervision, in start order."""
        mapper = Program("epmd", self.mapper_command, priority=110, user=self.account.name)
        server = Program(
            self.name,
            (str(_SERVER),),
            priority=120 + self.number,
            environment=self.environment,
            user=self.account.name,
            stop_seconds=30,
            # The server is a shell script that waits for Erlang; both must hear the signal.
            stop_children=True,
        )
        return [mapper, server]

    def _clustering(self) -> list[str]:
        if self.count == 1:
            return []
        # The side of a split that has not the majority stops, rather than to accept what nobody else has.
        lines = ["cluster_partition_handling = pause_minority"]
        if self.number > 1:
            lines += [
                "cluster_formation.peer_discovery_backend = classic_config",
                f"cluster_formation.classic_config.nodes.1 = {NAME}@localhost",
            ]
        return lines

    def _tls(self) -> list[str]:
        if self.certificate is None:
            return []
        return [
            f"listeners.ssl.1 = {LOOPBACK}:{self.tls_port}",
            f"ssl_options.certfile = {self.own / 'tls.crt'}",
            f"ssl_options.keyfile = {self.own / 'tls.key'}",
            "ssl_options.versions.1 = tlsv1.3",
            "ssl_options.versions.2 = tlsv1.2",
        ]

    def _files(self) -> dict[str, str]:
        addresses = enumerate((LOOPBACK, *self.extra_hosts), start=1)
        lines = [f"listeners.tcp.{number} = {host}:{self.port}" for number, host in addresses]
        lines += [f"load_definitions = {self.own / 'definitions.json'}", f"raft.wal_max_size_bytes = {self.log_bytes}"]
        lines += [*self._clustering(), *self._tls()]
        lines += setup.configuration(self.api_url, self.secret, self.cache_seconds) if self.api_url else []
        definitions = setup.definitions(NAME, self.passwords)
        definitions["users"].append(setup.user(NAME, self.password, "administrator"))
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions["permissions"].append({"user": NAME, "vhost": NAME, **everything})
        plugins = ", ".join(setup.PLUGINS if self.api_url else ())
        secure = self.api_url.startswith("https:")
        return {
            "ca.crt": self.ca_file.read_text() if secure else "",  # a copy that belongs to its account
            "advanced.config": setup.trusting(self.own / "ca.crt", self.api_url) if secure else "[].\n",
            "rabbitmq.conf": "\n".join(lines) + "\n",
            "definitions.json": json.dumps(definitions),
            "enabled_plugins": f"[{plugins}].\n",
        }

    def _derived(self, name: str) -> str:
        return hmac.new(self.password.encode(), name.encode(), "sha256").hexdigest()

    def _write(self, name: str, text: str) -> None:
        path = self.own / name
        path.write_text(text)
        os.chown(path, self.account.uid, self.account.gid)
        path.chmod(0o600)


def node_name(name: str, number: int) -> str:
    """The name of a node of a cluster: `rabbitmq`, `rabbitmq-2`, …"""
    return name if number == 1 else f"{name}-{number}"


@contextmanager
def start_rabbitmq(directory: Path, port: int, certificate: Path | None = None, tls_port: int = 0) -> Iterator[str]:
    """A RabbitMQ of one's own in `directory` while the context lasts; yields its URL.

    PATHFINDER_BROKER_URL wins: then nothing is started and that is yielded. The account `rabbitmq` must be able to
    reach the directory. With a `certificate`, it also speaks TLS on `tls_port`.
    """
    if given := os.environ.get("PATHFINDER_BROKER_URL"):
        yield given
        return
    with running(replace(single(directory, port), certificate=certificate, tls_port=tls_port)) as node:
        yield node.url


def single(directory: Path, port: int) -> RabbitMQ:
    """A node in `directory`, with free ports above its own."""
    account = Account.of("rabbitmq")
    nodes_port, mapper_port = free_port(port + 1000), free_port(port + 2000)
    return RabbitMQ(account.own(directory), port, nodes_port, mapper_port, "development", account)


@contextmanager
def running(node: RabbitMQ) -> Iterator[RabbitMQ]:
    """Run a node, and its port mapper, while the context lasts. Its log is beside its directory."""
    node.configure()
    directory, mapper_port = node.directory, node.mapper_port
    with (directory.parent / f"{directory.name}.log").open("ab") as log:
        mapper = _spawn(node, node.mapper_command, log.fileno())
        wait_until("epmd", lambda: answers(mapper_port), READY_SECONDS)
        server = _spawn(node, (str(_SERVER),), log.fileno())
    try:
        wait_until("RabbitMQ", node.is_ready, READY_SECONDS)
        yield node
    finally:
        for process in (server, mapper):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(READY_SECONDS)


def _spawn(node: RabbitMQ, command: tuple[str, ...], log: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env=os.environ | node.environment,
        user=node.account.uid,
        group=node.account.gid,
        start_new_session=True,
    )

"""PostgreSQL and RabbitMQ of one home, brought up and waited for. URLs from the environment win."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pathfinder.broker import setup
from pathfinder.embedded import postgres, rabbitmq, roles
from pathfinder.embedded.account import Account, data_directory
from pathfinder.embedded.ports import LOOPBACK, answers
from pathfinder.embedded.postgres import Postgres
from pathfinder.embedded.progress import Progress
from pathfinder.embedded.rabbitmq import RabbitMQ
from pathfinder.embedded.supervisor import Supervisor, wait_until

#: Nodes of a RabbitMQ that survives the death of one.
BROKER_NODES = 3


class Services:
    """The two services every role needs. `ha`: a PostgreSQL with a standby, a RabbitMQ of three nodes. `log_bytes` of
    RabbitMQ: as in `rabbitmq`.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        environment: Mapping[str, str],
        broker_hosts: tuple[str, ...] = (),
        *,
        ha: bool = False,
        api_urls: Sequence[str] = (),
        log_bytes: int = rabbitmq.LOG_BYTES,
    ) -> None:
        self._supervisor = supervisor
        self._home = supervisor.home
        self._given = environment
        #: Where RabbitMQ listens beside loopback.
        self._broker_hosts = broker_hosts
        self._ha = ha
        #: Whom RabbitMQ asks about nodes: one after the other, its nodes have one of them each.
        self._api_urls = api_urls
        self._log_bytes = log_bytes

    @property
    def owns_database(self) -> bool:
        """Whether PostgreSQL is one of this home, and nobody else's."""
        return not self._given.get("PATHFINDER_DATABASE_URL")

    def database(self, progress: Progress) -> str:
        """The URL of a PostgreSQL that accepts connections."""
        with progress.step("PostgreSQL") as step:
            if given := self._given.get("PATHFINDER_DATABASE_URL"):
                step.say("given by PATHFINDER_DATABASE_URL")
                return given
            server = self.primary()
            if not server.is_ready():
                server.initialise()
            self._run_postgres(server)
            if not self._ha:
                step.say(f"ready on {LOOPBACK}:{server.port}")
                return server.url
            standby = self.standby()
            standby.follow(server)
            self._run_postgres(standby)
            if server.takes_writes() and not standby.takes_writes():
                wait_until("a standby that follows", server.is_followed, postgres.READY_SECONDS)
            step.say(f"ready on {LOOPBACK}:{server.port}, standby on {LOOPBACK}:{standby.port}")
            return server.url_with(standby)

    def broker(self, progress: Progress) -> str:
        """The URL of a RabbitMQ that accepts connections, of somebody who may do everything there; of several nodes,
        separated by commas.
        """
        with progress.step("RabbitMQ") as step:
            if given := self._given.get("PATHFINDER_BROKER_URL"):
                step.say("given by PATHFINDER_BROKER_URL")
                return given
            first, *others = self._broker_nodes()
            mapper = first.programs()[0]
            self._supervisor.define([mapper])
            self._supervisor.start(mapper.name)
            self._supervisor.wait(mapper.name, lambda: answers(first.mapper_port), rabbitmq.READY_SECONDS)
            self._run_rabbitmq(first)
            with ThreadPoolExecutor() as pool:
                for joined in [pool.submit(self._run_rabbitmq, node) for node in others]:
                    joined.result()
            step.say("ready on " + ", ".join(f"{LOOPBACK}:{node.port}" for node in (first, *others)))
            return ",".join(node.url for node in (first, *others))

    def broker_settings(self) -> dict[str, str]:
        """What the roles are told of it, each of which is a user of its own; of one that was given, only where it is.
        Nodes need its URL alone.
        """
        if given := self._given.get(roles.BROKER_URL):
            return {roles.BROKER_URL: given}
        nodes = self._broker_nodes()
        return {
            roles.BROKER_URL: ",".join(node.anonymous_url for node in nodes),
            roles.BROKER_PASSWORDS: json.dumps(nodes[0].passwords),
            roles.BROKER_SECRET: nodes[0].secret,
        }

    def primary(self) -> Postgres:
        """The one PostgreSQL, or that of the two that was made first."""
        server = self._postgres(postgres.PRIMARY, postgres.PORT)
        return replace(server, synchronous=postgres.STANDBY if self._ha else "")

    def standby(self) -> Postgres:
        """The second of the two."""
        return self._postgres(postgres.STANDBY, postgres.PORT + 1)

    def _run_postgres(self, server: Postgres) -> None:
        # A primary that died may have been replaced meanwhile; it is not for supervisord to decide that it goes on.
        # Its standby is started again: without it nothing is accepted.
        program = replace(server.program(), restart=not (self._ha and server.name == postgres.PRIMARY))
        self._supervisor.define([program])
        self._supervisor.start(program.name)
        self._supervisor.wait(program.name, server.is_ready, postgres.READY_SECONDS)

    def _run_rabbitmq(self, node: RabbitMQ) -> None:
        node.configure()
        program = node.programs()[1]
        if self._ha:  # only labs have several, and those are thrown away: nothing is asked to stop
            program = replace(program, stop_signal="KILL")
        self._supervisor.define([program])
        self._supervisor.start(program.name)
        self._supervisor.wait(program.name, node.is_ready, rabbitmq.READY_SECONDS)

    def _postgres(self, name: str, preferred: int) -> Postgres:
        account = Account.of("postgres")
        directory = data_directory(self._home, name, account)
        port = self._home.port(name, preferred, in_use=self._supervisor.is_running(name))
        return Postgres(directory, port, self._home.secret("postgres"), account, name)

    def _broker_nodes(self) -> list[RabbitMQ]:
        return [self.broker_node(number) for number in range(1, (BROKER_NODES if self._ha else 1) + 1)]

    def broker_node(self, number: int) -> RabbitMQ:
        """The only RabbitMQ node, or one of three."""
        account = Account.of("rabbitmq")
        name = rabbitmq.node_name("rabbitmq", number)
        running = self._supervisor.is_running(name)
        return RabbitMQ(
            data_directory(self._home, "rabbitmq", account),
            self._home.port(name, rabbitmq.PORT + number - 1, in_use=running),
            self._home.port(f"{name}.nodes", rabbitmq.NODES_PORT + number - 1, in_use=running),
            self._home.port("epmd", rabbitmq.MAPPER_PORT, in_use=self._supervisor.is_running("epmd")),
            self._home.secret("rabbitmq"),
            account,
            self._broker_hosts,
            number,
            BROKER_NODES if self._ha else 1,
            api_url=self._api_urls[(number - 1) % len(self._api_urls)] if self._api_urls else "",
            ca_file=Path(self._given.get("PATHFINDER_CA_FILE") or setup.SYSTEM_CA),
            log_bytes=self._log_bytes,
        )

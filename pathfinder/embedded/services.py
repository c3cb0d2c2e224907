"""PostgreSQL and RabbitMQ of one home, brought up and waited for. URLs from the environment win."""

from collections.abc import Mapping

from pathfinder.embedded import postgres, rabbitmq
from pathfinder.embedded.account import Account, data_directory
from pathfinder.embedded.ports import LOOPBACK, answers
from pathfinder.embedded.postgres import Postgres
from pathfinder.embedded.progress import Progress
from pathfinder.embedded.rabbitmq import RabbitMQ
from pathfinder.embedded.supervisor import Supervisor


class Services:
    """The two services every role needs."""

    def __init__(
        self, supervisor: Supervisor, environment: Mapping[str, str], broker_hosts: tuple[str, ...] = ()
    ) -> None:
        self._supervisor = supervisor
        self._home = supervisor.home
        self._given = environment
        #: Where RabbitMQ listens beside loopback.
        self._broker_hosts = broker_hosts

    def database(self, progress: Progress) -> str:
        """The URL of a PostgreSQL that accepts connections."""
        with progress.step("PostgreSQL") as step:
            if given := self._given.get("PATHFINDER_DATABASE_URL"):
                step.say("given by PATHFINDER_DATABASE_URL")
                return given
            server = self._postgres()
            if not server.is_ready():
                server.initialise()
            program = server.program()
            self._supervisor.define([program])
            self._supervisor.start(program.name)
            self._supervisor.wait(program.name, server.is_ready, postgres.READY_SECONDS)
            step.say(f"ready on {LOOPBACK}:{server.port}")
            return server.url

    def broker(self, progress: Progress) -> str:
        """The URL of a RabbitMQ that accepts connections."""
        with progress.step("RabbitMQ") as step:
            if given := self._given.get("PATHFINDER_BROKER_URL"):
                step.say("given by PATHFINDER_BROKER_URL")
                return given
            node = self._rabbitmq()
            node.configure()
            mapper, server = node.programs()
            self._supervisor.define([mapper, server])
            self._supervisor.start(mapper.name)
            self._supervisor.wait(mapper.name, lambda: answers(node.mapper_port), rabbitmq.READY_SECONDS)
            self._supervisor.start(server.name)
            self._supervisor.wait(server.name, node.is_ready, rabbitmq.READY_SECONDS)
            step.say(f"ready on {LOOPBACK}:{node.port}")
            return node.url

    def _postgres(self) -> Postgres:
        account = Account.of("postgres")
        directory = data_directory(self._home, "postgres", account)
        running = self._supervisor.is_running("postgres")
        port = self._home.port("postgres", postgres.PORT, in_use=running)
        return Postgres(directory, port, self._home.secret("postgres"), account)

    def _rabbitmq(self) -> RabbitMQ:
        account = Account.of("rabbitmq")
        directory = data_directory(self._home, "rabbitmq", account)
        running = self._supervisor.is_running("rabbitmq")
        port = self._home.port("rabbitmq", rabbitmq.PORT, in_use=running)
        nodes_port = self._home.port("rabbitmq.nodes", rabbitmq.NODES_PORT, in_use=running)
        mapper_port = self._home.port("epmd", rabbitmq.MAPPER_PORT, in_use=self._supervisor.is_running("epmd"))
        secret = self._home.secret("rabbitmq")
        return RabbitMQ(directory, port, nodes_port, mapper_port, secret, account, self._broker_hosts)

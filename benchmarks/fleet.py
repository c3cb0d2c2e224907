"""A fleet of simulated nodes with real services and real roles, each a process of its own, on loopback.

Many agents share a process, and each costs what it costs elsewhere: a connection, a queue, heartbeats, inventories.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks.naming import node_name
from pathfinder.embedded import first_rows, orphans, roles
from pathfinder.embedded.account import remove_data_elsewhere
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.home import Home
from pathfinder.embedded.program import Program
from pathfinder.embedded.progress import Progress
from pathfinder.embedded.rabbitmq import LOG_BYTES, RabbitMQ
from pathfinder.embedded.services import Services
from pathfinder.embedded.supervisor import Supervisor

API_PORT = 24090
START_SECONDS = 120.0
AGENTS_A_PROCESS = 100
SERVICES = ("postgres", "rabbitmq")
#: Whenever RabbitMQ's log is full each queue in it writes a segment: with thousands that is most of what it does.
LOG_BYTES_A_NODE = 100 << 10
Made = TypeVar("Made")


class Fleet:
    """One fleet in a directory of its own. `settings` (`PATHFINDER_…`) reach every role and agent."""

    def __init__(
        self,
        root: Path,
        nodes: int,
        settings: Mapping[str, str] | None = None,
        *,
        agents: bool = True,
        copies: Mapping[str, int] | None = None,
        log_bytes: int | None = None,
    ) -> None:
        """Without `agents` the nodes are somebody else's to play. `copies`: how many processes of which role.
        `log_bytes`: RabbitMQ's log, if not the usual for so many nodes.
        """
        self.nodes = [node_name(number) for number in range(1, nodes + 1)]
        self.supervisor = Supervisor(Home(root))
        self._with_agents = agents
        self._roles = {
            f"{role}-{number}" if number > 1 else role: role
            for role in roles.CONTROL_PLANE
            for number in range(1, (copies or {}).get(role, 1) + 1)
        }
        self._settings = {"PATHFINDER_DEFAULT_IMAGE": "local:tiny", **(settings or {})}
        self._services = Services(self.supervisor, {}, log_bytes=log_bytes or max(LOG_BYTES, nodes * LOG_BYTES_A_NODE))
        self.api_url = self.token = self.database_url = self.broker_url = ""

    @property
    def programs(self) -> list[str]:
        """Everything that runs for it."""
        return [*SERVICES, *self._roles, *(one.name for one in self._agents())]

    def pids(self, programs: Iterable[str]) -> dict[str, int]:
        """The processes of these programs."""
        return {name: self.supervisor.pid(name) for name in programs}

    @property
    def broker(self) -> RabbitMQ:
        """Its RabbitMQ."""
        return self._services.broker_node(1)

    def up(self, progress: Progress) -> None:
        """Start everything; return when the API is ready and the agents are on their way."""
        home = self.supervisor.home
        home.create()
        self.supervisor.ensure()
        with ThreadPoolExecutor() as pool:
            broker, database = pool.submit(self._services.broker, progress), pool.submit(self._database, progress)
            self.database_url, self.broker_url = database.result(), broker.result()
        settings = self._settings | {roles.DATABASE_URL: self.database_url, roles.BROKER_URL: self.broker_url}
        self.token = first_rows.token(home, {}, "admin")
        port = home.port("api", API_PORT, in_use=False)
        self.api_url = f"http://127.0.0.1:{port}"
        settings |= {"PATHFINDER_API_LISTEN": f"127.0.0.1:{port}"}
        with progress.step("roles") as step:
            self.run([roles.role_program(name, (role,), settings) for name, role in self._roles.items()])
            api = ControlPlane(self.api_url, self.token)
            self.supervisor.wait("api", api.is_ready, START_SECONDS)
            api.set_default_image(self._settings["PATHFINDER_DEFAULT_IMAGE"])
            self.run(self._agents())
            step.say(f"ready on {self.api_url}")

    def down(self) -> None:
        """End every process and remove everything."""
        home = self.supervisor.home
        if home.root.exists():
            self.supervisor.shutdown()
            orphans.end(self.supervisor, {})
            remove_data_elsewhere(home)
            home.remove()

    def add_user(self) -> None:
        """Make the user that everybody knows the password of."""
        first_rows.create_development_user(self._settings | {roles.DATABASE_URL: self.database_url})

    def kill_broker(self) -> None:
        """`kill -9` RabbitMQ with all its processes. supervisord starts it again at once."""
        os.killpg(os.getpgid(self.supervisor.pid("rabbitmq")), signal.SIGKILL)

    def _database(self, progress: Progress) -> str:
        url = self._services.database(progress)
        settings = self._settings | {roles.DATABASE_URL: url}
        first_rows.migrate(settings)
        first_rows.create_tokens(self.supervisor.home, settings)
        return url

    def _agents(self) -> list[Program]:
        if not self._with_agents:
            return []
        environment = self._settings | {
            "PATHFINDER_API_URL": self.api_url,
            roles.BROKER_URL: self.broker_url,
            "PATHFINDER_JOIN_TOKEN": str(self.supervisor.home.recall("token.join")),
            "PATHFINDER_STATE_DIR": str(self.supervisor.home.root / "agents"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        made = []
        for number, first in enumerate(range(1, len(self.nodes) + 1, AGENTS_A_PROCESS), start=1):
            last = min(first + AGENTS_A_PROCESS - 1, len(self.nodes))
            command = (sys.executable, "-m", "benchmarks.agents", str(first), str(last))
            made.append(Program(f"agents-{number}", command, 500, environment, stop_seconds=2))
        return made

    def run(self, programs: list[Program]) -> None:
        """Start programs beside the others."""
        self.supervisor.define(programs)
        for program in programs:
            self.supervisor.start(program.name)


@contextmanager
def in_short_directory(make: Callable[[Path], Made]) -> Iterator[Made]:
    """What `make` makes in a directory with a short path, for the sockets in it; taken down at the end."""
    with tempfile.TemporaryDirectory(prefix="pf-bench-") as directory:
        Path(directory).chmod(0o711)  # service accounts may pass
        made = make(Path(directory) / "home")
        try:
            yield made
        finally:
            made.down()  # type: ignore[attr-defined]

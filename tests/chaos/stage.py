"""The simulated stage: real services, real roles as processes of their own, and agents of simulated machines."""

import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chaos
from chaos.wiring import Plan, database_address, database_link, node_address, node_name, role_address
from pathfinder.embedded import first_rows, orphans, roles
from pathfinder.embedded.account import remove_data_elsewhere
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.home import Home
from pathfinder.embedded.program import Program
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.services import Services
from pathfinder.embedded.supervisor import Supervisor, wait_until

#: Two of each role: what one of them drops, the other finds.
ROLES = tuple(f"{role}-{number}" for role in roles.CONTROL_PLANE for number in (1, 2))
SERVICES = ("postgres", "rabbitmq")
START_SECONDS = 120.0
API_PORT, WIRE_PORT = 25_300, 25_400
#: What takes a minute in production takes seconds here; heartbeat and lease are as they come.
SETTINGS = {
    "PATHFINDER_INVENTORY_SECONDS": "10",
    "PATHFINDER_GRACE_SECONDS": "6",
    "PATHFINDER_SWEEP_SECONDS": "5",
    "PATHFINDER_DATABASE_POOL_SIZE": "5",
    "PATHFINDER_DEFAULT_IMAGE": "local:tiny",
    "PATHFINDER_LOG_FORMAT": "json",
}


class Stage:
    """One stage in a directory of its own."""

    def __init__(self, root: Path, nodes: int, hosts: int, settings: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._settings = SETTINGS | dict(settings or {})
        self.supervisor = Supervisor(Home(root))
        self.nodes = [node_name(number) for number in range(1, nodes + 1)]
        self.hosts = [f"agents-{number}" for number in range(1, hosts + 1)]
        self.apis: list[str] = []
        self.token = self.database_url = self.broker_url = ""
        self.plan: Plan

    def up(self) -> None:
        """Start everything; return when every node is READY."""
        self.supervisor.home.create()
        for kind in ("cut", "torn", "dead", "sick"):
            (self.root / "faults" / kind).mkdir(parents=True)
        self.supervisor.ensure()
        services = Services(self.supervisor, {})
        with ThreadPoolExecutor() as pool:
            broker, database = pool.submit(services.broker, Silent()), pool.submit(services.database, Silent())
            self.database_url = database.result()
            settings = self._settings | {roles.DATABASE_URL: self.database_url}
            first_rows.migrate(settings)
            first_rows.create_tokens(self.supervisor.home, settings)
            self.broker_url = broker.result()
        self.token = first_rows.token(self.supervisor.home, {}, "admin")
        self._write_plan()
        self.supervisor.define([self._own("wire", "chaos.wire", priority=300)])
        self.supervisor.start("wire")
        wait_until("the wire", (self.root / "wire.ready").exists, START_SECONDS)
        self._start_roles(settings)
        agents = [self._own(host, "chaos.agents", host.split("-")[1], priority=500) for host in self.hosts]
        self.supervisor.define(agents)
        for host in self.hosts:
            self.supervisor.start(host)

    def down(self) -> None:
        """End every process and remove what services keep elsewhere. The directory is the caller's."""
        self.supervisor.shutdown()
        orphans.end(self.supervisor, {})
        remove_data_elsewhere(self.supervisor.home)

    def _write_plan(self) -> None:
        ports = [self._port(f"api-{number}", API_PORT) for number in (1, 2)]
        self.apis = [f"http://127.0.0.1:{port}" for port in ports]
        names = [*ROLES]
        links = {name: node_address(number) for number, name in enumerate(self.nodes, start=1)}
        links |= {name: role_address(number) for number, name in enumerate(names)}
        links |= {database_link(name): database_address(number) for number, name in enumerate(names)}
        wire_port, database_port = self._port("wire", WIRE_PORT), self._port("wire.database", WIRE_PORT)
        broker_url, broker_upstream = _through_the_wire(self.broker_url, wire_port)
        database_url, database_upstream = _through_the_wire(self.database_url, database_port)
        self.plan = Plan(
            nodes=len(self.nodes),
            hosts=len(self.hosts),
            links=links,
            broker_port=wire_port,
            api_port=self._port("wire.api", WIRE_PORT),
            database_port=database_port,
            broker_upstream=broker_upstream,
            api_upstreams=ports,
            database_upstream=database_upstream,
            broker_url=broker_url,
            database_url=database_url,
            join_token=first_rows.token(self.supervisor.home, {}, "join"),
            settings={"inventory_seconds": float(self._settings["PATHFINDER_INVENTORY_SECONDS"])},
        )
        self.plan.write(self.root)

    def _port(self, name: str, preferred: int) -> int:
        return self.supervisor.home.port(name, preferred, in_use=False)

    def _start_roles(self, settings: dict[str, str]) -> None:
        programs = []
        for name in ROLES:
            role, number = name.split("-")
            own = {roles.BROKER_URL: self.plan.broker_of(name), roles.DATABASE_URL: self.plan.database_of(name)}
            mine = settings | own
            if role == "api":
                mine["PATHFINDER_API_LISTEN"] = self.apis[int(number) - 1].removeprefix("http://")
            programs.append(roles.role_program(name, (role,), mine))
        self.supervisor.define(programs)
        for name in ROLES:
            self.supervisor.start(name)
        for place, url in enumerate(self.apis, start=1):
            self.supervisor.wait(f"api-{place}", ControlPlane(url, self.token).is_ready, START_SECONDS)

    def _own(self, name: str, module: str, *arguments: str, priority: int) -> Program:
        """A program of this package, at home in the stage's directory."""
        tests = str(Path(chaos.__file__).parents[1])
        start = f"import os, runpy; os.chdir({str(self.root)!r}); runpy.run_module({module!r}, run_name='__main__')"
        command = (sys.executable, "-c", start, *arguments)
        return Program(name, command, priority=priority, environment={"PYTHONPATH": tests}, stop_seconds=2)

    # Faults

    def kill(self, program: str) -> None:
        """`kill -9`; supervisord starts it again."""
        self.supervisor.signal(program, "KILL")

    def crash(self, service: str, *, immediate: bool) -> None:
        """End a service without any shutdown: the whole of it at once, or PostgreSQL's own `immediate`."""
        pid = self.supervisor.pid(service)
        if pid and immediate and service == "postgres":
            os.kill(pid, signal.SIGQUIT)
        elif pid:
            # All of it: RabbitMQ is a child of the script that starts it, and outlives that one.
            os.killpg(os.getpgid(pid), signal.SIGKILL)

    def freeze(self, program: str) -> None:
        """Stop a process where it is."""
        self.supervisor.signal(program, "STOP")

    def thaw(self, program: str) -> None:
        """Let it go on."""
        self.supervisor.signal(program, "CONT")

    def set_fault(self, kind: str, name: str) -> None:
        """Cut (`cut`), tear (`torn`) a link, take a machine's power (`dead`) or have its daemon not answer (`sick`)."""
        (self.root / "faults" / kind / name).touch()

    def end_fault(self, kind: str, name: str) -> None:
        """Undo it."""
        (self.root / "faults" / kind / name).unlink(missing_ok=True)


def _through_the_wire(url: str, port: int) -> tuple[str, int]:
    """A service's URL with a `{host}` that listens on `port` in its place, and the port it listens on itself."""
    begin, end = url.split("@")
    address, name = end.split("/")
    return f"{begin}@{{host}}:{port}/{name}", int(address.split(":")[1])

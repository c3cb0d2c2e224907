"""A lab: several real LXD nodes on this machine, with a whole Pathfinder around them. Thrown away when it is down.

Everything is in one directory and in namespaces, and every lab has its own bridge, ports and services: a lab of the
tests runs beside a user's, and beside `pathfinder up`.

    lab = Lab(Path("/tmp/pf-lab"))
    lab.up(nodes=3)
    lab.kill("node-02")        # the machine dies, at once
    lab.start("node-02")       # and comes back, with its disk
    lab.partition("node-03")   # runs on, but reaches nobody
    lab.heal("node-03")
    lab.down()
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pathfinder.embedded import first_rows, orphans, roles
from pathfinder.embedded.account import remove_data_elsewhere
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.errors import EmbeddedError, LxdImpossible
from pathfinder.embedded.home import Home
from pathfinder.embedded.image import TINY
from pathfinder.embedded.lab_network import LabNetwork, create_network
from pathfinder.embedded.lab_node import LabNode, lab_cgroup, remove_cgroups
from pathfinder.embedded.machine import read_facts, why_no_lxd
from pathfinder.embedded.postgres import PRIMARY, STANDBY
from pathfinder.embedded.program import Program
from pathfinder.embedded.progress import Progress, Silent
from pathfinder.embedded.rabbitmq import node_name
from pathfinder.embedded.services import Services
from pathfinder.embedded.supervisor import Status, Supervisor, wait_until

API_PORT = 8090
READY_SECONDS = 30.0
#: An agent that was restarted, or whose node was, is believed ready once it took its lease again.
NODE_SECONDS = 90.0


class Lab:
    """One lab, in `state_dir`. Methods may be called by another process than the one that called `up`.

    `settings` (`PATHFINDER_…`) win over those of the environment.
    """

    def __init__(self, state_dir: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.home = Home(state_dir or Home.default().root / "lab")
        self.supervisor = Supervisor(self.home)
        # Settings reach every role; where its services are and how its cluster is called is the lab's own business.
        given = roles.user_settings(os.environ) | dict(settings or {})
        ours = ("_URL", "_LISTEN", "_SOCKET", "_CLUSTER", "_TLS_CERTIFICATE", "_TLS_KEY")
        self._settings = {key: value for key, value in given.items() if not key.endswith(ours)}

    # What tests and `pathfinder lab` want to know

    @property
    def api_url(self) -> str:
        """The API, as the host reaches it."""
        return f"http://127.0.0.1:{self._recall('port.api')}"

    @property
    def api_urls(self) -> list[str]:
        """Every API there is, as the host reaches it."""
        ports = (self.home.recall(f"port.{node_name('api', number)}") for number in (1, 2))
        return [f"http://127.0.0.1:{port}" for port in ports if port]

    @property
    def token(self) -> str:
        """The operator's bearer token."""
        return str(self._recall("token.admin"))

    @property
    def database_url(self) -> str:
        """Its PostgreSQL, with its standby."""
        return str(self._recall("url.database"))

    @property
    def broker_url(self) -> str:
        """Its RabbitMQ, as the host reaches it; all its nodes, separated by commas."""
        return str(self._recall("url.broker"))

    @property
    def is_ha(self) -> bool:
        """Whether every part of it may die."""
        return bool(self.home.recall("ha"))

    def nodes(self) -> list[str]:
        """The names of its nodes, dead ones included."""
        return [node.name for node in self._nodes()]

    def socket(self, node: str) -> Path:
        """The socket of a node's LXD. It answers even while the node is cut off from the network."""
        return self._find(node).socket

    def address(self, node: str) -> str:
        """A node's IPv4 address on the lab's wire."""
        return self._network().node_address(self._find(node).number).split("/")[0]

    def is_up(self) -> bool:
        """Whether the lab's supervisord runs."""
        return self.supervisor.answers()

    def is_alive(self, node: str) -> bool:
        """Whether a node runs."""
        return self._find(node).is_alive(self.supervisor)

    def status(self) -> list[Status]:
        """Every program of the lab, then those on each living node, as `node-01/lxd`."""
        own = self.supervisor.status()
        inside = [
            replace(each, name=f"{node}/{each.name}")
            for node in self.nodes()
            if self.is_alive(node)
            for each in self._find(node).supervisor.status()
        ]
        return own + inside

    # Up and down

    def up(self, nodes: int = 3, progress: Progress | None = None, *, ha: bool = False, together: bool = False) -> None:
        """Start what does not run yet, and return when every node is ready.

        `ha`: two of each role, three RabbitMQ nodes, a PostgreSQL with a standby, so that any one may die. `together`:
        the whole control plane in one process, as `pathfinder up` has it; else each role can be killed by itself. A lab
        that is up stays what it is.
        """
        progress = progress or Silent()
        if reason := why_no_lxd(read_facts()):
            raise LxdImpossible(f"A lab needs real LXD: {reason}")
        with self.home.locked():
            if not self.supervisor.answers():
                self._remove_everything_running()
                self._remove_files()
                self.home.create()
                self.home.remember("ha", ha)
                self.home.remember("together", together)
            self.supervisor.ensure()
            self._make_network()
            self.home.remember("nodes", max(nodes, len(self.nodes())))  # more may join later, none leaves
            with ThreadPoolExecutor() as pool:
                control_plane = pool.submit(self._start_control_plane, progress)
                machines = [pool.submit(self._start_machine, self._find(name), progress) for name in self.nodes()]
                control_plane.result()
                for machine in machines:
                    machine.result()
            self._start_agents(progress)

    def down(self, progress: Progress | None = None) -> None:
        """End every process, remove every bridge, cgroup and file. What is gone already is no obstacle."""
        progress = progress or Silent()
        if not self.home.root.exists():
            return
        with self.home.locked(), progress.step("lab") as step:
            self._remove_everything_running()
            self._remove_files()
            step.say("removed")

    # Faults

    def kill(self, node: str) -> None:
        """A machine dies: every process on it is gone at once, its disk stays."""
        found = self._find(node)
        self.supervisor.signal(found.name, "KILL")
        wait_until(f"the end of {node}", lambda: not found.is_alive(self.supervisor), READY_SECONDS)
        self._network().unplug(found.number)
        found.await_end()

    def kill_broker(self, number: int = 1) -> None:
        """`kill -9` a RabbitMQ node with all its processes. supervisord starts it again at once."""
        # RabbitMQ is a child of the script that starts it, and outlives that one.
        pid = self.supervisor.pid(node_name("rabbitmq", number))
        os.killpg(os.getpgid(pid), signal.SIGKILL)

    def queue_leader(self, queue: str) -> int:
        """The number of the RabbitMQ node that leads a queue, for `kill_broker`."""
        return self._services().broker_node(1).leader(queue)

    def kill_primary(self) -> None:
        """The primary PostgreSQL of an `ha` lab is gone at once, as after a crash, and stays so: `promote_standby`."""
        self.supervisor.signal(PRIMARY, "QUIT")  # its immediate shutdown
        wait_until("the primary's end", lambda: not self.supervisor.is_running(PRIMARY), READY_SECONDS)

    def kill_standby(self) -> None:
        """The standby PostgreSQL of an `ha` lab crashes. supervisord starts it again, and until then commits wait."""
        self.supervisor.signal(STANDBY, "QUIT")

    def promote_standby(self) -> None:
        """The standby of an `ha` lab takes writes from now on. Not while the primary runs: there would be two."""
        if self.supervisor.is_running(PRIMARY):
            raise EmbeddedError("The primary still runs; kill it first.")
        self._services().standby().promote()

    def start(self, node: str) -> None:
        """A machine that died boots again, with its disk, and its agent takes up its work."""
        found = self._find(node)
        self._start_machine(found, Silent())
        self._start_agent(found, Silent())

    def partition(self, node: str) -> None:
        """Cut a node's network cable; what is on the node runs on."""
        self._network().cut(self._find(node).number)

    def heal(self, node: str) -> None:
        """Undo `partition`."""
        self._network().mend(self._find(node).number)

    def kill_role(self, role: str, node: str | None = None) -> None:
        """`kill -9` a role of the control plane, or a node's `agent`. supervisord starts it again at once."""
        self.supervisor_of(node).signal(role, "KILL")

    def stop_role(self, role: str, node: str | None = None) -> None:
        """Stop a role in good order; it stays stopped until `start_role`."""
        self.supervisor_of(node).stop(role)

    def start_role(self, role: str, node: str | None = None) -> None:
        """Start a role that was stopped."""
        self.supervisor_of(node).start(role)

    def restart_role(self, role: str, node: str | None = None) -> None:
        """Stop a role in good order and start it again."""
        self.stop_role(role, node)
        self.start_role(role, node)

    # How

    def _start_control_plane(self, progress: Progress) -> None:
        self._choose_ports()  # RabbitMQ is told of them, too
        services = self._services()
        with ThreadPoolExecutor() as pool:
            broker, database = pool.submit(services.broker, progress), pool.submit(services.database, progress)
            settings = self._settings | {roles.DATABASE_URL: database.result()}
            with progress.step("database schema"):
                first_rows.migrate(settings)
            first_rows.create_tokens(self.home, settings)
            self.home.remember("url.broker", broker.result())
        settings |= services.broker_settings()
        self.home.remember("url.database", settings[roles.DATABASE_URL])
        with progress.step("control plane") as step:
            self._start_roles(settings)
            step.say(f"ready on {self.api_url}")

    def _services(self) -> Services:
        hosts = (self._network().host,)
        return Services(self.supervisor, {}, broker_hosts=hosts, ha=self.is_ha, api_urls=self.api_urls)

    def _choose_ports(self) -> None:
        serving = "control-plane" if self.home.recall("together") else "api"
        for number in (1, 2) if self.is_ha else (1,):
            running = self.supervisor.is_running(node_name(serving, number))
            self.home.port(node_name("api", number), API_PORT + number - 1, in_use=running)

    def _start_roles(self, settings: dict[str, str]) -> None:
        """The roles as programs, each a process of its own or all one; each twice where `ha`."""
        settings |= self._wire()
        settings.setdefault("PATHFINDER_DEFAULT_IMAGE", f"local:{TINY}")
        processes: dict[str, tuple[str, ...]] = {"control-plane": roles.CONTROL_PLANE}
        if not self.home.recall("together"):
            processes = {role: (role,) for role in roles.CONTROL_PLANE}
        serving = next(name for name, some in processes.items() if "api" in some)
        settings.setdefault("PATHFINDER_SECRET_KEYS", str(self.home.secret_keys()))
        programs = []
        for number in (1, 2) if self.is_ha else (1,):
            port = self._recall(f"port.{node_name('api', number)}")
            listen = {"PATHFINDER_API_LISTEN": f"127.0.0.1:{port},{self._network().host}:{port}"}
            for name, some in processes.items():
                programs.append(roles.role_program(node_name(name, number), some, settings | listen))
        self.supervisor.define(programs)
        for program in programs:
            self.supervisor.start(program.name)
        # Each takes a second or two of a core to start, and all start at once.
        self.supervisor.wait(serving, self._api().is_ready, READY_SECONDS / 5 * max(len(programs), 5))
        self._api().set_default_image(settings["PATHFINDER_DEFAULT_IMAGE"])

    def _start_machine(self, node: LabNode, progress: Progress) -> None:
        if node.is_alive(self.supervisor):
            return
        with progress.step(f"{node.name}: LXD") as step:
            self.supervisor.define([node.program()])
            self.supervisor.start(node.name)
            node.boot(self.supervisor.pid(node.name))
            step.say("ready")

    def _start_agents(self, progress: Progress) -> None:
        with ThreadPoolExecutor() as pool:
            waits = [pool.submit(self._start_agent, self._find(name), progress) for name in self.nodes()]
            for wait in waits:
                wait.result()

    def _start_agent(self, node: LabNode, progress: Progress) -> None:
        host = self._network().host
        order = roles.AgentOrder(
            node=node.name,
            api_url=",".join(url.replace("127.0.0.1", host) for url in self.api_urls),
            broker_url=self._services().broker_settings()[roles.BROKER_URL].replace("127.0.0.1", host),
            join_token=str(self._recall("token.join")),
            state_dir=node.home.root / "agent",
            lxd_socket=Path("/var/lib/lxd/unix.socket"),
        )
        with progress.step(f"{node.name}: agent") as step:
            programs = order.programs(self._settings | self._wire())
            node.supervisor.define(programs)
            for program in programs:
                node.supervisor.start(program.name)
            node.supervisor.wait("agent", lambda: self._api().has_ready_node(node.name), NODE_SECONDS)
            step.say("ready")

    def _make_network(self) -> None:
        if self.home.recall("network") is None:
            self.home.remember("network", create_network().index)
        dhcp = self._network().dhcp_command(self.home.root / "leases")
        self.supervisor.define([Program("dhcp", dhcp, priority=300)])
        self.supervisor.start("dhcp")

    def _remove_everything_running(self) -> None:
        self.supervisor.shutdown()
        orphans.end(self.supervisor, {})
        if (index := self.home.recall("network")) is not None:
            network = LabNetwork(int(index))
            remove_cgroups(lab_cgroup(network))
            network.remove()

    def _remove_files(self) -> None:
        remove_data_elsewhere(self.home)
        self.home.remove()

    def _api(self) -> ControlPlane:
        return ControlPlane(self.api_url, self.token)

    def _wire(self) -> dict[str, str]:
        """Nothing on the lab's bridge leaves this machine."""
        return {"PATHFINDER_PLAIN_TEXT_HOSTS": self._network().subnet}

    def _network(self) -> LabNetwork:
        return LabNetwork(int(self._recall("network")))

    def _node(self, number: int) -> LabNode:
        return LabNode(number, Home(self.home.root / "nodes" / f"node-{number:02d}"), self._network())

    def _nodes(self) -> list[LabNode]:
        return [self._node(number) for number in range(1, int(self.home.recall("nodes") or 0) + 1)]

    def _find(self, name: str) -> LabNode:
        for node in self._nodes():
            if node.name == name:
                return node
        raise EmbeddedError(f"The lab has no node {name!r}; it has: {', '.join(self.nodes()) or 'none'}.")

    def supervisor_of(self, node: str | None) -> Supervisor:
        """What runs a node's programs; without a node, the control plane's."""
        return self._find(node).supervisor if node else self.supervisor

    def _recall(self, key: str) -> str | int:
        value: str | int | None = self.home.recall(key)
        if value is None:
            raise EmbeddedError("The lab is not up; start it with `pathfinder lab up`.")
        return value


def lxc_command(socket: Path, arguments: list[str]) -> "subprocess.CompletedProcess[bytes]":
    """Run `lxc` against the daemon of a socket, on this terminal."""
    environment = os.environ | {"LXD_DIR": str(socket.parent)}
    return subprocess.run(["lxc", *arguments], env=environment, check=False)

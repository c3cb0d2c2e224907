"""A whole Pathfinder on this machine: every service and role, started in order, kept alive, stopped without a trace."""

import os
import signal
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded import first_rows, orphans, roles
from pathfinder.embedded.account import remove_data_elsewhere
from pathfinder.embedded.control_plane import CLUSTER, ControlPlane, url_of
from pathfinder.embedded.errors import EmbeddedError, LxdImpossible, PortTaken
from pathfinder.embedded.home import Home
from pathfinder.embedded.image import IMAGES_KEY
from pathfinder.embedded.lxd import ensure_lxd, remove_traces, stop_lxd
from pathfinder.embedded.lxd_cleanup import CLUSTERS_KEY, USED_KEY, remove_ours
from pathfinder.embedded.ports import holder, is_free
from pathfinder.embedded.postgres import PRIMARY
from pathfinder.embedded.progress import Progress
from pathfinder.embedded.services import Services
from pathfinder.embedded.supervisor import Supervisor
from pathfinder.serving import is_loopback

NODE = "node-01"
LISTEN = "127.0.0.1:8080"
READY_SECONDS = 30.0
#: The name of the node's cluster.
CLUSTER_KEY = "node.cluster"
#: Whether the development user was made.
USER_KEY = "user.development"
#: How each program is asked to end, and for how long, in the order in which they end.
ENDINGS = {
    "agent": orphans.Ending(signal.SIGTERM, 12),
    "warden": orphans.Ending(signal.SIGTERM, 12),
    "control-plane": orphans.Ending(signal.SIGTERM, 12),
    "lxd": orphans.Ending(signal.SIGPWR, 60),
    "lxcfs": orphans.Ending(signal.SIGTERM, 5),
    "rabbitmq": orphans.Ending(signal.SIGTERM, 30, with_children=True),
    "epmd": orphans.Ending(signal.SIGTERM, 5),
    "postgres": orphans.Ending(signal.SIGINT, 30),
}


@dataclass(frozen=True)
class Running:
    """A Pathfinder that is up."""

    server: str
    token: str
    #: LXD's socket; None where the node is simulated.
    socket: Path | None
    #: The one this machine's node belongs to.
    cluster: str = CLUSTER
    #: The authorities that an https server is trusted by; empty: the system's.
    ca_file: str = ""


class Stack:
    """Everything of one home. `up` may be called at any time, and does what is missing."""

    def __init__(self, home: Home, environment: Mapping[str, str] = os.environ) -> None:
        self.home = home
        self.supervisor = Supervisor(home)
        self._settings = roles.user_settings(environment)
        self._listen = environment.get("PATHFINDER_API_LISTEN", LISTEN)
        self._services = Services(self.supervisor, environment, api_urls=[self._api("").server])

    def up(self, progress: Progress) -> Running:
        """Start what does not run yet, and return when the API and this machine's node are ready."""
        with self.home.locked():
            self._settings["PATHFINDER_CLUSTER"] = self.cluster()
            self._end_orphans()
            self.supervisor.ensure()
            self._check_listen()
            # RabbitMQ takes longest by far, so all that does not need it is done meanwhile.
            with ThreadPoolExecutor(max_workers=3) as pool:
                broker = pool.submit(self._services.broker, progress)
                runtime = pool.submit(self.runtime, progress)
                database = pool.submit(self._database, progress)
                urls = {roles.DATABASE_URL: database.result()}
                socket = runtime.result()
                broker.result()
            urls |= self._services.broker_settings()
            return self._roles(progress, urls, socket)

    def down(self, progress: Progress) -> None:
        """Stop everything that `up` started; data stays."""
        if not self.home.root.exists():
            return
        with self.home.locked():
            self.remember_clusters()
            for name in ENDINGS:
                if self.supervisor.is_running(name):
                    with progress.step(name) as step:
                        self._stop(name)
                        step.say("stopped")
            self.supervisor.shutdown()
            self._end_orphans()

    def clean(self, progress: Progress) -> None:
        """Stop everything and remove what it made: containers, images, LXD's pool and bridge, and all data."""
        self.remember_clusters()
        if self.home.recall(USED_KEY) or self.home.recall(IMAGES_KEY):
            with progress.step("containers") as step:
                # An agent at work would make again what is removed here.
                self._stop_roles()
                step.say(f"removed {remove_ours(self.home)}")
        self.down(progress)
        with progress.step("data") as step:
            remove_data_elsewhere(self.home)
            self.home.remove()
            step.say("removed")

    def _database(self, progress: Progress) -> str:
        url = self._services.database(progress)
        settings = self._settings | {roles.DATABASE_URL: url}
        with progress.step("database schema") as step:
            first_rows.migrate(settings)
            self.home.remember(CLUSTER_KEY, settings["PATHFINDER_CLUSTER"])
            step.say("up to date")
        first_rows.create_tokens(self.home, settings)
        self._development_user(settings)
        return url

    def _development_user(self, settings: Mapping[str, str], *, fresh: bool = False) -> None:
        """The user that everybody knows the password of, once, where the database is ours and only we reach the API."""
        hosts = [address.strip().rpartition(":")[0].strip("[]") for address in self._listen.split(",")]
        if settings.get("PATHFINDER_MODE") == "production" or not all(map(is_loopback, hosts)):
            return
        if self._services.owns_database and (fresh or not self.home.recall(USER_KEY)):
            first_rows.create_development_user(settings)
            self.home.remember(USER_KEY, True)

    def runtime(self, progress: Progress) -> Path | None:
        """LXD's socket, or None for a simulated node."""
        wanted = self._settings.get("PATHFINDER_RUNTIME", "auto")
        with progress.step("LXD") as step:
            if wanted == "simulated":
                step.say("not used: PATHFINDER_RUNTIME=simulated")
                return None
            try:
                socket = self._lxd_socket() or ensure_lxd(self.home, step.say)
            except LxdImpossible as impossible:
                if wanted == "lxd":
                    raise
                if self.home.recall(USED_KEY):
                    # A simulated node does not know the containers that are in LXD, and would be given them anew.
                    raise LxdImpossible(
                        f"{impossible}. This node has run containers in LXD, so it does not become a simulated one by "
                        "itself; PATHFINDER_RUNTIME=simulated makes it one."
                    ) from None
                step.say(f"{impossible}; going on with a SIMULATED node")
                return None
            step.say(f"ready at {socket}")
            self.home.remember(USED_KEY, True)
            return socket

    def cluster(self) -> str:
        """The cluster of this machine's node, which joined it for good."""
        given, joined = self._settings.get("PATHFINDER_CLUSTER"), self.home.recall(CLUSTER_KEY)
        if given and joined and given != joined:
            raise EmbeddedError(
                f"This machine's node belongs to the cluster {joined}, not to {given}. "
                "Unset PATHFINDER_CLUSTER, or begin anew after: pathfinder clean"
            )
        return given or joined or CLUSTER

    def _lxd_socket(self) -> Path | None:
        given = self._settings.get("PATHFINDER_LXD_SOCKET")
        return Path(given) if given else None

    def _roles(self, progress: Progress, urls: Mapping[str, str], socket: Path | None) -> Running:
        api = self._api(first_rows.token(self.home, {}, "admin"))
        self._start_control_plane(progress, urls, api)
        if not api.accepts_token():
            # The database was replaced since; tokens of the old one mean nothing to the new.
            first_rows.create_tokens(self.home, {**self._settings, **urls}, fresh=True)
            self._development_user({**self._settings, **urls}, fresh=True)
            api = self._api(first_rows.token(self.home, {}, "admin"))
        # Before there can be containers of theirs.
        self._add_clusters(api.cluster_ids())
        self._start_agent(progress, api, urls[roles.BROKER_URL], socket)
        return Running(api.server, api.token, socket, api.cluster, api.ca_file)

    def _api(self, token: str) -> ControlPlane:
        server = url_of(self._listen, secure="PATHFINDER_TLS_CERTIFICATE" in self._settings)
        cluster = self._settings.get("PATHFINDER_CLUSTER", CLUSTER)
        return ControlPlane(server, token, cluster, self._settings.get("PATHFINDER_CA_FILE", ""))

    def _start_control_plane(self, progress: Progress, urls: Mapping[str, str], api: ControlPlane) -> None:
        with progress.step("control plane") as step:
            keys = {"PATHFINDER_SECRET_KEYS": str(self.home.secret_keys())} | self._settings
            environment = {**keys, **urls, "PATHFINDER_API_LISTEN": self._listen}
            self.supervisor.define([roles.role_program("control-plane", roles.CONTROL_PLANE, environment)])
            self.supervisor.start("control-plane")
            self.supervisor.wait("control-plane", api.becomes_ready, READY_SECONDS)
            step.say(f"ready on {api.server}")

    def _start_agent(self, progress: Progress, api: ControlPlane, broker_url: str, socket: Path | None) -> None:
        name = self._settings.get("PATHFINDER_NODE_NAME", NODE)
        join_token = first_rows.token(self.home, {}, "join")
        order = roles.AgentOrder(name, api.server, broker_url, join_token, self.home.root / "agent", socket)
        with progress.step(f"node {name}") as step:
            programs = order.programs(self._settings)
            self.supervisor.define(programs)
            for program in programs:
                self.supervisor.start(program.name)
            self.supervisor.wait("agent", lambda: api.has_ready_node(name), READY_SECONDS)
            step.say("ready" if socket else "ready, SIMULATED")

    def _check_listen(self) -> None:
        host, _, port = self._listen.split(",")[0].strip().rpartition(":")
        if self.supervisor.is_running("control-plane") or is_free(int(port), host):
            return
        raise PortTaken(
            f"{self._listen} is in use by {holder(int(port))}. Stop that, or choose another address for the API: "
            f"PATHFINDER_API_LISTEN={host}:{int(port) + 1}"
        )

    def _stop(self, name: str) -> None:
        if name in ("lxd", "lxcfs"):
            stop_lxd(self.supervisor)
        else:
            self.supervisor.stop(name)

    def _stop_roles(self) -> None:
        # The warden first: it would take an agent that was stopped for one that hangs.
        for name in ("warden", "agent", "control-plane"):
            if self.supervisor.is_running(name):
                self.supervisor.stop(name)

    def _end_orphans(self) -> None:
        """End what a supervisord that was killed left running."""
        if self.supervisor.answers():
            return
        # Only of what was ours: the machine's own LXD and its containers are none of our business.
        remove_traces(orphans.end(self.supervisor, ENDINGS))

    def remember_clusters(self) -> None:
        """Keep which clusters are ours, while somebody can still be asked: `clean` removes only their containers."""
        token = self.home.recall("token.admin")
        api = self._api(token or "")
        if token and api.is_ready() and api.accepts_token():
            self._add_clusters(api.cluster_ids())
        elif self.supervisor.is_running(PRIMARY):
            self._add_clusters((self._services.primary().ask("SELECT id FROM clusters") or "").split())

    def _add_clusters(self, ids: Iterable[str]) -> None:
        # Those of a database that was replaced since may still have containers here.
        self.home.remember(CLUSTERS_KEY, sorted({*(self.home.recall(CLUSTERS_KEY) or ()), *ids}))

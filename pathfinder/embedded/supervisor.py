"""The supervisord of one home, started as a daemon and talked to over XML-RPC on its Unix socket."""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from pathfinder.embedded.errors import NotReady, TimedOut
from pathfinder.embedded.home import Home
from pathfinder.embedded.program import Program, render, render_daemon

#: RabbitMQ counts file descriptors and complains below this.
OPEN_FILES = 65536
START_SECONDS = 10.0
#: How soon it is looked again whether something is so; the longer it is not, the later, for looking has its price, and
#: what is waited for wants the processors, too.
POLL_SECONDS, MOST_POLL_SECONDS, SLOWER = 0.05, 0.2, 1.1
#: How often supervisord is asked meanwhile whether a program has died.
ASK_SECONDS = 0.5
#: States of a program that did not start. It may be tried again (BACKOFF), but nobody should wait to be told.
_DIED = {"BACKOFF", "FATAL", "EXITED", "STOPPED", "UNKNOWN"}
_RELOADING = threading.Lock()


@dataclass(frozen=True)
class Status:
    """How one program is doing."""

    name: str
    state: str
    pid: int | None
    since: datetime | None
    log: Path


class Supervisor:
    """Starts, stops and watches the programs of one home. Methods may be called from several threads."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.directory = home.root / "supervisor"
        self.socket = home.socket("supervisor.sock")

    @property
    def url(self) -> str:
        """Its address; supervisord also puts it into the environment of everything it starts."""
        return f"unix://{self.socket}"

    def answers(self) -> bool:
        """Whether the daemon runs."""
        try:
            self._call("getState")
        except (OSError, HTTPException):
            return False
        return True

    def ensure(self) -> None:
        """Start the daemon unless it runs."""
        if self.answers():
            return
        self.prepare()
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.write_configuration())]
        started = subprocess.run(
            command,
            env=_clean(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        if started.returncode != 0:
            raise NotReady(f"supervisord did not start: {(started.stderr or started.stdout).strip()}")
        self.await_answer(START_SECONDS)

    def await_answer(self, seconds: float) -> None:
        """Wait until the daemon answers."""
        wait_until("supervisord", self.answers, seconds)

    def prepare(self) -> None:
        """Make the directories it writes to."""
        self.home.logs.mkdir(parents=True, exist_ok=True)
        (self.directory / "programs").mkdir(parents=True, exist_ok=True, mode=0o700)

    def write_configuration(self) -> Path:
        """Write the daemon's own configuration and return its path."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = OPEN_FILES if limit == resource.RLIM_INFINITY else min(OPEN_FILES, limit)
        user = "root" if os.geteuid() == 0 else None
        path = self.directory / "supervisord.conf"
        path.write_text(render_daemon(self.directory, self.socket, self.home.logs, user, files))
        return path

    def define(self, programs: Iterable[Program]) -> None:
        """Add programs. One that is known and unchanged is left running, a changed one is stopped and replaced."""
        for program in programs:
            path = self.directory / "programs" / f"{program.name}.conf"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(render(program, self.home.logs))
        self._reload()

    def forget(self, name: str) -> None:
        """Stop a program and remove it."""
        (self.directory / "programs" / f"{name}.conf").unlink(missing_ok=True)
        self._reload()

    def start(self, name: str) -> None:
        """Start a program unless it runs; its readiness is for the caller to wait for."""
        self._call("startProcess", name, False, ignore=Faults.ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Stop a program and wait until it is gone."""
        self._call("stopProcess", name, True, ignore=Faults.NOT_RUNNING)

    def signal(self, name: str, signal: str) -> None:
        """Send a signal (`KILL`, `STOP`, …) to a program's main process."""
        self._call("signalProcess", name, signal, ignore=Faults.NOT_RUNNING)

    def pid(self, name: str) -> int:
        """The process id of a running program."""
        return int(self._call("getProcessInfo", name)["pid"])

    def is_running(self, name: str) -> bool:
        """Whether a program runs or is just being started."""
        if not self.answers():
            return False
        entry = self._call("getProcessInfo", name, ignore=Faults.BAD_NAME)
        return entry is not None and entry["statename"] in {"RUNNING", "STARTING"}

    def status(self) -> list[Status]:
        """Every program, in start order; none if the daemon does not run."""
        if not self.answers():
            return []
        entries = self._call("getAllProcessInfo")
        priorities = {entry["name"]: entry["process_prio"] for entry in self._call("getAllConfigInfo")}
        # Between the two calls a program may have been removed.
        return [
            _status(each) for each in sorted(entries, key=lambda each: (priorities.get(each["name"], 0), each["name"]))
        ]

    def wait(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()`. Raises NotReady, with the end of the program's log, when it died or time is up."""

        asked = -ASK_SECONDS

        def check() -> bool:
            nonlocal asked
            if ready():
                return True
            if (now := time.monotonic()) - asked < ASK_SECONDS:
                return False
            asked = now
            if self._call("getProcessInfo", name)["statename"] in _DIED:
                raise NotReady(f"{name} ended while it was starting. {self._log_end(name)}")
            return False

        try:
            wait_until(name, check, seconds)
        except TimedOut:
            raise NotReady(f"{name} was not ready within {seconds:.0f} s. {self._log_end(name)}") from None

    def shutdown(self, seconds: float = 60.0) -> None:
        """Stop everything in reverse start order, then the daemon."""
        if not self.answers():
            return
        pid = int(self._call("getPID"))
        self._call("shutdown")
        wait_until("supervisord's end", lambda: not Path(f"/proc/{pid}/cmdline").exists() or _is_zombie(pid), seconds)

    def _reload(self) -> None:
        # What is new is the difference to what runs, so two threads must not both find and add it.
        with _RELOADING:
            [[added, changed, removed]] = self._call("reloadConfig")
            for name in [*changed, *removed]:
                self._call("stopProcessGroup", name, True)
                self._call("removeProcessGroup", name)
            for name in [*changed, *added]:
                self._call("addProcessGroup", name)

    def _log_end(self, name: str) -> str:
        path = self.home.logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines()[-8:] if path.exists() else []
        return "\n  ".join([f"Its log {path} ends:", *lines])

    def _call(self, method: str, *arguments: object, ignore: int | None = None) -> Any:
        # A connection for each call: neither ServerProxy nor its transport may be shared by threads.
        transport = SupervisorTransport(None, None, self.url)
        try:
            return getattr(ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultCode == ignore:
                return None
            raise NotReady(f"supervisord refused {method}{arguments}: {fault.faultString}") from fault
        finally:
            transport.close()


def wait_until(what: str, check: Callable[[], bool], seconds: float) -> None:
    """Return when `check()` is true. Raises TimedOut after `seconds`."""
    deadline, pause = time.monotonic() + seconds, POLL_SECONDS
    while not check():
        if time.monotonic() > deadline:
            raise TimedOut(f"Waited for {what}, but not longer than {seconds:.0f} s.")
        time.sleep(pause)
        pause = min(pause * SLOWER, MOST_POLL_SECONDS)


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    # Programs get settings from their own sections only, so that what a shell happened to export when the daemon was
    # started does not stick to it.
    return {key: value for key, value in environment.items() if not key.startswith(("PATHFINDER_", "PFI_", "LXD_"))}


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _status(entry: Mapping[str, Any]) -> Status:
    alive = entry["statename"] in {"RUNNING", "STARTING", "STOPPING"}
    changed = entry["start"] if alive else entry["stop"]
    since = datetime.fromtimestamp(changed, UTC) if changed else None
    return Status(entry["name"], entry["statename"], entry["pid"] or None, since, Path(entry["logfile"]))

"""A private PostgreSQL: its own data directory, port and password, on loopback only, durable as any other."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded.account import Account
from pathfinder.embedded.errors import NotInstalled, NotReady
from pathfinder.embedded.ports import LOOPBACK
from pathfinder.embedded.program import Program
from pathfinder.embedded.supervisor import wait_until

#: Beside the standard one, which may belong to the machine.
#: Below the ports that the kernel gives to outgoing connections: one of those would hold it just when we start.
PORT = 21432
NAME = "pathfinder"
READY_SECONDS = 30.0
#: Debian keeps each version's programs apart, by number.
_VERSIONS = Path("/usr/lib/postgresql")
#: Every role, several processes of each, and tests at once; the default is 100.
_CONNECTIONS = 200


@dataclass(frozen=True)
class Postgres:
    """One PostgreSQL server."""

    directory: Path
    port: int
    password: str
    account: Account

    @property
    def url(self) -> str:
        """Its database, as settings want it."""
        return f"postgresql+asyncpg://{NAME}:{self.password}@{LOOPBACK}:{self.port}/{NAME}"

    @property
    def command(self) -> tuple[str, ...]:
        """What runs it in the foreground."""
        options = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": _CONNECTIONS,
        }
        settings = (f"--{key}={value}" for key, value in options.items())
        return (str(binary("postgres")), "-D", str(self.data), *settings)

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    def initialise(self) -> None:
        """Make the data directory with its one database, unless it is there."""
        if (self.data / "PG_VERSION").exists():
            return
        draft = self.directory / "data.new"
        self._run("rm", "-rf", str(draft))
        secret = self.directory / "password"
        secret.write_text(self.password)
        os.chown(secret, self.account.uid, self.account.gid)
        try:
            self._run(
                *(str(binary("initdb")), "-D", str(draft), f"--username={NAME}", f"--pwfile={secret}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            )
        finally:
            secret.unlink()
        self._run(
            *(str(binary("postgres")), "--single", "-D", str(draft), "postgres"),
            input=f"CREATE DATABASE {NAME} OWNER {NAME};\n",
        )
        # Only a whole one gets the name, so that a run that was broken off is started afresh.
        draft.rename(self.data)

    def is_ready(self) -> bool:
        """Whether it accepts our password: somebody else's server may be on the port."""
        arguments = ["--no-psqlrc", "--host", LOOPBACK, "--port", str(self.port), "--username", NAME, NAME]
        probe = subprocess.run(
            [str(binary("psql")), *arguments, "--command", "SELECT"],
            # Not as an argument: those are everybody's to read.
            env=os.environ | {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "2"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return probe.returncode == 0

    def program(self) -> Program:
        """It, under supervision. SIGINT is its fast shutdown: clients are cut off, nothing is lost."""
        return Program(
            "postgres", self.command, priority=100, user=self.account.name, stop_signal="INT", stop_seconds=30
        )

    def _run(self, *command: str, **options: object) -> None:
        done = self.account.run(*command, **options)
        if done.returncode != 0:
            raise NotReady(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")


def binary(name: str) -> Path:
    """The program of the newest PostgreSQL that is installed."""
    found = list(_VERSIONS.glob(f"*/bin/{name}"))
    if not found:
        raise NotInstalled("PostgreSQL")
    return max(found, key=lambda path: float(path.parts[-3]))


@contextmanager
def start_postgres(directory: Path, port: int) -> Iterator[str]:
    """A PostgreSQL of one's own in `directory` while the context lasts; yields its URL.

    PATHFINDER_DATABASE_URL wins: then nothing is started and that is yielded. The account `postgres` must be able to
    reach the directory (`/tmp` is fine, `/root` is not).
    """
    if given := os.environ.get("PATHFINDER_DATABASE_URL"):
        yield given
        return
    account = Account.of("postgres")
    server = Postgres(account.own(directory), port, "development", account)
    server.initialise()
    with (directory.parent / f"{directory.name}.log").open("ab") as log:
        process = subprocess.Popen(server.command, stdout=log, stderr=log, cwd="/", user=account.uid, group=account.gid)
    try:
        wait_until("PostgreSQL", server.is_ready, READY_SECONDS)
        yield server.url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(READY_SECONDS)

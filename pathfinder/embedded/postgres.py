"""A private PostgreSQL: its own data directory, port and password, on loopback only, durable as any other.

A second one can follow it as a streaming standby, and take its place.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded.account import Account
from pathfinder.embedded.errors import NotInstalled, NotReady
from pathfinder.embedded.ports import LOOPBACK, free_port
from pathfinder.embedded.program import Program
from pathfinder.embedded.supervisor import wait_until

#: Beside the standard one, which may belong to the machine.
#: Below the ports that the kernel gives to outgoing connections: one of those would hold it just when we start.
PORT = 21432
NAME = "pathfinder"
#: The names of the programs, and of the standby in PostgreSQL itself: its slot, and who commits wait for.
PRIMARY, STANDBY = "postgres", "postgres-standby"
_SLOT = "pathfinder_standby"
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
    #: The program's name.
    name: str = PRIMARY
    #: The standby that must have a transaction before its commit is told; none if empty.
    synchronous: str = ""

    @property
    def url(self) -> str:
        """Its database, as settings want it."""
        return f"postgresql+asyncpg://{NAME}:{self.password}@{LOOPBACK}:{self.port}/{NAME}"

    def url_with(self, other: "Postgres") -> str:
        """The database of two servers, one of which takes writes."""
        hosts = "&".join(f"host={LOOPBACK}:{each.port}" for each in (self, other))
        return f"postgresql+asyncpg://{NAME}:{self.password}@/{NAME}?{hosts}"

    @property
    def command(self) -> tuple[str, ...]:
        """What runs it in the foreground."""
        options = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": _CONNECTIONS,
            # A standby tells its name by it. One that is away for long must not fill the disk with what it missed.
            "cluster_name": self.name,
            "max_slot_wal_keep_size": "2GB",
            "synchronous_standby_names": f'"{self.synchronous}"' if self.synchronous else "",
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

    def follow(self, primary: "Postgres") -> None:
        """Make the data directory as a copy of the running `primary`, whose standby this is, unless it is there."""
        if (self.data / "PG_VERSION").exists():
            return
        draft = self.directory / "data.new"
        self._run("rm", "-rf", str(draft))
        primary.ask(f"SELECT pg_drop_replication_slot('{_SLOT}')")  # of a copy that was broken off, else no such slot
        self._run(
            *(str(binary("pg_basebackup")), "--pgdata", str(draft), "--write-recovery-conf", "--checkpoint=fast"),
            *("--create-slot", f"--slot={_SLOT}", "--host", LOOPBACK, "--port", str(primary.port), "--username", NAME),
            env=primary.credentials,
        )
        draft.rename(self.data)

    def is_followed(self) -> bool:
        """Whether a standby streams from it."""
        return self.ask("SELECT 'yes' FROM pg_stat_replication WHERE state = 'streaming'") == "yes"

    def takes_writes(self) -> bool:
        """Whether it is a primary."""
        return self.ask("SELECT pg_is_in_recovery()") == "f"

    def promote(self) -> None:
        """Make a standby the primary, and return when it takes writes."""
        self._run(str(binary("pg_ctl")), "promote", "--pgdata", str(self.data), "--wait")

    def is_ready(self) -> bool:
        """Whether it accepts our password: somebody else's server may be on the port."""
        return self.ask("SELECT") is not None

    @property
    def credentials(self) -> dict[str, str]:
        """The environment of a client. Not arguments: those are everybody's to read."""
        return os.environ | {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "2"}

    def ask(self, query: str) -> str | None:
        """What it answers to a query, None if it does not."""
        arguments = ["--no-psqlrc", "--host", LOOPBACK, "--port", str(self.port), "--username", NAME, NAME]
        asked = subprocess.run(
            [str(binary("psql")), *arguments, "--tuples-only", "--no-align", "--command", query],
            env=self.credentials,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() if asked.returncode == 0 else None

    def program(self) -> Program:
        """It, under supervision. SIGINT is its fast shutdown: clients are cut off, nothing is lost."""
        priority = 100 if self.name == PRIMARY else 101
        return Program(
            self.name, self.command, priority=priority, user=self.account.name, stop_signal="INT", stop_seconds=30
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
    with running(server):
        yield server.url


@contextmanager
def start_pair(directory: Path, port: int, synchronous: bool = True) -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and its standby while the context lasts, on `port` and the next one that is free."""
    account = Account.of("postgres")
    account.own(directory)
    ours = "development", account
    waits = STANDBY if synchronous else ""
    primary = Postgres(account.own(directory / PRIMARY), free_port(port), *ours, synchronous=waits)
    standby = Postgres(account.own(directory / STANDBY), free_port(primary.port + 1), *ours, name=STANDBY)
    primary.initialise()
    with running(primary):
        standby.follow(primary)
        with running(standby):
            wait_until("a standby that follows", primary.is_followed, READY_SECONDS)
            yield primary, standby


@contextmanager
def running(server: Postgres) -> Iterator["subprocess.Popen[bytes]"]:
    """A server that runs while the context lasts, unless it is ended before; ready when the context begins."""
    account, directory = server.account, server.directory
    with (directory.parent / f"{directory.name}.log").open("ab") as log:
        process = subprocess.Popen(server.command, stdout=log, stderr=log, cwd="/", user=account.uid, group=account.gid)
    try:
        wait_until("PostgreSQL", server.is_ready, READY_SECONDS)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(READY_SECONDS)

"""`python -m benchmarks.listeners PORT TOKEN CONSOLES TAILS`: consoles and event tails, a process of their own.

Each is a connection that takes what comes and counts it, as cheaply as it can be said in Python. It says that it is
ready, begins to count with a line, and prints what was heard with the next. `… write DATABASE BROKER RATE` is the
process that writes events.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import count
from typing import cast
from uuid import UUID

import orjson
import uvloop

from benchmarks.fleet import Fleet
from benchmarks.store import connect
from benchmarks.wire import Line
from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER
from pathfinder.domain.messages import Kind
from pathfinder.store import journal
from pathfinder.store.database import Database
from pathfinder.store.journal import Fact

LAST = "SELECT COALESCE(max(seq), 0) FROM events"

#: Opened a second: people do not all come at once.
OPENED = 50
CONSOLE_SECONDS = 10.0
TRANSACTIONS = 10
BUFFER_BYTES = 1 << 18

_AT = re.compile(rb'"at":"([^"]+)"')

#: What a console reads when it is opened.
OPENING = (
    "/session",
    "/clusters",
    "/nodes?limit=1000",
    "/containers?limit=1000",
    "/status",
    "/problems",
    "/resilience",
)
PAST = "/events?kind=container.&since=1h&limit=1000&cluster=default"
PAGES = ("/status", "/containers?limit=200", "/nodes?limit=1000", "/deployments", "/events?limit=200&cursor=0&since=1m")


@dataclass(slots=True)
class Heard:
    """What listeners heard: deliveries a second, how old events were for one of them in seconds, streams that broke."""

    per_second: float = 0.0
    delays: list[float] = field(default_factory=list)
    broken: int = 0
    processor: float = 0.0


class Tail(asyncio.BufferedProtocol):
    """An event stream. All share one buffer; the `first` one looks at what it is told, the others count bytes."""

    buffer = bytearray(BUFFER_BYTES)

    def __init__(self, port: int, head: str, counted: "Counted", *, first: bool) -> None:
        self._request = f"GET /api/v3/events/stream{head}\r\nAccept: text/event-stream\r\n\r\n".encode()
        self._counted, self._first = counted, first
        self._port = port

    async def open(self) -> None:
        """Connect and ask."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        cast(asyncio.Transport, transport).write(self._request)

    def get_buffer(self, sizehint: int) -> bytearray:
        """One for all: what is in it is done with before anybody else's turn."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count."""
        self._counted.bytes += nbytes
        if self._first:
            now = time.time()
            told = bytes(memoryview(self.buffer)[:nbytes])
            self._counted.sampled_bytes += nbytes
            self._counted.sampled += told.count(b"\ndata: ")
            self._counted.delays += [now - datetime.fromisoformat(at.decode()).timestamp() for at in _AT.findall(told)]

    def connection_lost(self, exc: Exception | None) -> None:
        """It should have lasted."""
        self._counted.broken += 1


@dataclass(slots=True)
class Counted:
    """What came since counting began."""

    bytes: int = 0
    sampled: int = 0
    sampled_bytes: int = 0
    delays: list[float] = field(default_factory=list)
    broken: int = 0

    @property
    def deliveries(self) -> float:
        """Events that came to all together, by the size of those that one was told."""
        return self.bytes / self.sampled_bytes * self.sampled if self.sampled_bytes else 0.0


class _Console:
    """A session, and what its pages ask for."""

    def __init__(self, port: int) -> None:
        self._line = Line(port, "")
        self._cookie = {"Cookie": ""}

    async def open(self, port: int, counted: Counted) -> None:
        """Log in, follow the stream, read everything once."""
        given = orjson.dumps({"username": DEVELOPMENT_USER, "password": DEVELOPMENT_PASSWORD})
        status, cookies = await self._line.enter("/session", given)
        assert status == 200, f"a login was answered with {status}"
        self._cookie = {"Cookie": cookies}
        head = f"?cluster=default HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}"
        await Tail(port, head, counted, first=False).open()
        for path in (*OPENING, PAST):
            await self._get(path)

    async def look(self, draw: random.Random) -> None:
        """Another page every ten seconds."""
        while True:
            await asyncio.sleep(CONSOLE_SECONDS * draw.uniform(0.5, 1.5))
            await self._get(draw.choice(PAGES))

    async def _get(self, path: str) -> None:
        await self._line.ask("GET", path, headers=self._cookie)


async def _listen(port: int, token: str, consoles: int, tails: int) -> None:
    counted, draw = Counted(), random.Random(1)
    head = f" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}"
    for number in range(tails):
        await Tail(port, head, counted, first=not number).open()
        await asyncio.sleep(1 / OPENED / 4)
    opened = [_Console(port) for _ in range(consoles)]
    for one in opened:
        await one.open(port, counted)
    looking = [asyncio.create_task(one.look(draw)) for one in opened]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    counted.bytes = counted.sampled = counted.sampled_bytes = 0
    counted.delays.clear()
    begin, before = time.monotonic(), time.process_time()
    await asyncio.to_thread(sys.stdin.readline)
    seconds = time.monotonic() - begin
    found = Heard(counted.deliveries / seconds, counted.delays, counted.broken, time.process_time() - before)
    print(json.dumps(asdict(found)), flush=True)
    for task in looking:
        task.cancel()


async def start(fleet: Fleet, consoles: int, tails: int) -> asyncio.subprocess.Process:
    """All of them, open."""
    port = fleet.api_url.rpartition(":")[2]
    command = (sys.executable, "-m", "benchmarks.listeners", port, fleet.token, str(consoles), str(tails))
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 26)
    assert process.stdout is not None
    if not await process.stdout.readline():
        raise SystemExit("the listeners ended early")
    return process


def begin(process: asyncio.subprocess.Process) -> None:
    """Count from now on."""
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def end(process: asyncio.subprocess.Process) -> Heard:
    """Close them; what was heard."""
    output = (await process.communicate(b"\n"))[0]
    if process.returncode:
        raise SystemExit("the listeners ended early")
    return Heard(**json.loads(output))


async def write(fleet: Fleet, rate: float) -> asyncio.subprocess.Process:
    """A process that writes events until it is ended."""
    command = (sys.executable, "-m", "benchmarks.listeners", "write", fleet.database_url, str(rate))
    return await asyncio.create_subprocess_exec(*command)


async def _write(database_url: str, rate: float) -> None:
    """The progress of containers that are there, as a transaction of the recorder writes it."""
    reading = await connect(database_url)
    rows = await reading.fetch("SELECT id, cluster_id, hostname, generation FROM containers LIMIT 1000")
    await reading.close()
    database, each = Database(database_url, 1), round(rate / TRANSACTIONS)
    clock, begin = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
    for number in count(1):
        facts = [_fact(rows[(number * each + place) % len(rows)]) for place in range(each)]
        async with database.begin() as tx:
            await journal.record(tx, facts)
        await asyncio.sleep(max(0.0, begin + number / TRANSACTIONS - clock()))


def _fact(row: "dict[str, UUID]") -> Fact:
    body = {"status": "PROVISIONED", "stage": "address", "percent": None}
    return Fact(
        kind=Kind.CONTAINER_PROGRESS,
        cluster_id=row["cluster_id"],
        subject_type="container",
        subject_id=row["id"],
        subject_name=str(row["hostname"]),
        actor="node:node-00001",
        generation=cast(int, row["generation"]),
        node=None,
        trace_id="0" * 32,
        body=body,
    )


def main() -> None:
    """Listen, or write."""
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if sys.argv[1] == "write":
            runner.run(_write(sys.argv[2], float(sys.argv[3])))
        else:
            runner.run(_listen(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))


if __name__ == "__main__":
    main()

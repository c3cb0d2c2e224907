"""`python -m benchmarks.arrivals URL TOKEN PLAN`: users in open loop: each request is sent when it is due.

Whether or not earlier ones were answered: a system that is slow gets no fewer of them, and its slowness counts for all
that wait behind it. A process of its own, so that what it costs is told apart. It says that it is ready, waits for a
line, makes its requests, and prints what became of them as JSON.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import uvloop

from benchmarks.fleet import Fleet
from benchmarks.shapes import container
from benchmarks.wire import Lines

LINES = 300
#: Containers of a page: what a list gives that is not told how many to give.
PAGE = 200
#: uvloop counts in whole milliseconds and rounds to the nearest: a request may go later by one, but never too early.
TICK_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Plan:
    """So many `changes` a second, a create and a delete in turn, for so many `seconds`; beside them so many `gets` and
    `pages` a second. Of the `containers` that there were at first, the oldest are deleted, and so many are `gone`.
    """

    containers: int
    gone: int
    changes: float
    gets: float
    pages: float
    seconds: float

    @property
    def deletes(self) -> int:
        """How many it deletes, and creates."""
        return int(self.changes / 2 * self.seconds)

    def new(self, number: int) -> dict[str, Any]:
        """What is asked for by its create `number`."""
        return container(self.containers + self.gone + number)


@dataclass(slots=True)
class Stream:
    """Requests of one kind: when each was due (`time.time()`), and how long from then to its answer; None: refused."""

    due: list[float]
    seconds: list[float | None]

    @property
    def answered(self) -> list[float]:
        """The seconds of those that were not refused."""
        return [each for each in self.seconds if each is not None]


@dataclass(slots=True)
class Arrived:
    """What became of a plan: the streams by name, and the processor seconds that asking took."""

    streams: dict[str, Stream]
    processor: float

    def created(self, plan: Plan) -> dict[str, float]:
        """The hostnames that were not refused, and when each was due."""
        stream = self.streams["create"]
        pairs = enumerate(zip(stream.due, stream.seconds, strict=True))
        return {plan.new(number)["hostname"]: due for number, (due, seconds) in pairs if seconds is not None}


async def open_loop(
    ask: Callable[[int], Awaitable[bool]], per_second: float, seconds: float, first: float = 0.0
) -> Stream:
    """`ask` 0, 1, 2, …, evenly; it says whether it got what it asked for. `first`: of a period, until the first."""
    due = [(number + first) / per_second for number in range(int(per_second * seconds))]
    taken: list[float | None] = [None] * len(due)
    clock, epoch = time.perf_counter, time.time()
    begin = clock()

    async def one(number: int) -> None:
        if await ask(number):
            taken[number] = clock() - begin - due[number]

    async with asyncio.TaskGroup() as asking:
        for number, moment in enumerate(due):
            await asyncio.sleep(max(0.0, begin + moment - clock() + TICK_SECONDS))
            asking.create_task(one(number))
    return Stream([epoch + moment for moment in due], taken)


class Users:
    """They create and delete, look at single containers, and leaf through the list of all."""

    def __init__(self, lines: Lines, plan: Plan) -> None:
        self._lines, self._plan = lines, plan
        self._draw = random.Random(plan.gone)
        self._cursor = ""

    async def all(self) -> dict[str, Stream]:
        """Every stream of the plan, by its name; no two of them begin at the same moment."""
        plan = self._plan
        streams = {
            "create": open_loop(self._create, plan.changes / 2, plan.seconds),
            "delete": open_loop(self._delete, plan.changes / 2, plan.seconds, 0.5),
            "get": open_loop(self._get, plan.gets, plan.seconds, 0.3),
            "page": open_loop(self._page, plan.pages, plan.seconds, 0.7),
        }
        return dict(zip(streams, await asyncio.gather(*streams.values()), strict=True))

    async def _create(self, number: int) -> bool:
        return (await self._lines.ask("POST", "/containers", orjson.dumps(self._plan.new(number))))[0] == 201

    async def _delete(self, number: int) -> bool:
        hostname = container(self._plan.gone + number)["hostname"]
        return (await self._lines.ask("DELETE", f"/containers/{hostname}"))[0] == 202

    async def _get(self, _: int) -> bool:
        first = self._plan.gone + self._plan.deletes
        hostname = container(self._draw.randrange(first, self._plan.containers))["hostname"]
        return (await self._lines.ask("GET", f"/containers/{hostname}"))[0] == 200

    async def _page(self, _: int) -> bool:
        cursor = f"&cursor={self._cursor}" if self._cursor else ""
        status, body = await self._lines.ask("GET", f"/containers?limit={PAGE}{cursor}")
        if status == 200:
            self._cursor = orjson.loads(body)["next_cursor"] or ""
        return status == 200


async def start(fleet: Fleet, plan: Plan) -> asyncio.subprocess.Process:
    """A process that will do what is planned; it is ready."""
    command = (sys.executable, "-m", "benchmarks.arrivals", fleet.api_url, fleet.token, json.dumps(asdict(plan)))
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def go(process: asyncio.subprocess.Process) -> Arrived:
    """Let it begin, and return what became of it."""
    output = (await process.communicate(b"\n"))[0]
    if process.returncode:
        raise SystemExit("the users ended early")
    found = json.loads(output)
    return Arrived({name: Stream(**one) for name, one in found["streams"].items()}, found["processor"])


def main() -> None:
    """Ask, and print what came of it."""
    url, token, plan = sys.argv[1], sys.argv[2], Plan(**json.loads(sys.argv[3]))
    users = Users(Lines(int(url.rpartition(":")[2]), token, LINES), plan)
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        streams = runner.run(users.all())
    print(json.dumps(asdict(Arrived(streams, time.process_time() - before))), flush=True)


if __name__ == "__main__":
    main()

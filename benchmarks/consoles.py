"""`make bench-console`: a hundred open consoles and a thousand event tails, while 500 events are written each second.

A console is what a browser is to the API: a session of its own, the event stream of its cluster, the lists and the log
that it reads when it is opened, and every ten seconds another page of it. One is a real Chromium, which says how soon
there is something to see. A tail is an event stream and nothing else. Beside them single containers and pages of the
list are asked for in open loop, and the memory of the api process is written down.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from rich.console import Console

from benchmarks import arrivals, estate, listeners, machine, painting, vitals
from benchmarks.arrivals import PAGE, Plan, Stream
from benchmarks.figures import Result, Row, keep, milliseconds, quantile
from benchmarks.fleet import Fleet, in_short_directory
from benchmarks.listeners import Heard
from benchmarks.store import Store
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.errors import EmbeddedError

REACH_SECONDS = 0.100
REACH_PAINT_SECONDS = 1.5
#: Memory that is this much above the first third is growing, unless it is less than `SLACK_MIB`: buffers breathe.
SHARE, SLACK_MIB = 0.10, 16.0
EVERY_SECONDS = 1.0
Done = TypeVar("Done")
#: Until buffers are as large as they get.
WARM_UP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured: requests, memory in MiB over time, what listeners heard, and seconds until something shows."""

    gets: Stream
    pages: Stream
    memory: list[float]
    heard: Heard
    written: int
    seconds: float
    shares: dict[str, float]
    paints: dict[str, float]


def main() -> int:
    """Measure, and print what was found."""
    arguments = _arguments()
    console = Console(highlight=False)
    measured = machine.describe()
    try:
        with in_short_directory(lambda path: Fleet(path, arguments.nodes, estate.SETTINGS, agents=False)) as fleet:
            fleet.up(Screen())
            found = asyncio.run(_measure(fleet, arguments))
    except EmbeddedError as failure:
        print(failure, file=sys.stderr)
        return 1
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    result = _result(arguments, found)
    result.show(console)
    headline = {row.name: row.value for row in result.rows}
    print(json.dumps(headline))
    console.print(f"Kept in {keep('console', measured, [result], headline)}", soft_wrap=True)
    return 0


async def _measure(fleet: Fleet, arguments: argparse.Namespace) -> Found:
    store, screen = Store(fleet.database_url), Screen()
    with screen.step("containers") as step:
        await estate.settle(fleet)
        await asyncio.to_thread(estate.play, fleet, 1, beating=False)
        await estate.fill(fleet, store, arguments.containers)
        step.say(f"{arguments.containers:,} PROVISIONED")
    await asyncio.to_thread(fleet.add_user)
    paints = {}
    with screen.step("first paint, nothing else to do") as step:
        paints["first paint"] = await painting.seconds(fleet.api_url)
        step.say(f"{paints['first paint']:.2f} s")
    pids = fleet.pids(fleet.programs)
    memory: list[float] = []
    with screen.step("listeners"):
        listening = await listeners.start(fleet, arguments.consoles, arguments.tails)
    with screen.step("events"):
        writing = await listeners.write(fleet, arguments.rate)
        await asyncio.sleep(WARM_UP_SECONDS)
        paints["first paint under load"] = await painting.seconds(fleet.api_url)
    with screen.step("measuring"):
        plan = Plan(arguments.containers, 0, 0.0, arguments.gets, arguments.pages, arguments.seconds)
        asking = await arrivals.start(fleet, plan)
        before, written, begin = vitals.spent(pids), await store.value(listeners.LAST), time.monotonic()
        listeners.begin(listening)
        arrived = await _beside(arrivals.go(asking), _remember(pids["api"], memory))
        seconds = time.monotonic() - begin
        written = await store.value(listeners.LAST) - written
        shares = {name: (spent - before[name]) / seconds for name, spent in vitals.spent(pids).items()}
    heard = await listeners.end(listening)
    writing.terminate()
    await writing.wait()
    await store.close()
    return Found(arrived.streams["get"], arrived.streams["page"], memory, heard, written, seconds, shares, paints)


async def _beside(work: Awaitable[Done], other: Awaitable[None]) -> Done:
    """Both, until the first is done."""
    task = asyncio.ensure_future(other)
    try:
        return await work
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _remember(pid: int, memory: list[float]) -> None:
    while True:
        memory.append(await asyncio.to_thread(vitals.memory_bytes, pid) / 2**20)
        await asyncio.sleep(EVERY_SECONDS)


def _result(arguments: argparse.Namespace, found: Found) -> Result:
    third = max(1, len(found.memory) // 3)
    first, last = median(found.memory[:third]), median(found.memory[-third:])
    flat = last - first <= max(SHARE * first, SLACK_MIB)
    told = found.heard.delays or [float("nan")]
    reach = f"{REACH_SECONDS * 1000:.0f}"
    rows = [
        _timed("get", found.gets.answered, reach),
        _timed(f"page of {PAGE}", found.pages.answered, reach),
        _timed("event told", told, ""),
        Row("api memory, MiB", (f"{first:.0f}", f"{last:.0f}", f"{max(found.memory):.0f}", ""), last, "flat", flat),
        Row("events written/s", ("", "", "", f"{found.written / found.seconds:.0f}"), found.written / found.seconds),
        Row("deliveries/s", ("", "", "", f"{found.heard.per_second:,.0f}"), found.heard.per_second),
        Row(
            "streams that broke", ("", "", "", str(found.heard.broken)), found.heard.broken, "0", not found.heard.broken
        ),
    ]
    for name, seconds in found.paints.items():
        quiet = name == "first paint"
        target, reached = (f"{REACH_PAINT_SECONDS * 1000:.0f}", seconds <= REACH_PAINT_SECONDS) if quiet else ("", None)
        rows.append(Row(name, (milliseconds(seconds), "", "", "1"), seconds, target, reached))
    size = f"{arguments.consoles} consoles and {arguments.tails:,} tails at {arguments.rate:g} events/s"
    shares = ", ".join(f"{name} {share:.2f}" for name, share in found.shares.items())
    return Result(
        title=f"{size}; ms, p99 is judged",
        columns=("p50", "p99", "max", "n"),
        rows=tuple(rows),
        notes=(
            "Gets and pages: from when each was due. Event told: from its moment in the log, as one tail heard it. "
            "Memory: medians of the first and last third, and the most.",
            f"{arguments.containers:,} containers on {arguments.nodes} simulated nodes. Events are written to the log "
            "as the roles do, ten transactions a second, with hints over RabbitMQ, by a process of its own.",
            "Deliveries: events times listeners, by the bytes that came.",
            f"Share of a core: {shares}. Besides: listeners {found.heard.processor / found.seconds:.2f}.",
        ),
        samples={"memory, MiB": found.memory, "told": found.heard.delays, "get": found.gets.answered},
    )


def _timed(name: str, seconds: list[float], target: str) -> Row:
    p99 = quantile(seconds, 0.99)
    figures = (milliseconds(quantile(seconds, 0.5)), milliseconds(p99), milliseconds(max(seconds)), str(len(seconds)))
    return Row(name, figures, p99, target, p99 <= REACH_SECONDS if target else None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consoles", description=__doc__)
    parser.add_argument("--consoles", type=int, default=100, help="open consoles (default: 100)")
    parser.add_argument("--tails", type=int, default=1_000, help="event tails (default: 1000)")
    parser.add_argument("--rate", type=float, default=500.0, help="events a second (default: 500)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring (default: 60)")
    parser.add_argument("--gets", type=float, default=20.0, help="single containers looked at a second (default: 20)")
    parser.add_argument("--pages", type=float, default=5.0, help="pages of the list a second (default: 5)")
    parser.add_argument("--nodes", type=int, default=50, help="simulated nodes (default: 50)")
    parser.add_argument("--containers", type=int, default=1_000, help="on them (default: 1000)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""How many containers a second: a load over three nodes through Pathfinder, beside one LXD driven directly."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from statistics import median

from benchmarks.bare import Bare
from benchmarks.figures import Result, Row
from benchmarks.observe import Observer
from pathfinder.client import Client
from pathfinder.domain.messages import Kind

TARGET = 1.0
#: Asking eight times as often as one alone would, at 20 ms, only keeps LXD from its work.
POLL_SECONDS = 0.05
OURS, THEIRS = "Pathfinder, 3 nodes", "one LXD, by its API"


async def measure(
    client: Client, observer: Observer, bare: Bare, containers: int, at_a_time: int, rounds: int
) -> Result:
    """The same load each way in turn, `rounds` times."""
    samples: dict[str, list[float]] = defaultdict(list)

    async def through_pathfinder(hostname: str) -> None:
        await client.containers.create(hostname)
        await observer.delivered(hostname, Kind.CONTAINER_PROVISIONED)

    async def directly(hostname: str) -> None:
        await asyncio.to_thread(bare.create_and_ask, hostname, POLL_SECONDS)

    async def delete(hostname: str) -> None:
        await client.containers.delete(hostname)
        await observer.delivered(hostname, Kind.CONTAINER_DELETED)

    async def remove(hostname: str) -> None:
        await asyncio.to_thread(bare.remove, hostname)

    for turn in range(rounds):
        for name, make, end in ((OURS, through_pathfinder, delete), (THEIRS, directly, remove)):
            hostnames = [f"load-{turn}-{'p' if name == OURS else 'd'}{number:03d}" for number in range(containers)]
            begin = time.perf_counter()
            await _several(make, hostnames, at_a_time)
            samples[name].append(containers / (time.perf_counter() - begin))
            await _several(end, hostnames, at_a_time)
    return _result(samples, containers, at_a_time)


async def _several(work: Callable[[str], Awaitable[None]], hostnames: list[str], at_a_time: int) -> None:
    waiting = iter(hostnames)

    async def worker() -> None:
        for hostname in waiting:
            await work(hostname)

    async with asyncio.TaskGroup() as workers:
        for _ in range(at_a_time):
            workers.create_task(worker())


def _result(samples: dict[str, list[float]], containers: int, at_a_time: int) -> Result:
    ours, theirs = median(samples[OURS]), median(samples[THEIRS])
    rows = [_row(name, samples[name]) for name in (OURS, THEIRS)]
    rows.append(Row("ratio", (f"{ours / theirs:.2f} ×", ""), ours / theirs, f"≥ {TARGET} ×", ours >= TARGET * theirs))
    return Result(
        title=f"Throughput: {containers} containers, {at_a_time} at a time (containers/s, each with its address)",
        columns=("median", "each round"),
        rows=tuple(rows),
        notes=(f"Directly: create, start, and the state every {POLL_SECONDS * 1000:.0f} ms. All nodes share the CPU.",),
        samples=dict(samples),
    )


def _row(name: str, values: list[float]) -> Row:
    return Row(name, (f"{median(values):.2f}", " ".join(f"{each:.2f}" for each in values)), median(values))

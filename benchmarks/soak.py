"""`python -m benchmarks.soak`: constant churn on simulated nodes, and whether anything grows that should not.

What takes days takes minutes here: rows are pruned after `KEEP_MINUTES`, agents' memory of what containers used is full
after four, and RabbitMQ's log after one or two. Every ten seconds memory, connections, queues and rows are written
down; at the end the first third of the samples, after a warm-up, is compared with the last one.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import linear_regression, median

import aio_pika
from rich.console import Console

from benchmarks import machine, vitals
from benchmarks.churn import Churn
from benchmarks.figures import Result, Row, keep, quantile
from benchmarks.fleet import Fleet
from benchmarks.reconnect import whole
from benchmarks.store import Store
from pathfinder.broker import topology
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.store.tables import metadata

KEEP_MINUTES = 2.0
DAYS = f"{KEEP_MINUTES / 1440:.6f}"
SETTINGS = {
    "PATHFINDER_KEEP_EVENTS_DAYS": DAYS,
    "PATHFINDER_KEEP_DELETED_DAYS": DAYS,
    "PATHFINDER_KEEP_HISTORY_DAYS": DAYS,
    "PATHFINDER_KEEP_DECISIONS_DAYS": DAYS,
    "PATHFINDER_KEEP_DEAD_DAYS": DAYS,
    "PATHFINDER_KEEP_KEYS_DAYS": DAYS,
    "PATHFINDER_KEEP_MEASUREMENTS_DAYS": DAYS,
    "PATHFINDER_INVENTORY_SECONDS": "20",
    "PATHFINDER_GRACE_SECONDS": "10",
    "PATHFINDER_USAGE_SECONDS": "1",
}
#: Of RabbitMQ: it grows until its log is full, which is to be often.
LOG_BYTES = 4 << 20
EVERY_SECONDS = 10.0
#: Until rows have become old enough to be pruned, twice, tables grow as they must.
WARM_UP_SECONDS = (2 * KEEP_MINUTES + 1) * 60
#: What is more than this share above the first third is called growing, unless it is less than the unit's `SLACK` or
#: than half the swing of the first third: rows that are pruned once a minute go up and down.
SHARE = 0.10
SLACK = {"MiB": 3.0, "connections": 3.0, "messages": 20.0, "rows": 100.0}
GROWING, FLAT = "growing", "flat"

#: By name and unit.
Series = dict[tuple[str, str], list[float]]


def main() -> int:
    """Soak, and print what it showed."""
    arguments = _arguments()
    console = Console(highlight=False)
    measured = machine.describe()
    with tempfile.TemporaryDirectory(prefix="pf-soak-") as directory:
        Path(directory).chmod(0o711)  # service accounts may pass
        fleet = Fleet(Path(directory) / "home", arguments.nodes, SETTINGS, log_bytes=LOG_BYTES)
        try:
            fleet.up(Screen())
            result = asyncio.run(_soak(fleet, arguments))
        except EmbeddedError as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            fleet.down()
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    result.show(console)
    console.print(f"\nKept in {keep('soak', measured, [result])}", soft_wrap=True)
    return 0


async def _soak(fleet: Fleet, arguments: argparse.Namespace) -> Result:
    store = Store(fleet.database_url)
    await whole(fleet, store)
    churn = Churn(fleet.api_url, fleet.token, most=2 * len(fleet.nodes), rate=arguments.rate)
    working = asyncio.create_task(churn.run())
    times: list[float] = []
    series: Series = defaultdict(list)
    begin = time.monotonic()
    while not working.done() and (elapsed := time.monotonic() - begin) < arguments.minutes * 60:
        for name, value in (await _sample(fleet, store)).items():
            series[name].append(value)
        times.append(elapsed)
        await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - begin - elapsed)))
    if working.done():
        working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await store.close()
    return _result(times, series, churn, len(fleet.nodes))


async def _sample(fleet: Fleet, store: Store) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for name in fleet.programs:
        pid = await asyncio.to_thread(fleet.supervisor.pid, name)
        found[name, "MiB"] = await asyncio.to_thread(vitals.memory_bytes, pid) / 2**20
    found["database on disk", "MiB"] = await store.value("SELECT pg_database_size(current_database())") / 2**20
    found["PostgreSQL", "connections"] = await store.value(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    found["RabbitMQ", "connections"] = await asyncio.to_thread(vitals.connections_to, fleet.broker.port)
    for name, length in (await _queues(fleet)).items():
        found[name, "messages"] = length
    for table in sorted(metadata.tables):
        found[table, "rows"] = await store.value(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
    return found


async def _queues(fleet: Fleet) -> dict[str, int]:
    """Ready messages of each queue; those of nodes together."""
    lengths: dict[str, int] = defaultdict(int)
    shared = [topology.SCHEDULER, topology.RECORDER, topology.HEARTBEATS, topology.DEAD]
    async with await aio_pika.connect(fleet.broker_url, timeout=5) as connection, connection.channel() as channel:
        for queue in (*shared, *map(topology.node_queue, fleet.nodes)):
            found = await channel.declare_queue(queue.name, passive=True)
            name = queue.name if queue in shared else "pathfinder.node.*"
            lengths[name] += found.declaration_result.message_count or 0
    return lengths


def _result(times: list[float], series: Series, churn: Churn, nodes: int) -> Result:
    asked = ", ".join(f"{name} {count}" for name, count in sorted(churn.counts.items()))
    return Result(
        title=f"Soak: {times[-1] / 60:.0f} minutes of churn on {nodes} simulated nodes",
        columns=("unit", "first third", "last third", "per hour", "verdict"),
        rows=tuple(judge(name, unit, times, values) for (name, unit), values in series.items()),
        notes=(
            f"Requests: {asked}.",
            f"Rows are kept for {KEEP_MINUTES:g} minutes. Thirds: medians, of what came "
            f"after {WARM_UP_SECONDS:g} s. Memory: a process with its children, shared pages by their share.",
            f"Growing: more than {SHARE:.0%} above the first third, and more than "
            + ", ".join(f"{slack:g} {unit}" for unit, slack in SLACK.items())
            + ", and more than half of what the first third goes up and down.",
        ),
        samples={"seconds": times} | {f"{name} ({unit})": values for (name, unit), values in series.items()},
    )


def judge(name: str, unit: str, times: list[float], values: list[float]) -> Row:
    """One line: the medians of the first and the last third after the warm-up, the slope, and the verdict."""
    kept = [(at, value) for at, value in zip(times, values, strict=True) if at >= WARM_UP_SECONDS]
    if len(kept) < 6:
        kept = list(zip(times, values, strict=True))  # too short a run to leave anything out
    third = max(1, len(kept) // 3)
    first, last = (median(value for _, value in part) for part in (kept[:third], kept[-third:]))
    slope = linear_regression(*zip(*kept, strict=True)).slope * 3600 if len(kept) > 1 else 0.0
    early = [value for _, value in kept[:third]]
    swing = (quantile(early, 0.9) - quantile(early, 0.1)) / 2
    grows = last - first > max(SHARE * first, SLACK[unit], swing)
    figures = (unit, f"{first:.1f}", f"{last:.1f}", f"{slope:+.1f}", GROWING if grows else FLAT)
    return Row(name, figures, slope, FLAT, not grows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--nodes", type=int, default=50, help="simulated nodes (default: 50)")
    parser.add_argument("--rate", type=float, default=5, help="requests a second (default: 5)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

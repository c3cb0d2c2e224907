"""`python -m benchmarks.steady`: a large fleet from day to day: what heartbeats cost, and how soon users are served.

First nothing but heartbeats; then, at each rate, creates and deletes in open loop, with gets and pages of the list.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from rich.console import Console

from benchmarks import arrivals, daily, estate, machine, vitals
from benchmarks.arrivals import Plan
from benchmarks.daily import Phase
from benchmarks.figures import keep
from benchmarks.fleet import Fleet, in_short_directory
from benchmarks.observe import Commits, listening
from benchmarks.store import Store
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.errors import EmbeddedError

#: Of the first rate, before anything is measured: caches fill, statements are prepared.
WARM_UP_SECONDS = 5.0
Done = TypeVar("Done")

_BEATEN = "SELECT count(*) FROM leases WHERE usage <> '{}'"
_RENEWED = "SELECT COALESCE(n_tup_upd, 0) FROM pg_stat_user_tables WHERE relname = 'leases'"
_LAST = "SELECT COALESCE(max(seq), 0) FROM events"
_SCHEDULED = """
    SELECT array_agg(subject_name) AS hostnames, extract(epoch FROM max(at))::float8 AS written
    FROM events WHERE kind = 'container.scheduled' AND seq > $1 GROUP BY xid ORDER BY written
"""
#: `epoch` grows each time a node goes DOWN.
_DOWN = "SELECT sum(epoch)::bigint FROM nodes"


def main() -> int:
    """Measure, and print what was found."""
    arguments = _arguments()
    console = Console(highlight=False)
    measured = machine.describe()
    try:
        with in_short_directory(lambda path: Fleet(path, arguments.nodes, estate.SETTINGS, agents=False)) as fleet:
            fleet.up(Screen())
            phases, down = asyncio.run(_measure(fleet, arguments))
    except EmbeddedError as failure:
        print(failure, file=sys.stderr)
        return 1
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    size = f"{arguments.nodes:,} simulated nodes, {arguments.containers:,} containers"
    results = [daily.serving(size, phases[1:]), daily.costing(size, phases, arguments.nodes, down)]
    for result in results:
        result.show(console)
    headline = {"containers": arguments.containers, "nodes": arguments.nodes, **daily.headline(phases)}
    print(json.dumps(headline))
    console.print(f"Kept in {keep('steady', measured, results, headline)}", soft_wrap=True)
    return 0


async def _measure(fleet: Fleet, arguments: argparse.Namespace) -> tuple[list[Phase], int]:
    """Each phase, the one without users first; and how often a node was called DOWN."""
    store, screen = Store(fleet.database_url), Screen()
    with screen.step("nodes") as step:
        await estate.settle(fleet)
        herds = await asyncio.to_thread(estate.play, fleet, arguments.herds, beating=True)
        await store.until("every node to beat", _BEATEN, enough=lambda rows: rows[0][0] == arguments.nodes)
        step.say(f"{arguments.nodes:,} beat")
    with screen.step("containers") as step:
        await estate.fill(fleet, store, arguments.containers)
        await estate.judge(fleet)
        step.say(f"{arguments.containers:,} PROVISIONED")
    pids = await asyncio.to_thread(fleet.pids, [*fleet.programs, *herds])
    days = _Days(fleet, store, pids, arguments)
    with screen.step("heartbeats alone"):
        phases = [await days.alone(arguments.alone)]
    async with listening(fleet.database_url) as commits:
        with screen.step("warming up"):
            await days.with_users(commits, arguments.rates[0], WARM_UP_SECONDS)
        for rate in arguments.rates:
            with screen.step(f"{rate:g}/s"):
                phases.append(await days.with_users(commits, rate, arguments.seconds))
    down: int = await store.value(_DOWN)
    await store.close()
    return phases, down


class _Days:
    """One phase after the other."""

    def __init__(self, fleet: Fleet, store: Store, pids: Mapping[str, int], arguments: argparse.Namespace) -> None:
        self._fleet, self._store, self._pids, self._arguments = fleet, store, pids, arguments
        self._gone = 0

    async def alone(self, seconds: float) -> Phase:
        """Nothing but heartbeats."""
        before = await self._store.value(_RENEWED)
        elapsed, shares = await self._sharing(_sleep(seconds))
        renewed = await self._store.value(_RENEWED) - before
        return Phase(0.0, {}, 0, shares, renewed / elapsed)

    async def with_users(self, commits: Commits, rate: float, seconds: float) -> Phase:
        """So many creates and deletes a second."""
        wished = self._arguments
        plan = Plan(wished.containers, self._gone, rate, wished.gets, wished.pages, seconds)
        self._gone += plan.deletes
        last = await self._store.value(_LAST)
        backends = await self._schedulers()
        process = await arrivals.start(self._fleet, plan)
        arrived, shares = await self._sharing(arrivals.go(process))
        await estate.none_left(self._store, "PENDING", "SCHEDULED", "SCHEDULE_DELETION")
        backends |= await self._schedulers()
        shares["users"] = arrived.processor / seconds
        samples = {name: stream.answered for name, stream in arrived.streams.items()}
        committed = await self._committed(commits.of(backends), last)
        samples["scheduled"] = [committed[hostname] - due for hostname, due in arrived.created(plan).items()]
        refused = sum(one is None for stream in arrived.streams.values() for one in stream.seconds)
        return Phase(rate, samples, refused, shares)

    async def _committed(self, commits: Commits, last: int) -> dict[str, float]:
        """When the SCHEDULED of each hostname after event `last` was announced. A scheduler commits one at a time."""
        rows = await self._store.rows(_SCHEDULED, last)
        moments = commits.each(row["written"] for row in rows)
        return {name: at for row, at in zip(rows, moments, strict=True) for name in row["hostnames"]}

    async def _schedulers(self) -> set[int]:
        """PostgreSQL's processes that serve the scheduler."""
        ports = await asyncio.to_thread(vitals.ports_of, self._pids["scheduler"])
        rows = await self._store.rows("SELECT pid FROM pg_stat_activity WHERE client_port = ANY($1)", list(ports))
        return {row["pid"] for row in rows}

    async def _sharing(self, work: Awaitable[Done]) -> tuple[Done, dict[str, float]]:
        """What came of some work, and by program, which share of a core it took meanwhile."""
        before, begin = await asyncio.to_thread(vitals.spent, self._pids), time.monotonic()
        done = await work
        elapsed, after = time.monotonic() - begin, await asyncio.to_thread(vitals.spent, self._pids)
        return done, {name: (seconds - before[name]) / elapsed for name, seconds in after.items()}


async def _sleep(seconds: float) -> float:
    begin = time.monotonic()
    await asyncio.sleep(seconds)
    return time.monotonic() - begin


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--nodes", type=int, default=5_000, help="simulated nodes (default: 5000)")
    parser.add_argument("--containers", type=int, default=150_000, help="on them (default: 150000)")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[20.0, 200.0], help="creates plus deletes a second (default: 20 200)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate (default: 30)")
    # Autovacuum comes round once a minute, and what it does to the leases is a part of what they cost.
    parser.add_argument("--alone", type=float, default=60.0, help="seconds of heartbeats alone (default: 60)")
    parser.add_argument("--gets", type=float, default=20.0, help="single containers looked at a second (default: 20)")
    parser.add_argument("--pages", type=float, default=5.0, help="pages of the list a second (default: 5)")
    parser.add_argument("--herds", type=int, default=1, help="processes that play the nodes (default: 1)")
    arguments = parser.parse_args()
    if _deleted(arguments.rates, arguments.seconds) >= arguments.containers:
        parser.error("more would be deleted than there are; ask for more --containers")
    return arguments


def _deleted(rates: Sequence[float], seconds: float) -> float:
    return (rates[0] * WARM_UP_SECONDS + sum(rates) * seconds) / 2


if __name__ == "__main__":
    sys.exit(main())

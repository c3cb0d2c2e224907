"""`python -m benchmarks.rollouts`: so many deployments at once, through everything that is real, on simulated nodes.

From the first apply to the moment when the last deployment is rolled out. Then what one replica that goes costs: how
long until it is back, and what the look at its deployment reads.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from sqlalchemy import event, text

from benchmarks import estate, machine, vitals
from benchmarks.figures import Result, Row, keep
from benchmarks.fleet import Fleet
from benchmarks.store import Store
from pathfinder.cli.operator.progress import Screen
from pathfinder.client import Client
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.store import rollouts
from pathfinder.store.database import Database

TARGET_SECONDS = 60.0
#: Deployments of one request.
BATCH = 20
POLL_SECONDS = 0.2
LIMIT_SECONDS = 1200.0
#: Replicas that go, one after the other.
SAMPLES = 20

_TEMPLATE = {"memory": "64MiB", "cpu": "50m"}
_READ = text(
    "SELECT COALESCE(sum(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)), 0)::bigint "
    "FROM pg_stat_xact_user_tables"
)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a deployment cost."""

    statements: int
    rows: int
    milliseconds: float


def main() -> int:
    """Measure, and print what was found."""
    arguments = _arguments()
    console = Console(highlight=False)
    measured = machine.describe()
    with tempfile.TemporaryDirectory(prefix="pf-rollouts-") as directory:
        Path(directory).chmod(0o711)  # service accounts may pass
        fleet = Fleet(Path(directory) / "home", arguments.nodes, estate.SETTINGS, agents=False)
        try:
            fleet.up(Screen())
            seconds, spent, back, looks = asyncio.run(_measure(fleet, arguments))
        except EmbeddedError as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            fleet.down()
    result = _result(arguments, seconds, spent, back, looks)
    result.show(console)
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    headline = {"reconciled_s": seconds, "rows_per_look": median(look.rows for look in looks)}
    print(json.dumps(headline))
    console.print(f"Kept in {keep('rollouts', measured, [result], headline)}", soft_wrap=True)
    return 0


async def _measure(
    fleet: Fleet, arguments: argparse.Namespace
) -> tuple[float, dict[str, float], list[float], list[Look]]:
    store = Store(fleet.database_url)
    await estate.settle(fleet)
    agents = await asyncio.to_thread(estate.play, fleet, arguments.herds, beating=True)
    pids = await asyncio.to_thread(fleet.pids, [*fleet.programs, *agents])
    before, begin = vitals.spent(pids), time.monotonic()
    async with Client(fleet.api_url, fleet.token) as client:
        names = [f"web-{number:03d}" for number in range(arguments.deployments)]
        for start in range(0, len(names), BATCH):
            await client.deployments.apply_all(
                [
                    {"name": name, "replicas": arguments.replicas, "template": _TEMPLATE, "strategy": {}}
                    for name in names[start : start + BATCH]
                ]
            )
        await _until(store, "SELECT count(*) FROM deployments WHERE stable = revision", len(names))
        seconds = time.monotonic() - begin
        spent = {name: used - before[name] for name, used in vitals.spent(pids).items()}
        back = [await _goes(client, store, f"{name}-01") for name in names[:SAMPLES]]
    looks = [await _look(fleet, name) for name in names[:SAMPLES]]
    await store.close()
    return seconds, spent, back, looks


async def _goes(client: Client, store: Store, hostname: str) -> float:
    """Seconds from the request that deletes a replica until another of its name runs."""
    begin = time.monotonic()
    gone = await client.containers.delete(hostname)
    await _until(
        store,
        f"SELECT count(*) FROM containers WHERE hostname = '{hostname}' AND status = 'PROVISIONED' "  # noqa: S608 - ours
        f"AND id <> '{gone.id}'",
        1,
    )
    return time.monotonic() - begin


async def _look(fleet: Fleet, name: str) -> Look:
    """Look at a deployment of which one replica changed, here, and undo it."""
    database = Database(fleet.database_url, 1)
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    async with database.engine.connect() as tx:
        id_ = (await tx.execute(text("SELECT id FROM deployments WHERE name = :name"), {"name": name})).scalar_one()
        event.listen(database.engine.sync_engine, "before_cursor_execute", count)
        before, begin = (await tx.execute(_READ)).scalar_one(), time.monotonic()
        statements = 0
        await rollouts.look(tx, id_, "")
        used, taken = time.monotonic() - begin, statements
        rows = (await tx.execute(_READ)).scalar_one() - before
        await tx.rollback()
    await database.close()
    return Look(taken, rows, used * 1000)


async def _until(store: Store, query: str, wanted: int) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while await store.value(query) < wanted:  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(POLL_SECONDS)


def _result(
    arguments: argparse.Namespace, seconds: float, spent: dict[str, float], back: list[float], looks: list[Look]
) -> Result:
    rows, statements = median(look.rows for look in looks), median(look.statements for look in looks)
    total = arguments.deployments * arguments.replicas
    most = 4 * arguments.replicas  # each has a few versions, until PostgreSQL tidies up
    busy = ", ".join(f"{name} {used:.1f}" for name, used in sorted(spent.items(), key=lambda one: -one[1])[:6])
    return Result(
        title=f"{arguments.deployments} deployments of {arguments.replicas} replicas on {arguments.nodes} nodes",
        columns=("median",),
        rows=(
            Row("all rolled out (s)", (f"{seconds:.1f}",), seconds, f"≤ {TARGET_SECONDS:g}", seconds <= TARGET_SECONDS),
            Row("a replica that goes is back (s)", (f"{median(back):.2f}",), median(back)),
            Row("rows that a look reads", (f"{rows:g}",), rows, f"≤ {most} of {total}", rows <= most),
            Row("statements of a look", (f"{statements:g}",), statements),
            Row("a look (ms)", (f"{median(one.milliseconds for one in looks):.1f}",), 0.0),
        ),
        notes=(f"Processor seconds until all were rolled out: {busy}.",),
        samples={"back": back, "rows": [float(look.rows) for look in looks]},
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollouts", description=__doc__)
    parser.add_argument("--deployments", type=int, default=200)
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--herds", type=int, default=2, help="processes that play the nodes (default: 2)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.c1m`: so many containers onto so many simulated nodes, through everything that is real.

From the first request to the moment when the last container is SCHEDULED and its command is confirmed by the broker;
then until all are PROVISIONED.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from benchmarks import estate, machine, vitals
from benchmarks.figures import Result, Row, keep
from benchmarks.fleet import Fleet
from benchmarks.store import Store
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.errors import EmbeddedError

REACH = 10_000


def main() -> int:
    """Measure, and print what was found."""
    arguments = _arguments()
    console = Console(highlight=False)
    measured = machine.describe()
    with tempfile.TemporaryDirectory(prefix="pf-c1m-") as directory:
        Path(directory).chmod(0o711)  # service accounts may pass
        batch = {"PATHFINDER_SCHEDULER_BATCH": str(arguments.batch)} if arguments.batch else {}
        fleet = Fleet(
            Path(directory) / "home",
            arguments.nodes,
            estate.SETTINGS | batch,
            agents=False,
            # Nodes that do not beat would be declared dead, and deaf.
            copies={"scheduler": arguments.schedulers, "controller": int(arguments.beating)},
        )
        try:
            fleet.up(Screen())
            result = asyncio.run(_measure(fleet, arguments))
            if arguments.hold:
                input(f"{fleet.database_url} {fleet.broker_url} {fleet.api_url} {fleet.token}; Enter ends it ")
        except EmbeddedError as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            fleet.down()
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    result.show(console)
    per_second = result.rows[0].value
    headline = {"containers": arguments.containers, "nodes": arguments.nodes, "placements_per_s": per_second}
    print(json.dumps(headline))
    console.print(f"Kept in {keep('c1m', measured, [result], headline)}", soft_wrap=True)
    return 0


async def _measure(fleet: Fleet, arguments: argparse.Namespace) -> Result:
    store = Store(fleet.database_url)
    await estate.settle(fleet)
    agents: list[str] = []
    if arguments.beating:
        agents = await asyncio.to_thread(estate.play, fleet, arguments.herds, beating=True)
    pids = await asyncio.to_thread(fleet.pids, [*fleet.programs, *agents])
    before = vitals.spent(pids)
    load = await estate.load(fleet, arguments.containers, arguments.at_a_time)
    output = (await load.communicate())[0]
    await estate.none_left(store, "PENDING")
    scheduled = time.time()
    spent = {name: seconds - before[name] for name, seconds in vitals.spent(pids).items()}
    if load.returncode:
        raise SystemExit("the load ended early")
    asked: dict[str, float] = json.loads(output)
    placing = scheduled - asked["first"]
    before, begin = vitals.spent(pids), time.time()
    if not agents:
        agents = await asyncio.to_thread(estate.play, fleet, arguments.herds, beating=False)
    pids |= await asyncio.to_thread(fleet.pids, agents)
    await estate.none_left(store, "PENDING", "SCHEDULED")
    provisioning = time.time() - begin
    later = {name: seconds - before.get(name, 0.0) for name, seconds in vitals.spent(pids).items()}
    await store.close()
    memory = {name: vitals.memory_bytes(pid) / 2**20 for name, pid in pids.items()}
    return _result(arguments, asked, placing, provisioning, spent, later, memory)


def _result(
    arguments: argparse.Namespace,
    asked: Mapping[str, float],
    placing: float,
    provisioning: float,
    spent: Mapping[str, float],
    later: Mapping[str, float],
    memory: Mapping[str, float],
) -> Result:
    count = arguments.containers
    rate, accepting = count / placing, asked["last"] - asked["first"]

    def micro(seconds: float) -> str:
        return f"{seconds / count * 1e6:.0f} µs"

    rows = [
        Row("placements/s", (f"{rate:,.0f}", f"{placing:.1f} s"), rate, f"≥ {REACH:,}", rate >= REACH),
        Row("accepted/s", (f"{count / accepting:,.0f}", f"{accepting:.1f} s"), count / accepting),
        Row("provisioned/s, after that", (f"{count / provisioning:,.0f}", f"{provisioning:.1f} s"), provisioning),
        Row("processor, all, until SCHEDULED", (micro(sum(spent.values())), ""), sum(spent.values())),
    ]
    for name in (*spent, *(name for name in later if name not in spent)):
        figures = (micro(spent.get(name, 0.0)), f"then {micro(later[name])}; {memory[name]:.0f} MiB")
        rows.append(Row(f"  {name}", figures, spent.get(name, 0.0)))
    return Result(
        title=f"{count:,} containers onto {arguments.nodes:,} simulated nodes",
        columns=("", "whole run"),
        rows=tuple(rows),
        notes=(
            "placements: from the first request sent to the last SCHEDULED committed and its command confirmed.",
            "µs: processor time for each container; the cores are shared by all, and by the load.",
            f"{asked['refused']} requests were told to come back later, and did.",
            "Nodes beat while containers are placed."
            if arguments.beating
            else "No node beats, and no controller runs.",
        ),
        samples={},
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.c1m", description=__doc__)
    parser.add_argument("--containers", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--schedulers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--herds", type=int, default=1, help="processes that play the nodes (default: 1)")
    parser.add_argument("--at-a-time", type=int, default=3, help="requests at once (default: 3)")
    parser.add_argument("--batch", type=int, help="containers of one of the scheduler's transactions, if not the usual")
    parser.add_argument("--beating", action="store_true", help="nodes beat, and work, while containers are placed")
    parser.add_argument("--hold", action="store_true", help="leave everything running until Enter")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

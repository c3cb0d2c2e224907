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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import estate, harder, machine, vitals
from benchmarks.figures import Result, Row, keep
from benchmarks.fleet import Fleet
from benchmarks.store import Store
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.errors import EmbeddedError

REACH = 10_000
#: Of the scheduler, in MiB, at 5,000 nodes and 1,000,000 containers.
REACH_MEMORY = 1536
#: Containers and nodes: how cost grows with the one and with the other.
SERIES = ((10_000, 500), (10_000, 5_000), (100_000, 500))


@dataclass(frozen=True, slots=True)
class Case:
    """So many containers of a mix onto so many nodes."""

    containers: int
    nodes: int
    mix: str = harder.PLAIN


@dataclass(frozen=True, slots=True)
class Found:
    """What a case took, in seconds: from the first request to the last answer, the last SCHEDULED, the last
    PROVISIONED; by program the processor time until SCHEDULED and after it, and the most memory in MiB.
    """

    case: Case
    accepting: float
    placing: float
    provisioning: float
    refused: int
    spent: Mapping[str, float]
    later: Mapping[str, float]
    memory: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Decisions a second: also that a container fits nowhere is one."""
        return self.case.containers / self.placing

    def as_headline(self) -> dict[str, Any]:
        """What scripts ask for."""
        return {
            **asdict(self.case),
            "placements_per_s": self.rate,
            "processor_us": sum(self.spent.values()) / self.case.containers * 1e6,
            "scheduler_mib": self.memory["scheduler"],
        }


def main() -> int:
    """Measure, and print what was found."""
    arguments = _arguments()
    console = Console(highlight=False)
    measured = machine.describe()
    asked = [Case(arguments.containers, arguments.nodes, mix) for mix in arguments.mix]
    cases = [*(Case(*size) for size in SERIES if arguments.series), *asked]
    found, results = [], []
    for case in cases:
        try:
            found.append(_found(case, arguments))
        except EmbeddedError as failure:
            print(failure, file=sys.stderr)
            return 1
        results.append(_result(found[-1], beating=arguments.beating))
        results[-1].show(console)
    if len(found) > 1:
        results.append(_growth(found))
        results[-1].show(console)
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    headline = found[-1].as_headline() | {"cases": [one.as_headline() for one in found]}
    print(json.dumps(headline))
    console.print(f"Kept in {keep('c1m', measured, results, headline)}", soft_wrap=True)
    return 0


def _found(case: Case, arguments: argparse.Namespace) -> Found:
    with tempfile.TemporaryDirectory(prefix="pf-c1m-") as directory:
        Path(directory).chmod(0o711)  # service accounts may pass
        batch = {"PATHFINDER_SCHEDULER_BATCH": str(arguments.batch)} if arguments.batch else {}
        fleet = Fleet(
            Path(directory) / "home",
            case.nodes,
            estate.SETTINGS | batch,
            agents=False,
            # Nodes that do not beat would be declared dead, and deaf.
            copies={"scheduler": arguments.schedulers, "controller": int(arguments.beating)},
        )
        try:
            fleet.up(Screen())
            found = asyncio.run(_measure(fleet, case, arguments))
            if arguments.hold:
                input(f"{fleet.database_url} {fleet.broker_url} {fleet.api_url} {fleet.token}; Enter ends it ")
        finally:
            fleet.down()
    return found


async def _measure(fleet: Fleet, case: Case, arguments: argparse.Namespace) -> Found:
    store = Store(fleet.database_url)
    await estate.settle(fleet)
    agents: list[str] = []
    if arguments.beating:
        agents = await asyncio.to_thread(estate.play, fleet, arguments.herds, beating=True)
    pids = await asyncio.to_thread(fleet.pids, [*fleet.programs, *agents])
    before = vitals.spent(pids)
    load = await estate.load(fleet, case.containers, arguments.at_a_time, case.mix)
    output = (await load.communicate())[0]
    await estate.none_left(store, "PENDING")
    scheduled = time.time()
    spent = {name: seconds - before[name] for name, seconds in vitals.spent(pids).items()}
    if load.returncode:
        raise SystemExit("the load ended early")
    asked: dict[str, float] = json.loads(output)
    print(f"SCHEDULED after {scheduled - asked['first']:.1f} s", file=sys.stderr)
    spent["(users)"] = asked["processor"]
    before, begin = vitals.spent(pids), time.time()
    if not agents:
        agents = await asyncio.to_thread(estate.play, fleet, arguments.herds, beating=False)
    pids |= await asyncio.to_thread(fleet.pids, agents)
    await estate.none_left(store, "PENDING", "SCHEDULED")
    provisioning = time.time() - begin
    later = {name: seconds - before.get(name, 0.0) for name, seconds in vitals.spent(pids).items()}
    await store.close()
    return Found(
        case,
        asked["last"] - asked["first"],
        scheduled - asked["first"],
        provisioning,
        int(asked["refused"]),
        spent,
        later,
        {name: vitals.peak_bytes(pid) / 2**20 for name, pid in pids.items()},
    )


def _result(found: Found, *, beating: bool) -> Result:
    case, count = found.case, found.case.containers
    reach = REACH if case.mix == harder.PLAIN else harder.REACH
    placed = harder.placed(case.mix, count)

    def micro(seconds: float) -> str:
        return f"{seconds / count * 1e6:.0f} µs"

    def rate(name: str, seconds: float, many: int = count) -> Row:
        return Row(name, (f"{many / seconds:,.0f}", f"{seconds:.1f} s", ""), many / seconds)

    total = sum(found.spent.values())
    rows = [
        replace(rate("placements/s", found.placing), target=f"≥ {reach:,}", reached=found.rate >= reach),
        rate("accepted/s", found.accepting),
        rate("provisioned/s, after that", found.provisioning, placed),
        Row("processor, all, until SCHEDULED", (micro(total), "", ""), total),
    ]
    for name in (*found.spent, *(name for name in found.later if name not in found.spent)):
        memory = found.memory.get(name, 0.0)
        figures = (micro(found.spent.get(name, 0.0)), micro(found.later.get(name, 0.0)), f"{memory:,.0f} MiB")
        judged = (f"≤ {REACH_MEMORY:,} MiB", memory <= REACH_MEMORY) if name == "scheduler" else ()
        rows.append(Row(f"  {name}", figures, found.spent.get(name, 0.0), *judged))
    floor = harder.FLOORS.get(case.mix)
    against = [f"Kubernetes' floor: {floor} pods/s; this is {found.rate / floor:.0f} times that."] if floor else []
    return Result(
        title=f"{count:,} containers ({harder.WORDS[case.mix]}) onto {case.nodes:,} simulated nodes",
        columns=("until SCHEDULED", "after that", "most memory"),
        rows=tuple(rows),
        notes=(
            "placements: from the first request sent to the last SCHEDULED committed and its command confirmed; that a "
            "container fits nowhere counts as one.",
            "µs: processor time for each container; the cores are shared by all, and by the users. MiB: of several "
            "processes, what they share counts for each.",
            f"{found.refused} requests were told to come back later, and did.",
            "Nodes beat while containers are placed." if beating else "No node beats, and no controller runs.",
            *against,
        ),
        samples={},
    )


def _growth(found: Sequence[Found]) -> Result:
    rows = [
        Row(
            one.case.mix,
            (
                *(f"{one.case.containers:,}", f"{one.case.nodes:,}", f"{one.rate:,.0f}"),
                f"{sum(one.spent.values()) / one.case.containers * 1e6:.0f}",
                f"{one.memory['scheduler']:,.0f}",
            ),
            one.rate,
        )
        for one in found
    ]
    return Result(
        title="How cost grows",
        columns=("containers", "nodes", "placements/s", "processor, µs each", "scheduler, MiB"),
        rows=tuple(rows),
        notes=("One after the other, each from nothing: what is done once for each node weighs on few containers.",),
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
    parser.add_argument(
        "--mix", nargs="+", default=[harder.PLAIN], choices=harder.MIXES, help="kinds of container (default: plain)"
    )
    parser.add_argument("--series", action="store_true", help="smaller sizes first, to show how cost grows")
    parser.add_argument("--beating", action="store_true", help="nodes beat, and work, while containers are placed")
    parser.add_argument("--hold", action="store_true", help="leave everything running until Enter")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

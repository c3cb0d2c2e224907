"""`python -m benchmarks.engine`: the placement engine alone, without any service: how fast it decides, and how well."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from rich.console import Console

from benchmarks import machine, mixes, packing, vitals
from benchmarks.figures import Result, Row, keep
from benchmarks.pool import Pool
from benchmarks.shapes import NODE, container
from pathfinder.domain.asking import Affinity, Spread
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling import policy
from pathfinder.scheduling.request import Ask

NODES = (500, 5_000, 50_000)
CONTAINERS = 20_000
#: What a scheduler may take at once, and what it gets where little is asked for.
LARGE, SMALL = 10_000, 100
REACH = 1_500
#: Most more machines than the best packing that is known, and by whom.
MORE = 0.03
POLICIES = ("binpack", "balanced", "spread")
JUDGED = ("binpack", "balanced")
SEEDS = (1, 2, 3)
#: Times as many machines as the lower bound: a fleet that is not full.
WIDE = 3


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--only", choices=("speed", "mixes", "quality"), help="measure only this")
    parser.add_argument("--quality-containers", type=int, default=10_000, help="of each mix (default: 10000)")
    arguments = parser.parse_args()
    console, measured = Console(highlight=False), machine.describe()
    parts: dict[str, Callable[[], Result]] = {
        "speed": speed,
        "mixes": harder,
        "quality": lambda: quality(arguments.quality_containers),
    }
    results = []
    for name, part in parts.items():
        if arguments.only in (None, name):
            results.append(part())
            results[-1].show(console)
    measured["load after"] = machine.load()
    console.print(machine.in_words(measured), soft_wrap=True)
    console.print(f"Kept in {keep('engine', measured, results)}", soft_wrap=True)
    return 0


def speed() -> Result:
    """Decisions each second, by nodes, and by how many are asked for at once."""
    rows = []
    asks = [_ask(number) for number in range(CONTAINERS)]
    for nodes in NODES:
        for batch in (LARGE, SMALL):
            for name in ("spread", "binpack"):
                some = asks if batch == LARGE else asks[: 20 * SMALL]
                rate = _rate(Pool(nodes, NODE), _batches(some, batch), name)
                figures = (f"{nodes:,}", f"{batch:,}", name, f"{rate:,.0f}")
                rows.append(Row("", figures, rate))
    return Result(
        title="The engine alone: decisions/s, ten shapes, reasons included",
        columns=("nodes", "at once", "policy", "decisions/s"),
        rows=tuple(rows),
        notes=(f"{CONTAINERS:,} containers; {20 * SMALL:,} where {SMALL} are asked for at once.",),
        samples={},
    )


@dataclass(frozen=True, slots=True)
class _Mix:
    """A harder mix: what is asked, and the floor that Kubernetes tests itself against (pods/s at 5,000 nodes)."""

    name: str
    asks: Sequence[Ask]
    floor: int
    watched: tuple[Selector, ...] = ()
    averse: tuple[tuple[Selector, str], ...] = ()


def harder(batch: int = 500) -> Result:
    """What compares nodes with each other, at 5,000 nodes."""
    app = Selector.parse("app=web")
    base = replace(_ask(0), labels=(("app", "web"),))
    never = replace(_ask(0), constraints=Selector.parse("nowhere=true"))
    churn = [ask for number in range(4_000) for ask in (_ask(number), replace(never, image=f"i{number % 20}"))]
    rows = []
    for mix in (
        _Mix(
            "required anti-affinity, one on each node",
            [replace(base, affinities=(Affinity(app, apart=True),))] * 2_000,
            60,
            (app,),
            ((app, "node"),),
        ),
        _Mix("topology spread over zones, skew 1", [replace(base, spreads=(Spread(app, "zone"),))] * 5_000, 90, (app,)),
        _Mix(
            "preferred affinity, in racks",
            [replace(base, affinities=(Affinity(app, "rack", required=False),))] * 5_000,
            90,
            (app,),
        ),
        _Mix("churn, every second one fits nowhere", churn, 590),
    ):
        rate = _rate(Pool(5_000, NODE, mix.watched, mix.averse), _batches(mix.asks, batch), "spread")
        target = (f"≥ {REACH:,}", rate >= REACH)
        rows.append(Row(mix.name, (f"{len(mix.asks):,}", f"{rate:,.0f}", f"{rate / mix.floor:.0f} ×"), rate, *target))
    used = vitals.memory_bytes(os.getpid()) / 2**20
    return Result(
        title=f"Harder mixes at 5,000 nodes, the engine alone: decisions/s, {batch} asked for at once",
        columns=("containers", "decisions/s", "of Kubernetes' floor"),
        rows=tuple(rows),
        notes=(
            "Kubernetes' floors: 60, 90, 90 and 590 pods/s, of its whole scheduler with its API server.",
            f"This process took {used:.0f} MiB at the end.",
        ),
        samples={},
    )


def quality(count: int) -> Result:
    """Machines needed for everything, by policy and by others, each as the mean over seeds."""
    rows = []
    online: dict[str, packing.Fits] = {
        f"{name}, {how}": packing.by_policy(name, batch)
        for name in POLICIES
        for how, batch in (("all at once", 0), (f"{packing.FEW} at a time", packing.FEW))
    } | {"least count (LXD, Incus)": packing.least_count, "random": packing.at_random}
    known = {
        f"best-fit decreasing: {large}, {best}": packing.best_fit_decreasing(large, best)
        for large in packing.LARGE
        for best in packing.BEST
    }
    for make in (mixes.google_like, mixes.azure_like):
        drawn = [make(count, seed) for seed in SEEDS]
        least = mean(packing.bound(mix) for mix in drawn)
        rows.append(Row(f"{drawn[0].name}: lower bound", (f"{least:.1f}", "", ""), least))
        needed = {
            name: [packing.needed(mix, fits, seed) for mix, seed in zip(drawn, SEEDS, strict=True)]
            for name, fits in (known | online).items()
        }
        best = mean(min(ones) for ones in zip(*(needed[name] for name in known), strict=True))
        rows.append(Row("  best of all best-fit decreasing", _compared(best, least, best), best))
        for name, found in ((name, mean(ones)) for name, ones in needed.items()):
            judged = (f"≤ {best * (1 + MORE):.1f}", found <= best * (1 + MORE)) if name.startswith(JUDGED) else ()
            rows.append(Row(f"  {name}", _compared(found, least, best), found, *judged))
        wide = [WIDE * packing.bound(mix) for mix in drawn]
        for name in POLICIES:
            used = mean(packing.in_use(mix, name, *rest) for mix, *rest in zip(drawn, wide, SEEDS, strict=True))
            rows.append(Row(f"  {name}: in use of {mean(wide):.0f}", _compared(used, least, best), used))
    return Result(
        title=f"Machines needed for {count:,} containers, mean of {len(SEEDS)} seeds",
        columns=("machines", "to the bound", "to the best known"),
        rows=tuple(rows),
        notes=(
            "Found by halving: the fewest machines on which everything fits (cell compaction).",
            "Policies see all containers at once, as after a large request; or some at a time, in the order in which "
            "they come, and know no others.",
            f"In use: on how many of {WIDE} times as many machines something is, when some come at a time.",
            "Best-fit decreasing knows all in advance. The largest first, by the greater of its shares, their sum or "
            "their product; each where it leaves the least, or the most even rest. For each seed the best counts.",
            "What least count and random do is given room to look for, which LXD and Incus do not do.",
        ),
        samples={},
    )


def _compared(found: float, least: float, best: float) -> tuple[str, str, str]:
    return f"{found:.1f}", f"{found / least - 1:+.1%}", f"{found / best - 1:+.1%}"


def _rate(pool: Pool, batches: Iterator[Sequence[Ask]], name: str) -> float:
    chosen, count, seconds = policy.named(name), 0, 0.0
    for number, batch in enumerate(batches):
        begin = time.perf_counter()
        pool.place(batch, chosen, number, explain=True)
        seconds += time.perf_counter() - begin
        count += len(batch)
    return count / seconds


def _batches(asks: Sequence[Ask], size: int) -> Iterator[Sequence[Ask]]:
    for start in range(0, len(asks), size):
        yield asks[start : start + size]


def _ask(number: int) -> Ask:
    spec = container(number)
    return Ask(Resources(int(spec["cpu"] * 1000), spec["memory"], spec["disk"]), image="local:tiny")


if __name__ == "__main__":
    sys.exit(main())

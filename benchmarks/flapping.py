"""`python -m benchmarks.flapping`: how often scaling turns back, and how long it is short, against the plain ratio."""

import argparse
import sys
from statistics import fmean

from rich.console import Console

from benchmarks import machine, traces
from benchmarks.figures import Result, Row, keep
from pathfinder.controllers.scaling_trace import Course, Trace, by_plain_ratio, by_rules, run
from pathfinder.domain.autoscaling import Autoscaling

READY_AFTER_SECONDS = 30.0

RULES = {"min": 1, "max": 30, "metrics": [{"type": "cpu", "target_percent": 70}]}


def main() -> int:
    """Play every trace through every rule, print the table, keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flapping", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="traces of each kind (default: 10)")
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    arguments = parser.parse_args()
    found = measure(range(1, arguments.seeds + 1))
    Console(highlight=False).print()
    found.show(Console(highlight=False))
    if arguments.keep:
        Console(highlight=False).print(f"Kept in {keep('flapping', machine.describe(), [found])}", soft_wrap=True)
    return 0 if all(row.reached is not False for row in found.rows) else 1


def courses(trace: Trace) -> dict[str, Course]:
    """How it goes by the plain ratio, by the defaults, and by those with a forecast."""
    rules = Autoscaling.model_validate(RULES)
    ahead = Autoscaling.model_validate(RULES | {"predictive": {"ahead_seconds": 300}})

    def played(rules: Autoscaling, rule: object) -> Course:
        return run(rules, trace, rule, ready_after_seconds=READY_AFTER_SECONDS)  # type: ignore[arg-type]

    return {
        "plain ratio": played(rules, by_plain_ratio(rules, trace)),
        "Pathfinder": played(rules, by_rules(rules, trace)),
        "with a forecast": played(ahead, by_rules(ahead, trace)),
    }


def measure(seeds: range) -> Result:
    """The table: means over the traces of a kind."""
    rows, samples = [], {}
    for kind in traces.KINDS:
        by_rule: dict[str, list[Course]] = {}
        for seed in seeds:
            for name, course in courses(traces.made(kind, seed)).items():
                by_rule.setdefault(name, []).append(course)
        plain = fmean(one.reversals for one in by_rule["plain ratio"])
        for name, found in by_rule.items():
            reversals = fmean(one.reversals for one in found)
            samples[f"{kind}, {name}: reversals"] = [float(one.reversals) for one in found]
            samples[f"{kind}, {name}: seconds short"] = [one.short_seconds for one in found]
            rows.append(_row(f"{kind}, {name}", found, reversals, None if name == "plain ratio" else plain / 5))
    notes = (
        f"{len(seeds)} traces of each kind; a replica is ready {READY_AFTER_SECONDS:g} s after it was asked for; a "
        "look each 15 s. Short: fewer ready than keep each within a tenth of its target.",
    )
    columns = ("reversals", "changes", "time short", "replica hours")
    return Result("Scaling: turning back, and being short", columns, tuple(rows), notes, samples)


def _row(name: str, found: list[Course], reversals: float, most: float | None) -> Row:
    short = fmean(one.short_seconds / (len(one.at) * one.step_seconds) for one in found)
    figures = (
        f"{reversals:.1f}",
        f"{fmean(one.changes for one in found):.1f}",
        f"{short:.2%}",
        f"{fmean(one.replica_seconds for one in found) / 3600:.1f}",
    )
    if most is None:
        return Row(name, figures, reversals)
    return Row(name, figures, reversals, f"<= {most:.1f} reversals", reversals <= most)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.failover`: how long it takes to recover from each fault, as one table.

A lab in which everything is there twice is hurt part by part; then a large simulated fleet loses its RabbitMQ.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from rich.console import Console

from benchmarks import machine, machine_death, reconnect
from benchmarks.drill import Drill
from benchmarks.figures import Result, Row, keep, quantile
from benchmarks.fleet import Fleet, in_short_directory
from benchmarks.probe import Probe
from benchmarks.store import Store
from pathfinder.cli.operator.progress import Screen
from pathfinder.client import Client
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.lxd_client import connect
from pathfinder.embedded.roles import CONTROL_PLANE

PARTS = ("roles", "broker", "node", "database", "reconnect")
ROLE_REACH, BROKER_REACH, PROMOTION_REACH, NODE_REACH, FLEET_REACH = 2.0, 5.0, 10.0, 20.0, 30.0
NODES = 3
NEXT = "next create PROVISIONED"


class Findings:
    """Rows of the table as they are measured."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.samples: dict[str, list[float]] = {}
        self.notes: list[str] = []

    def add(self, fault: str, awaited: str, samples: list[float], reach: float | None = None) -> None:
        """A row of seconds. What is judged is the longest."""
        most = max(samples)
        figures = (awaited, str(len(samples)), f"{quantile(samples, 0.5):.2f}", f"{most:.2f}")
        judged = ("", None) if reach is None else (f"≤ {reach:g}", most <= reach)
        self.rows.append(Row(fault, figures, most, *judged))
        print(f"  {fault or '…'}: {awaited}: {' '.join(f'{each:.2f}' for each in samples)} s", flush=True)
        self.samples[f"{fault}: {awaited}"] = samples

    def count(self, fault: str, counted: str, samples: list[float]) -> None:
        """A row of counts, of which there must be none."""
        figures = (counted, str(len(samples)), f"{quantile(samples, 0.5):g}", f"{max(samples):g}")
        self.rows.append(Row(fault, figures, max(samples), "0", max(samples) == 0))
        self.samples[f"{fault}: {counted}"] = samples

    def result(self) -> Result:
        """The table."""
        return Result(
            title="Recovery (seconds; the longest is judged)",
            columns=("waited for", "n", "p50", "max"),
            rows=tuple(self.rows),
            notes=(
                f"“{NEXT}”: asked at the moment of the fault, less what an undisturbed create takes (first row).",
                "PROVISIONED: when PostgreSQL writes the event. supervisord starts killed roles again at once.",
                *self.notes,
            ),
            samples=self.samples,
        )


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    parts = arguments.only or PARTS
    console, findings = Console(highlight=False), Findings()
    measured = machine.describe()
    try:
        if {"roles", "broker", "node", "database"} & set(parts):
            with _lab(NODES) as lab:
                with connect(lab.socket("node-01")) as lxd:
                    measured |= machine.describe_lxd(lxd)
                asyncio.run(_lab_parts(lab, parts, arguments, findings))
        for _ in range(arguments.promotions - 1 if "database" in parts else 0):
            with _lab(1) as lab:
                asyncio.run(_promote(lab, findings))
        _add_promotions(findings)
        if "reconnect" in parts:
            with in_short_directory(lambda path: Fleet(path, arguments.nodes)) as fleet:
                fleet.up(Screen())
                asyncio.run(_reconnect(fleet, arguments.rounds, findings))
    except EmbeddedError as failure:
        print(failure, file=sys.stderr)
        return 1
    measured["load after"] = machine.load()
    console.print("\n" + machine.in_words(measured), soft_wrap=True)
    findings.result().show(console)
    console.print(f"\nKept in {keep('failover', measured, [findings.result()])}", soft_wrap=True)
    return 0


async def _lab_parts(lab: Lab, parts: Sequence[str], arguments: argparse.Namespace, findings: Findings) -> None:
    async with _drilling(lab) as (drill, store):
        if "roles" in parts:
            for role in CONTROL_PLANE:
                findings.add(
                    f"kill -9 {role}, sibling", NEXT, await drill.role(role, arguments.rounds, sibling=True), ROLE_REACH
                )
            findings.add("kill -9 controller, leading", "another leads", drill.takeovers, ROLE_REACH)
            for role in CONTROL_PLANE:
                findings.add(
                    f"kill -9 {role}, the only one", NEXT, await drill.role(role, arguments.rounds, sibling=False)
                )
        if "broker" in parts:
            samples = await drill.broker_leader(arguments.rounds)
            findings.add("kill -9 RabbitMQ's leader", NEXT, samples, BROKER_REACH)
        if "node" in parts:
            async with Client(",".join(lab.api_urls), lab.token) as client:
                samples_of = await machine_death.measure(lab, store, client, arguments.rounds)
            findings.add("a real node dies", machine_death.TOTAL, samples_of[machine_death.TOTAL], NODE_REACH)
            for step in machine_death.STEPS:
                findings.add("", step, samples_of[step])
        if "database" in parts:
            await _promotion(drill, findings)
        if drill.undisturbed:
            findings.add("nothing", "create PROVISIONED", drill.undisturbed)
            findings.rows.insert(0, findings.rows.pop())


async def _promote(lab: Lab, findings: Findings) -> None:
    async with _drilling(lab) as (drill, _):
        await _promotion(drill, findings)


async def _promotion(drill: Drill, findings: Findings) -> None:
    whole, itself = await drill.promotion()
    findings.samples.setdefault("promotion", []).append(whole)
    findings.samples.setdefault("promotion itself", []).append(itself)


def _add_promotions(findings: Findings) -> None:
    if "promotion" in findings.samples:
        fault = "PostgreSQL's standby promoted"
        findings.add(fault, NEXT, findings.samples.pop("promotion"), PROMOTION_REACH)
        findings.add("", "promotion itself", findings.samples.pop("promotion itself"))


async def _reconnect(fleet: Fleet, rounds: int, findings: Findings) -> None:
    store = Store(fleet.database_url)
    samples, usage = await reconnect.measure(fleet, store, rounds)
    await store.close()
    fault = f"kill -9 RabbitMQ, {len(fleet.nodes)} nodes"
    findings.add(fault, reconnect.FROM_BROKER, samples[reconnect.FROM_BROKER], FLEET_REACH)
    for name in (reconnect.BROKER, reconnect.ALL_BACK, reconnect.CREATE):
        findings.add("", name, samples[name])
    findings.count("", reconnect.DOWN, samples[reconnect.DOWN])
    for name, figures in usage.items():
        before, most, cpu = (max(figures[key]) for key in ("before", "most", "cpu"))
        findings.notes.append(
            f"{name}: {before:.0f} MiB before, {most:.0f} MiB at most, {cpu:.1f} s of a core until all were back"
        )


@asynccontextmanager
async def _drilling(lab: Lab) -> AsyncIterator[tuple[Drill, Store]]:
    store = Store(lab.database_url)
    try:
        yield Drill(lab, Probe(store, lab.api_urls, lab.token)), store
    finally:
        await store.close()


@contextmanager
def _lab(nodes: int) -> Iterator[Lab]:
    with in_short_directory(Lab) as lab:
        lab.up(nodes, Screen(), ha=True)
        yield lab


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failover", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this; may be repeated")
    parser.add_argument("--rounds", type=int, default=4, help="how often each fault happens (default: 4)")
    parser.add_argument("--promotions", type=int, default=2, help="promotions, each in a lab of its own (default: 2)")
    parser.add_argument("--nodes", type=int, default=500, help="simulated nodes that reconnect (default: 500)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

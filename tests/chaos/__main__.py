"""`python -m chaos`: one seeded run, its table, and exit status 1 with each violation in words."""

import argparse
import asyncio
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chaos.conduct import Settings, Verdict, conduct
from chaos.real import SETTINGS, Real
from chaos.simulated import Simulated
from chaos.stage import Stage
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.postgres import binary

RESULTS = Path(__file__).parent / "results"
#: Violations that are told in words; the rest is in the file.
TOLD = 40
UP_TRIES = 3


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    for name in ("aio_pika", "aiormq"):  # they tell at length of what was broken on purpose
        logging.getLogger(name).setLevel(logging.CRITICAL)
    console = Console(highlight=False, soft_wrap=True)
    fleets = ("simulated", "lab") if arguments.fleet == "both" else (arguments.fleet,)
    # One after the other, and all of them: what one finds does not hide what the next would.
    return max([_one(fleet, arguments, console) for fleet in fleets])


def _one(fleet: str, arguments: argparse.Namespace, console: Console) -> int:
    # A short path, for the sockets in it; service accounts may pass.
    record = Path(tempfile.mkdtemp(prefix="pf-chaos-"))
    record.chmod(0o711)
    settings = Settings(arguments.seed, arguments.minutes * 60, arguments.rate, arguments.pause, arguments.settle)
    if fleet == "lab":
        verdict = run_lab(settings, record)
    else:
        verdict = run_simulated(settings, record, arguments.nodes, arguments.hosts)
    path = _keep(verdict)
    show(verdict, console)
    console.print(f"Kept in {path}")
    if verdict.violations:
        console.print(f"Logs and evidence stay in {record}")
        return 1
    shutil.rmtree(record, ignore_errors=True)
    return 0


def run_simulated(settings: Settings, record: Path, nodes: int, hosts: int) -> Verdict:
    """A run on a simulated stage of its own, in `record`."""
    stage = Stage(record / "stage", nodes, hosts)
    try:
        stage.up()
        return _traced(asyncio.run(conduct(Simulated(stage, record), settings, record)), stage.database_url, record)
    finally:
        stage.down()


def run_lab(settings: Settings, record: Path) -> Verdict:
    """A run on a lab of its own, in `record`."""
    lab = Lab(record / "lab", SETTINGS)
    try:
        _up(lab)
        verdict = asyncio.run(conduct(Real(lab, record), settings, record))
        if verdict.violations:
            shutil.copytree(lab.home.logs, record / "logs")  # the lab leaves nothing
        return _traced(verdict, lab.database_url, record)
    finally:
        lab.down()


def _traced(verdict: Verdict, database_url: str, record: Path) -> Verdict:
    """Where something is wrong, keep what the store says."""
    if verdict.violations:
        url = database_url.replace("+asyncpg", "").split("?")[0]
        with (record / "database.sql").open("wb") as file:
            subprocess.run([binary("pg_dump"), "--dbname", url], stdout=file, check=False)
    return verdict


def _up(lab: Lab) -> None:
    """Start it; where the machine is too busy for its patience, again: what runs already is left running."""
    for _ in range(UP_TRIES - 1):
        try:
            return lab.up(nodes=3)
        except EmbeddedError as failure:
            sys.stderr.write(f"again: {failure}\n")
    return lab.up(nodes=3)


def show(verdict: Verdict, console: Console) -> None:
    """The table, and each violation in words."""
    settings = verdict.settings
    table = Table("what", "", title=f"chaos on the {verdict.fleet} fleet, seed {settings.seed}, {settings.seconds:g} s")
    rows = {
        "faults": _counted(verdict.faults),
        "requests": _counted(verdict.requests),
        "of deployments": _counted(verdict.demands),
        "tries": str(verdict.tries),
        "messages copied, held back": f"{verdict.copied}, {verdict.held}",
        "containers, events": f"{verdict.containers}, {verdict.events}",
        "settled after": "not" if verdict.settled_seconds is None else f"{verdict.settled_seconds} s",
        "violations": str(len(verdict.violations)),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    for violation in verdict.violations[:TOLD]:
        console.print(f"seed {settings.seed}: {violation.rule}: {violation.subject}: {violation.words}")
    if len(verdict.violations) > TOLD:
        console.print(f"… and {len(verdict.violations) - TOLD} more")


def _counted(counts: Counter[str]) -> str:
    return f"{counts.total()}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _keep(verdict: Verdict) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{verdict.fleet}-{verdict.settings.seed}.json"
    path.write_text(json.dumps(verdict.as_json(), indent=1, ensure_ascii=False) + "\n")
    return path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what everything random follows from (default: 1)")
    parser.add_argument("--minutes", type=float, default=5, help="how long things are broken (default: 5)")
    parser.add_argument("--fleet", choices=("simulated", "lab", "both"), default="both", help="which (default: both)")
    parser.add_argument("--nodes", type=int, default=200, help="simulated nodes (default: 200)")
    parser.add_argument("--hosts", type=int, default=4, help="processes their agents share (default: 4)")
    parser.add_argument("--rate", type=float, default=10, help="requests a second (default: 10)")
    parser.add_argument("--pause", type=float, default=1.5, help="mean seconds between faults (default: 1.5)")
    parser.add_argument("--settle", type=float, default=90, help="seconds to settle in, at most (default: 90)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

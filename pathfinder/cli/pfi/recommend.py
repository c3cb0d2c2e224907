"""`pfi recommend`: how large replicas should be, by what they have used."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pathfinder.cli.pfi.options import ResultOption, ResultOutput
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import harmless, has_colour, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.domain.autoscaling_views import Recommendation, ResourceAdvice
from pathfinder.domain.resources import format_bytes, format_cpu

app = group("Recommend how large replicas should be.")

Row = tuple[str, ResourceAdvice, Callable[[float | None], str | None]]


@app.callback()
def recommend() -> None:
    """Recommend how large replicas should be."""


def _cores(millicores: float | None) -> str | None:
    return format_cpu(round(millicores)) if millicores is not None else None


def _size(amount: float | None) -> str | None:
    return format_bytes(round(amount)) if amount is not None else None


ADVICE: Columns[Row] = (
    Column("RESOURCE", lambda it: it[0]),
    Column("ASKED", lambda it: it[2](it[1].asked) if it[1].asked else None),
    Column("P95", lambda it: it[2](it[1].p95)),
    Column("MOST", lambda it: it[2](it[1].most)),
    Column("RECOMMENDED", lambda it: it[2](it[1].recommended)),
    Column("", lambda it: it[1].words),
)


@app.command(epilog="Example: pfi recommend deployment web --days 14")
def deployment(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    days: Annotated[float, typer.Option(metavar="N", help="What was used in so many last days.", min=1, max=90)] = 7,
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Tell what each replica of a deployment should ask for: the 95th percentile of its busiest, and 15% more."""
    found = run(ctx, lambda client: client.autoscaling.recommend(name, days=days))
    if output is ResultOutput.TEXT:
        say("\n".join(told(found)))
    elif output is ResultOutput.NAME:
        say(harmless(found.deployment))
    else:
        documents([found], output, single=True)


def told(found: Recommendation) -> list[str]:
    """The recommendation as lines."""
    rows: list[Row] = [("cpu", found.cpu, _cores), ("memory", found.memory, _size)]
    hours = max(found.cpu.samples, found.memory.samples) / 12
    head = f"deployment {found.deployment}, by its busiest replica in {hours:.0f} recorded hours"
    return [harmless(head), "", *Table(ADVICE, colour=has_colour(sys.stdout)).render(rows)]

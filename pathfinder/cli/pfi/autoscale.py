"""`pfi autoscale simulate`: a load that was recorded, played through scaling rules, here and without a server."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

from pathfinder.cli.pfi import written
from pathfinder.cli.pfi.failures import Failed
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.table import Column, Columns
from pathfinder.cli.pfi.terminal import note
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.words import span
from pathfinder.controllers.scaling_trace import Course, Trace, by_plain_ratio, by_rules, read, run
from pathfinder.domain.autoscaling import Autoscaling
from pathfinder.domain.fields import field_path, words

#: More than anybody wants to look at: four weeks of looks each 15 s.
MOST_LOOKS = 200_000

app = group("Try how a deployment would be scaled.")


@app.callback()
def autoscale() -> None:
    """Try how a deployment would be scaled."""


class Played(BaseModel):
    """How a trace went by one rule."""

    rule: str
    changes: int
    reversals: int
    least: int
    most: int
    short_seconds: float
    short_share: float
    replica_hours: float


RESULTS: Columns[Played] = (
    Column("RULE", lambda it: it.rule),
    Column("REPLICAS", lambda it: f"{it.least}-{it.most}"),
    Column("CHANGES", lambda it: str(it.changes)),
    Column("REVERSALS", lambda it: str(it.reversals)),
    Column("TIME SHORT", lambda it: f"{span(it.short_seconds)} ({it.short_share:.1%})"),
    Column("REPLICA HOURS", lambda it: f"{it.replica_hours:.1f}"),
)


@app.command(epilog="Example: pfi autoscale simulate --trace load.csv --policy web.yaml --plot web.png")
def simulate(
    trace: Annotated[
        Path, typer.Option(metavar="FILE", help="CSV with a heading: seconds, and a column for each metric.")
    ],
    policy: Annotated[str, typer.Option(metavar="FILE", help="YAML or JSON: `autoscaling`, or a Deployment with it.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw it: .png, .svg or .pdf.", dir_okay=False)
    ] = None,
    ready_after: Annotated[
        float, typer.Option(metavar="SECONDS", help="What a new replica takes until it serves.", min=0)
    ] = 30.0,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Time between looks.", min=1)] = 15.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Play a load through scaling rules, beside the plain ratio without any care. Needs no server, and changes nothing.

    A column is all that there is to do, in the unit of its metric: cpu 350 keeps three and a half replicas busy. TIME
    SHORT is how long fewer were ready than keep each at its target, with the tolerance.
    """
    if plot is not None:
        from pathfinder.cli.pfi import plotting  # before any work: it says what is missing

        plotting.check(plot)
    rules, load = _rules(policy), _trace(trace)
    if (load.at[-1] - load.at[0]) / every > MOST_LOOKS:
        raise Failed(f"{trace} is too long: that would be more than {MOST_LOOKS} looks; give --every, or a shorter one")
    name = "forecast" if rules.predictive and rules.predictive.enabled else "policy"
    played = {
        called: run(rules, load, rule(rules, load), step_seconds=every, ready_after_seconds=ready_after)
        for called, rule in ((name, by_rules), ("plain ratio", by_plain_ratio))
    }
    results = [_told(called, course) for called, course in played.items()]
    show(results, Shape(narrow=RESULTS, wide=RESULTS, name=lambda it: it.rule), output)
    if plot is not None:
        from pathfinder.cli.pfi import plotting_scaling

        plotting_scaling.draw(rules, played, plot)
        note(f"drawn: {plot}")


def _told(rule: str, course: Course) -> Played:
    length = len(course.at) * course.step_seconds
    return Played(
        rule=rule,
        changes=course.changes,
        reversals=course.reversals,
        least=min(course.wanted),
        most=max(course.wanted),
        short_seconds=course.short_seconds,
        short_share=course.short_seconds / length,
        replica_hours=course.replica_seconds / 3600,
    )


def _rules(file: str) -> Autoscaling:
    found = written.documents(file)
    if len(found) != 1:
        raise Failed(f"{file} holds {len(found)} documents; one is wanted, with the rules of one deployment")
    content: Any = found[0].content
    within: Sequence[str] = ()
    if isinstance(content, dict) and "autoscaling" in content:
        content, within = content["autoscaling"], ("autoscaling",)
    try:
        return Autoscaling.model_validate(content)
    except ValidationError as error:
        problems = [(field_path((*within, *one["loc"])), words(dict(one))) for one in error.errors()[:50]]
        raise Failed(
            f"the scaling rules in {file} cannot be used", details=tuple(found[0].details(problems))
        ) from error


def _trace(file: Path) -> Trace:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return read(list(csv.DictReader(stream, skipinitialspace=True)))
    except OSError as error:
        raise Failed(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from error
    except (csv.Error, ValueError) as error:
        raise Failed(f"{file} is no trace: {error}") from error

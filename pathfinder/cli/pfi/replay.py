"""`pfi policy replay`: what was recorded, run through policies side by side."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import harmless, has_colour, note, say
from pathfinder.cli.pfi.words import moment, span
from pathfinder.domain.views import PolicyReplay, Replay


def _share(value: float) -> str:
    return f"{value:.1%}"


def _seconds(value: float) -> str:
    return span(value) if value >= 1 else f"{value:.0f}s"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


RESULTS: Columns[PolicyReplay] = (
    Column("POLICY", lambda it: f"{it.policy}@{it.version}"),
    Column("NODES NEEDED", lambda it: f"{it.needed.nodes} of {it.needed.of}"),
    Column("TRIALS", lambda it: f"{it.needed.least}-{it.needed.most}"),
    Column("IMBALANCE", lambda it: _share(it.imbalance)),
    Column("STRANDED CPU", lambda it: _share(it.stranded_cpu)),
    Column("STRANDED MEMORY", lambda it: _share(it.stranded_memory)),
    Column("PENDING P50", lambda it: _seconds(it.pending_p50_seconds)),
    Column("P99", lambda it: _seconds(it.pending_p99_seconds)),
    Column("NEVER PLACED", lambda it: str(it.never_placed)),
    Column("DECISION", lambda it: _time(it.decision_seconds)),
)
RESULTS_WIDE: Columns[PolicyReplay] = (
    *RESULTS,
    Column("CPU CLAIMED", lambda it: _share(it.cpu)),
    Column("MEMORY CLAIMED", lambda it: _share(it.memory)),
    Column("NODES USED", lambda it: f"{it.nodes_used:.1f}"),
    Column("PEAK", lambda it: f"{it.needed.containers} containers at {moment(it.needed.at)}"),
)


def replay(
    ctx: typer.Context,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From when on: so long ago (24h, 7d), or a moment.")
    ] = "24h",
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Policy to compare; may be repeated. Else the built-in ones."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw it: .png, .svg or .pdf.", dir_okay=False)
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="How often nodes are taken away in another order; else 11.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="What ties are broken by.", min=0)] = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run what this cluster was asked for through policies, and compare how each would have done. Nothing is changed.

    NODES NEEDED is the fewest nodes the peak would have fitted on, TRIALS from the luckiest to the unluckiest order in
    which nodes were taken away. IMBALANCE is how unevenly nodes were filled; STRANDED what was free of one resource
    where the other was gone.
    """
    start = parsing.moment(since)
    if plot is not None:
        from pathfinder.cli.pfi import plotting  # before anything is asked for: it says what is missing

        plotting.check(plot)
    found = run(ctx, lambda client: client.replays.create(start, policy or (), trials=trials, seed=seed))
    if output in (Output.JSON, Output.YAML):
        documents([found], output, single=True)
    elif output is Output.NAME:
        say(harmless(best(found).policy))
    else:
        columns = RESULTS_WIDE if output is Output.WIDE else RESULTS
        say(
            "\n".join(
                [*map(harmless, told(found)), "", *Table(columns, colour=has_colour(sys.stdout)).render(found.policies)]
            )
        )
    if plot is not None:
        plotting.draw(found, plot)
        note(f"drawn: {plot}")


def told(found: Replay) -> list[str]:
    """What was replayed, as lines."""
    length = span((found.until - found.since).total_seconds())
    lines = [
        f"cluster {found.cluster}, {length} since {moment(found.since)}: {found.nodes} nodes, {found.containers} "
        f"containers, of which {found.came} came and {found.went} went"
    ]
    if found.share < 1:
        share = f"{found.share:.1%}"
        lines.append(f"a sample: {share} of the containers on {share} of the nodes; all counts are of the sample")
    if found.forgotten:
        lines.append(f"left out: {found.forgotten} whose sizes are not recorded any more")
    return lines


def best(found: Replay) -> PolicyReplay:
    """The policy that needs the fewest nodes, after those that leave the fewest without a place."""
    return min(found.policies, key=lambda one: (one.never_placed, one.needed.nodes, one.pending_p99_seconds))

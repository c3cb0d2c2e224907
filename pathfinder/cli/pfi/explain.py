"""`pfi explain`: why a container is where it is, or why it is nowhere yet."""

from collections.abc import Mapping
from typing import Any

import typer

from pathfinder.cli.pfi.options import ContainerName, ResultOption, ResultOutput
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.words import moment
from pathfinder.domain.views import Explanation, Rejection

app = group("Explain a container's placement.")

Candidate = Mapping[str, Any]

REJECTIONS: Columns[Rejection] = (
    Column("FILTER", lambda it: it.filter),
    Column("NODES REJECTED", lambda it: str(it.nodes)),
    Column("REASON", lambda it: it.reason),
)


@app.callback()
def explain() -> None:
    """Explain a container's placement."""


@app.command()
def container(ctx: typer.Context, name: ContainerName, output: ResultOption = ResultOutput.TEXT) -> None:
    """Tell why a container is on its node, or why no node takes it."""
    explanation = run(ctx, lambda client: client.containers.explain(name))
    if output is ResultOutput.TEXT:
        say("\n".join(told(explanation)))
    elif output is ResultOutput.NAME:
        say(explanation.node or "-")
    else:
        documents([explanation], output, single=True)


def told(explanation: Explanation) -> list[str]:
    """The explanation as lines."""
    where = f" on {explanation.node}" if explanation.node else ""
    lines = [harmless(f"{explanation.hostname} is {explanation.status}{where}: {explanation.message}")]
    if explanation.decided_at is not None:
        policy = f"policy {explanation.policy}, " if explanation.policy else ""
        count = explanation.nodes_considered
        nodes = f"{count} node{'' if count == 1 else 's'} considered"
        lines.append(f"Decided {moment(explanation.decided_at)}, {policy}{nodes}.")
    if explanation.rejections:
        lines += ["", *Table(REJECTIONS).render(explanation.rejections)]
    if explanation.candidates:
        lines += ["", *Table(_candidate_columns(explanation.candidates)).render(explanation.candidates)]
    return lines


def _candidate_columns(candidates: list[dict[str, Any]]) -> Columns[Candidate]:
    """The node, its score, and a column for each scorer that took part."""

    def scorer(name: str) -> Column[Candidate]:
        return Column(name.upper(), lambda it: _number(it["scores"].get(name)))

    return (
        Column("NODE", lambda it: str(it["node"])),
        Column("SCORE", lambda it: _number(it["score"])),
        *map(scorer, candidates[0]["scores"]),
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"

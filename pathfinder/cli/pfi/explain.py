"""`pfi explain`: why a container is where it is, or nowhere yet; why a deployment has so many replicas."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import typer

from pathfinder.cli.pfi import scaling
from pathfinder.cli.pfi.describe import asked
from pathfinder.cli.pfi.options import ContainerName, ResultOption, ResultOutput
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.words import amounts, moment, node_name
from pathfinder.client import Client
from pathfinder.domain.views import Container, Explanation, Rejection

app = group("Explain a container's placement, or a deployment's scaling.")

Candidate = Mapping[str, Any]

REJECTIONS: Columns[Rejection] = (
    Column("FILTER", lambda it: it.filter),
    Column("NODES REJECTED", lambda it: str(it.nodes)),
    Column("REASON", lambda it: it.reason),
)


@app.callback()
def explain() -> None:
    """Explain a container's placement, or a deployment's scaling."""


@app.command()
def container(ctx: typer.Context, name: ContainerName, output: ResultOption = ResultOutput.TEXT) -> None:
    """Tell why a container is on its node, or why no node takes it."""
    explanation, asked_for = run(ctx, lambda client: _both(client, name))
    if output is ResultOutput.TEXT:
        say("\n".join(told(explanation, asked_for)))
    elif output is ResultOutput.NAME:
        say(explanation.node or "-")
    else:
        documents([explanation], output, single=True)


@app.command(epilog="Example: pfi explain autoscaling web")
def autoscaling(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The deployment.")],
    limit: Annotated[int, typer.Option(metavar="N", help="So many of the latest decisions.", min=1, max=500)] = 20,
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Tell how a deployment is scaled by itself, and why it has as many replicas as it has."""
    found = run(ctx, lambda client: client.autoscaling.get(name, limit=limit))
    if output is ResultOutput.TEXT:
        say("\n".join(scaling.told(found)))
    elif output is ResultOutput.NAME:
        say(str(found.replicas))
    else:
        documents([found], output, single=True)


async def _both(client: Client, name: str) -> tuple[Explanation, Container]:
    return await client.containers.explain(name), await client.containers.get(name)


def told(it: Explanation, container: Container) -> list[str]:
    """The explanation as lines."""
    where = f" on {node_name(it.node, it.node in it.simulated)}" if it.node else ""
    lines = [harmless(f"{it.hostname} is {it.status}{where}: {it.message}")]
    wishes = [f"{name[0].lower()}{name[1:]} {value}" for name, value in asked(container)]
    lines.append(harmless("Asked for: " + "; ".join([amounts(container.resources), *wishes])))
    if it.decided_at is not None:
        lines.append(f"Decided {moment(it.decided_at)}" + (f", {_how(it)}." if it.policy else "."))
    lines += [harmless(f"Left out: {one}") for one in it.skipped]
    if it.candidates:
        lines += ["", *Table(candidate_columns(it.candidates, it.weights, it.simulated)).render(it.candidates)]
    if it.rejections:
        lines += ["", *Table(REJECTIONS).render(it.rejections)]
        if not it.candidates:
            lines += ["", harmless(_help(it.rejections))]
    return lines


def _how(it: Explanation) -> str:
    nodes = f"{it.nodes_considered} node{'' if it.nodes_considered == 1 else 's'} considered"
    again = f"; recomputed: {'same' if it.recomputed == it.node else it.recomputed}" if it.candidates else ""
    return f"policy {it.policy}@{it.policy_version or 0}, seed {it.seed}, {nodes}{again}"


def _help(rejections: list[Rejection]) -> str:
    """What keeps most nodes from it, and after which events it is tried again."""
    most = max(rejections, key=lambda one: one.nodes)
    kinds = {kind for one in rejections for kind in one.wakes} if all(one.wakes for one in rejections) else set()
    again = f"one of {', '.join(sorted(kinds))}" if kinds else "any change of the cluster"
    return f"Most nodes, {most.nodes}, are rejected by {most.filter}: {most.reason}. It is tried again after {again}."


def candidate_columns(
    candidates: Sequence[Candidate], weights: Mapping[str, float], simulated: Collection[str]
) -> Columns[Candidate]:
    """The node, its score, a column for each scorer that took part, and its turn where scores are equal."""

    def scorer(name: str) -> Column[Candidate]:
        weight = f" x{weights[name]:g}" if name in weights else ""
        return Column(name.upper() + weight, lambda one: _number(one["scores"].get(name)))

    equal = len({one["score"] for one in candidates}) < len(candidates)
    turn = (Column[Candidate]("TURN", lambda one: str(one.get("turn", "-"))),) if equal else ()
    return (
        Column("NODE", lambda one: node_name(str(one["node"]), one["node"] in simulated)),
        Column("SCORE", lambda one: _number(one["score"])),
        *map(scorer, candidates[0]["scores"]),
        *turn,
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"

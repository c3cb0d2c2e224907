"""`pfi resilience`: what would happen if a node or a zone died now."""

import sys

import typer

from pathfinder.cli.pfi.failures import ExitCode
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import Colour, harmless, has_colour, say
from pathfinder.cli.pfi.verbs import single
from pathfinder.cli.pfi.words import node_name
from pathfinder.domain.views import Loss, Resilience

app = single()


def _colour(it: Loss) -> Colour:
    return Colour.BAD if it.waiting else Colour.GOOD


def _columns(found: Resilience, *, wide: bool) -> Columns[Loss]:
    def name(it: Loss) -> str:
        return f"{it.domain} {node_name(it.name, it.domain == 'node' and it.name in found.simulated)}"

    return (
        Column("IF THIS DIED", name),
        Column("CONTAINERS", lambda it: str(it.containers)),
        Column("WOULD WAIT", lambda it: str(it.waiting), _colour),
        Column("STATEFUL", lambda it: str(it.stateful)),
        *((Column[Loss]("NODES", lambda it: str(it.nodes)),) if wide else ()),
    )


@app.command()
def resilience(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Tell whether everything would fit elsewhere if any one node died now; exit code 0 if so, 8 if not.

    The table has the zones, and the nodes whose death would leave containers without a place; -o wide has every node.
    """
    found = run(ctx, lambda client: client.resilience.get())
    if output in (Output.JSON, Output.YAML):
        documents([found], output, single=True)
    elif output is Output.NAME:
        for loss in found.losses:
            if loss.waiting:
                say(harmless(loss.name))
    else:
        for sentence in _sentences(found):
            say(harmless(sentence))
        shown = [one for one in found.losses if output is Output.WIDE or one.waiting or one.domain == "zone"]
        if shown:
            columns = _columns(found, wide=output is Output.WIDE)
            say("\n".join(["", *Table(columns, colour=has_colour(sys.stdout)).render(shown)]))
    if not found.survives_any_node:
        raise typer.Exit(ExitCode.WOULD_WAIT)


def _sentences(found: Resilience) -> list[str]:
    nodes = [one for one in found.losses if one.domain == "node"]
    worst = max((one.waiting for one in nodes), default=0)
    bad = sum(one.waiting > 0 for one in nodes)
    said = "yes" if not bad else f"no: {bad} of {len(nodes)} nodes, up to {worst} containers would wait"
    lines = [f"any 1 node: {said}"]
    for zone in (one for one in found.losses if one.domain == "zone"):
        lines.append(f"zone {zone.name}: " + (f"{zone.waiting} containers would wait" if zone.waiting else "yes"))
    if stateful := sum(one.stateful for one in nodes):
        lines.append(f"{stateful} stateful containers would wait for their own node in any case")
    return lines

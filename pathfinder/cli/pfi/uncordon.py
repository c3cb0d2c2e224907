"""`pfi uncordon`: allow new placements on a node again."""

from collections.abc import Sequence

import typer

from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.options import NodeNames
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client

app = group("Allow new placements on a node again.")


@app.callback()
def uncordon() -> None:
    """Allow new placements on a node again."""


@app.command()
def node(ctx: typer.Context, names: NodeNames) -> None:
    """Allow new placements on nodes again."""
    run(ctx, lambda client: _uncordon(client, names))


async def _uncordon(client: Client, names: Sequence[str]) -> None:
    nodes, failed = await each(names, client.nodes.uncordon)
    for node in nodes:
        say(f"node {node.hostname} is open for new containers")
    if failed:
        raise typer.Exit(failed)

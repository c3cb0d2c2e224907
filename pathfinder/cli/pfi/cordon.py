"""`pfi cordon`: stop new placements on a node."""

from collections.abc import Sequence

import typer

from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.options import NodeNames
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client

app = group("Stop new placements on a node.")


@app.callback()
def cordon() -> None:
    """Stop new placements on a node."""


@app.command()
def node(ctx: typer.Context, names: NodeNames) -> None:
    """Stop new placements on nodes; what is there stays."""
    run(ctx, lambda client: _cordon(client, names))


async def _cordon(client: Client, names: Sequence[str]) -> None:
    nodes, failed = await each(names, client.nodes.cordon)
    for node in nodes:
        say(f"node {node.hostname} is cordoned: nothing new is placed on it")
    if failed:
        raise typer.Exit(failed)

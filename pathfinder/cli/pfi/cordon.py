"""`pfi cordon`: stop new placements on a node."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.options import NodeNames
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.words import moment
from pathfinder.client import Client

app = group("Stop new placements on a node.")


@app.callback()
def cordon() -> None:
    """Stop new placements on a node."""


@app.command(epilog="Example: pfi cordon node node-07 --reboot-within 5m")
def node(
    ctx: typer.Context,
    names: NodeNames,
    reboot_within: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="The node may be silent for so long (5m) before its containers are placed anew."
        ),
    ] = None,
) -> None:
    """Stop new placements on nodes; what is there stays."""
    seconds = parsing.duration(reboot_within) if reboot_within is not None else None
    run(ctx, lambda client: _cordon(client, names, seconds))


async def _cordon(client: Client, names: Sequence[str], seconds: float | None) -> None:
    nodes, failed = await each(names, partial(client.nodes.cordon, reboot_within=seconds))
    for node in nodes:
        say(f"node {node.hostname} is cordoned: nothing new is placed on it")
        if node.reboot_until is not None:
            say(f"it may be silent until {moment(node.reboot_until)}; then `pfi uncordon node {node.hostname}`")
    if failed:
        raise typer.Exit(failed)

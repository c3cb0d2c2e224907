"""`pfi rebootstrap`: have a container's bootstrappers carried out again."""

import sys
from typing import Annotated

import typer

from pathfinder.cli.pfi import completion, parsing
from pathfinder.cli.pfi.options import ResultOption, ResultOutput, TimeoutOption, WaitOption
from pathfinder.cli.pfi.progress import display
from pathfinder.cli.pfi.result import tell
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.verbs import single
from pathfinder.cli.pfi.waiting import BOOTSTRAPPED, newest
from pathfinder.cli.pfi.waiting import wait as wait_for
from pathfinder.client import Client

app = single()


@app.command()
def rebootstrap(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.containers)],
    wait: WaitOption = False,
    timeout: TimeoutOption = "10m",
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Carry out a container's bootstrappers again, from the first."""
    seconds = parsing.duration(timeout)
    run(ctx, lambda client: _rebootstrap(client, name, output, seconds if wait else None))


async def _rebootstrap(client: Client, name: str, output: ResultOutput, seconds: float | None) -> None:
    # Where its events end now: the wait must not take the end of an earlier run for this one's.
    cursor = await newest(client, await client.containers.get(name)) if seconds is not None else ""
    container = await client.containers.rebootstrap(name)
    if seconds is not None:
        with display(sys.stdout if output is ResultOutput.TEXT else sys.stderr) as shown:
            await wait_for(client, container, BOOTSTRAPPED, display=shown, seconds=seconds, cursor=cursor)
        container = await client.containers.get(name)
    tell([container], output)

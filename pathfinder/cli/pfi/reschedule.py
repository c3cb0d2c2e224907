"""`pfi reschedule`: a new placement for a container."""

import sys

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.options import ContainerName, ResultOption, ResultOutput, TimeoutOption, WaitOption
from pathfinder.cli.pfi.progress import display
from pathfinder.cli.pfi.result import tell
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.waiting import RUNNING, newest
from pathfinder.cli.pfi.waiting import wait as wait_for
from pathfinder.client import Client

app = group("Place a container anew.")


@app.callback()
def reschedule() -> None:
    """Place a container anew."""


@app.command()
def container(
    ctx: typer.Context,
    name: ContainerName,
    wait: WaitOption = False,
    timeout: TimeoutOption = "10m",
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Place a container anew: it is made again, from its image, on the node that suits it best now."""
    seconds = parsing.duration(timeout)
    run(ctx, lambda client: _reschedule(client, name, output, seconds if wait else None))


async def _reschedule(client: Client, name: str, output: ResultOutput, seconds: float | None) -> None:
    # Where its events end now: the wait must not take the end of an earlier placement for this one's.
    cursor = await newest(client, await client.containers.get(name)) if seconds is not None else ""
    container = await client.containers.reschedule(name)
    if seconds is not None:
        with display(sys.stdout if output is ResultOutput.TEXT else sys.stderr) as shown:
            await wait_for(client, container, RUNNING, display=shown, seconds=seconds, cursor=cursor)
        container = await client.containers.get(name)
    tell([container], output)

"""`pfi delete`: containers, nodes and webhooks."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.options import ContainerNames, NodeNames, TimeoutOption, WaitOption
from pathfinder.cli.pfi.progress import Lines
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.waiting import GONE
from pathfinder.cli.pfi.waiting import wait as wait_for
from pathfinder.client import Client
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.views import Container

app = group("Delete containers or webhooks, or forget nodes.")


@app.command()
def container(
    ctx: typer.Context, names: ContainerNames, wait: WaitOption = False, timeout: TimeoutOption = "10m"
) -> None:
    """Delete containers, with all that is on their disks."""
    seconds = parsing.duration(timeout)
    run(ctx, lambda client: _containers(client, names, seconds if wait else None))


@app.command()
def node(ctx: typer.Context, names: NodeNames) -> None:
    """Forget nodes that are gone or empty; refused while containers are on them."""
    run(ctx, lambda client: _nodes(client, names))


@app.command()
def webhook(ctx: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME")]) -> None:
    """Tell these webhooks of nothing any more."""
    run(ctx, lambda client: _webhooks(client, names))


async def _webhooks(client: Client, names: Sequence[str]) -> None:
    async def forget(name: str) -> None:
        await client.webhooks.delete(name)
        say(f"webhook {name} is deleted")

    _, failed = await each(names, forget)
    if failed:
        raise typer.Exit(failed)


async def _containers(client: Client, names: Sequence[str], seconds: float | None) -> None:
    deleted, failed = await each(names, client.containers.delete)
    if seconds is None:
        for container in deleted:
            say(f"container {container.hostname} is {container.status}")
    else:
        await _wait(client, deleted, seconds)
    if failed:
        raise typer.Exit(failed)


async def _wait(client: Client, containers: Sequence[Container], seconds: float) -> None:
    """Wait for all, one after another: their events are kept, so none that ends early is missed."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    for container in containers:
        if container.status is Status.DELETED:  # it had never been on a node
            say(f"{container.hostname}: deleted")
            continue
        left = max(0.0, deadline - clock())
        # Its history before the deletion is of no interest here, but its deletion may already be part of it.
        await wait_for(client, container, GONE, display=_Ends(sys.stdout), seconds=left)


class _Ends(Lines):
    """Only the end of a container's way."""

    def _is_news(self, event: object, text: str) -> bool:
        return text == "deleted"


async def _nodes(client: Client, names: Sequence[str]) -> None:
    async def forget(name: str) -> None:
        await client.nodes.delete(name)
        say(f"node {name} is deleted")

    _, failed = await each(names, forget)
    if failed:
        raise typer.Exit(failed)

"""`pfi delete`: containers, deployments, nodes and webhooks, and what files declare."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from pathfinder.cli.pfi import manifests, parsing
from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.failures import Usage
from pathfinder.cli.pfi.manifests import FilesOption, Manifest, of_kind
from pathfinder.cli.pfi.options import ContainerNames, DeploymentNames, NodeNames, TimeoutOption, WaitOption
from pathfinder.cli.pfi.progress import Lines
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, note, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.waiting import GONE
from pathfinder.cli.pfi.waiting import wait as wait_for
from pathfinder.client import ApiError, Client
from pathfinder.domain import meta
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.views import Container

HELP = "Delete containers, deployments or webhooks, or forget nodes."

app = group(HELP)


@app.callback(invoke_without_command=True, epilog="Example: pfi delete -f web.yaml", help=HELP)
def files(ctx: typer.Context, file: FilesOption = None) -> None:
    """Delete what files declare; what is not there is no mistake."""
    if ctx.invoked_subcommand is None:
        found = manifests.read(file)
        run(ctx, lambda client: _declared(client, found))
    elif file:
        raise Usage(f"--file and {ctx.invoked_subcommand} do not go together; give one or the other")


@app.command()
def deployment(ctx: typer.Context, names: DeploymentNames) -> None:
    """Delete deployments, with all their replicas."""
    run(ctx, lambda client: _deployments(client, names))


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


async def _declared(client: Client, found: Sequence[Manifest]) -> None:
    for one in of_kind(found, "Cluster"):
        note(harmless(f"cluster {one.name} stays: clusters are not deleted"))
    reads = {one.name: meta.reads(one.body["template"]) for one in of_kind(found, "Deployment")}
    readers_first = [("deployment", name) for name in reversed(meta.in_order(reads))]
    doomed = [*readers_first, *(("policy", one.name) for one in of_kind(found, "Policy"))]
    delete = {"deployment": client.deployments.delete, "policy": client.policies.delete}

    async def leave(one: tuple[str, str]) -> None:
        noun, name = one
        try:
            await delete[noun](name)
            say(harmless(f"{noun} {name} is {'being ' if noun == 'deployment' else ''}deleted"))
        except ApiError as refusal:
            if refusal.status != 404:
                raise
            say(harmless(f"{noun} {name} is not there"))

    _, failed = await each(doomed, leave)
    if failed:
        raise typer.Exit(failed)


async def _deployments(client: Client, names: Sequence[str]) -> None:
    async def leave(name: str) -> None:
        await client.deployments.delete(name)
        say(harmless(f"deployment {name} is being deleted"))

    _, failed = await each(names, leave)
    if failed:
        raise typer.Exit(failed)


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

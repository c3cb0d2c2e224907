"""`pfi create`: new containers and clusters."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.options import ResultOption, ResultOutput, TimeoutOption, WaitOption
from pathfinder.cli.pfi.progress import display
from pathfinder.cli.pfi.result import tell
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.waiting import RUNNING, wait
from pathfinder.client import Client
from pathfinder.client.connection import PATIENCE_SECONDS
from pathfinder.client.containers import Wishes

app = group("Create a container or a cluster.")


class Type(StrEnum):
    """May a container be started anew elsewhere?"""

    STATELESS = "stateless"
    STATEFUL = "stateful"


def _pairs(flag: str, *short: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, *short, metavar="KEY=VALUE", help=f"{text}; may be repeated.")
    return option


@app.command(
    epilog="Example: pfi create container web-01 --image ubuntu:26.04 --cpu 2 --memory 512MiB --label tier=web --wait"
)
def container(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its hostname.")],
    image: Annotated[
        str | None, typer.Option("--image", "-i", metavar="[REMOTE:]ALIAS", help="Image; else the cluster's default.")
    ] = None,
    cpu: Annotated[str | None, typer.Option(metavar="CORES", help="Cores (2, 0.5) or millicores (500m).")] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory, like 512MiB.")] = None,
    disk: Annotated[str | None, typer.Option(metavar="SIZE", help="Root disk, like 10GiB.")] = None,
    label: Annotated[list[str] | None, _pairs("--label", "-l", text="Label of the container")] = None,
    node_label: Annotated[list[str] | None, _pairs("--node-label", text="Label its node must have")] = None,
    config: Annotated[list[str] | None, _pairs("--config", "-c", text="LXD configuration")] = None,
    profile: Annotated[
        list[str] | None, typer.Option("--profile", "-p", metavar="NAME", help="LXD profile; may be repeated.")
    ] = None,
    kind: Annotated[
        Type | None, typer.Option("--type", case_sensitive=False, help="stateful: stays with its node's disk.")
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(metavar="N", help="Failed provisions before it is given up; 1: never tried again.")
    ] = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = "10m",
    retry: Annotated[
        bool, typer.Option("--retry/--no-retry", help="Wait a minute for a server with too much work waiting.")
    ] = True,
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Ask for a container. It starts as soon as a node can take it."""
    seconds = parsing.duration(timeout)
    wishes: Wishes = {}
    if image is not None:
        wishes["image"] = image
    if cpu is not None:
        wishes["cpu"] = cpu
    if memory is not None:
        wishes["memory"] = memory
    if disk is not None:
        wishes["disk"] = disk
    if label:
        wishes["labels"] = parsing.pairs(label)
    if node_label:
        wishes["node_labels"] = parsing.pairs(node_label)
    if config:
        wishes["config"] = parsing.pairs(config)
    if profile:
        wishes["profiles"] = profile
    if kind is not None:
        wishes["type"] = kind.value
    if max_attempts is not None:
        wishes["max_attempts"] = max_attempts
    run(
        ctx,
        lambda client: _create(client, name, wishes, output, seconds if wait else None),
        patience=PATIENCE_SECONDS if retry else 0,
    )


async def _create(client: Client, name: str, wishes: Wishes, output: ResultOutput, seconds: float | None) -> None:
    container = await client.containers.create(name, **wishes)
    if seconds is not None:
        with display(sys.stdout if output is ResultOutput.TEXT else sys.stderr) as shown:
            await wait(client, container, RUNNING, display=shown, seconds=seconds)
        container = await client.containers.get(name)
    tell(container, output)


@app.command()
def cluster(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="How containers are placed: spread, …")] = None,
    image: Annotated[
        str | None, typer.Option("--image", "-i", metavar="[REMOTE:]ALIAS", help="Image of containers that name none.")
    ] = None,
) -> None:
    """Make a cluster: a fleet of its own."""
    made = run(ctx, lambda client: client.clusters.create(name, policy=policy, default_image=image))
    say(f"cluster {made.name} is there, with policy {made.policy} and image {made.default_image}")

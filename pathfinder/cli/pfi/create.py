"""`pfi create`: new containers, clusters and webhooks."""

import asyncio
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing, placing
from pathfinder.cli.pfi.options import ResultOption, ResultOutput, TimeoutOption, WaitOption
from pathfinder.cli.pfi.progress import display
from pathfinder.cli.pfi.result import tell
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.waiting import BOOTSTRAPPED, RUNNING, wait
from pathfinder.client import Client
from pathfinder.client.connection import PATIENCE_SECONDS
from pathfinder.client.containers import Wishes
from pathfinder.domain.webhooks import Format

app = group("Create a container, a cluster or a webhook.")


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
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Its hostname; with several, one of each.")],
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
    limit_cpu: placing.LimitCpu = None,
    limit_memory: placing.LimitMemory = None,
    limit_disk: placing.LimitDisk = None,
    constraint: placing.Constraint = None,
    arch: placing.Arch = None,
    pool: placing.Pool = None,
    toleration: placing.Toleration = None,
    near: placing.Near = None,
    apart: placing.Apart = None,
    prefer_near: placing.PreferNear = None,
    prefer_apart: placing.PreferApart = None,
    spread: placing.Spread = None,
    prefer_spread: placing.PreferSpread = None,
    budget: placing.Budget = None,
    priority: placing.Priority = None,
    policy: placing.Policy = None,
    together: placing.Together = False,
    bootstrap_script: Annotated[
        list[Path] | None,
        typer.Option(
            "--bootstrap-script",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Script that is run in it once it runs; may be repeated.",
        ),
    ] = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = "10m",
    retry: Annotated[
        bool, typer.Option("--retry/--no-retry", help="Wait a minute for a server with too much work waiting.")
    ] = True,
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Ask for containers: all are accepted or none. Each starts as soon as a node can take it."""
    seconds = parsing.duration(timeout)
    wishes = wishes_of(
        image=image,
        cpu=cpu,
        memory=memory,
        disk=disk,
        label=label,
        node_label=node_label,
        config=config,
        profile=profile,
        kind=kind,
        max_attempts=max_attempts,
        limit_cpu=limit_cpu,
        limit_memory=limit_memory,
        limit_disk=limit_disk,
        constraint=constraint,
        arch=arch,
        pool=pool,
        toleration=toleration,
        near=near,
        apart=apart,
        prefer_near=prefer_near,
        prefer_apart=prefer_apart,
        spread=spread,
        prefer_spread=prefer_spread,
        budget=budget,
        priority=priority,
        policy=policy,
    )
    if bootstrap_script:
        wishes["bootstrappers"] = [
            {"type": "script", "name": path.name[:63], "script": path.read_text()} for path in bootstrap_script
        ]
    run(
        ctx,
        lambda client: _create(client, names, wishes, together, output, seconds if wait else None),
        patience=PATIENCE_SECONDS if retry else 0,
    )


def wishes_of(
    *,
    image: str | None,
    cpu: str | None,
    memory: str | None,
    disk: str | None,
    label: placing.Texts,
    node_label: placing.Texts,
    config: placing.Texts,
    profile: placing.Texts,
    kind: Type | None,
    max_attempts: int | None,
    limit_cpu: str | None,
    limit_memory: str | None,
    limit_disk: str | None,
    constraint: placing.Texts,
    arch: str | None,
    pool: str | None,
    toleration: placing.Texts,
    near: placing.Texts,
    apart: placing.Texts,
    prefer_near: placing.Texts,
    prefer_apart: placing.Texts,
    spread: placing.Texts,
    prefer_spread: placing.Texts,
    budget: str | None,
    priority: int | None,
    policy: str | None,
) -> Wishes:
    """What these options ask for, as the API is told."""
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
    if constraint:
        wishes["constraints"] = constraint
    if arch is not None:
        wishes["architecture"] = arch
    if pool is not None:
        wishes["pool"] = pool
    if toleration:
        wishes["tolerations"] = toleration
    if priority is not None:
        wishes["priority"] = priority
    if policy is not None:
        wishes["policy"] = policy
    wishes.update(placing.limits(limit_cpu, limit_memory, limit_disk))
    wishes.update(placing.company(near, apart, prefer_near, prefer_apart))
    wishes.update(placing.shares(spread, prefer_spread))
    wishes.update(placing.budget(budget))
    return wishes


async def _create(
    client: Client, names: Sequence[str], wishes: Wishes, together: bool, output: ResultOutput, seconds: float | None
) -> None:
    if len(names) == 1 and not together:
        made = [await client.containers.create(names[0], **wishes)]
    else:
        made = await client.containers.create_batch([{"hostname": one, **wishes} for one in names], together=together)
    if seconds is not None:
        clock = asyncio.get_running_loop().time
        left, deadline = seconds, clock() + seconds
        for one in made:  # their events are kept, so none that is quick is missed
            with display(sys.stdout if output is ResultOutput.TEXT else sys.stderr) as shown:
                ends = BOOTSTRAPPED if one.bootstrappers else RUNNING
                await wait(client, one, ends, display=shown, seconds=left)
            left = max(0.0, deadline - clock())
        made = [await client.containers.get(one.hostname) for one in made]
    tell(made, output)


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


@app.command(epilog="Example: pfi create webhook ops --url https://example.org/hooks/pathfinder --kind node.down")
def webhook(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    url: Annotated[str, typer.Option(metavar="URL", help="Where notices are posted.")],
    form: Annotated[
        Format, typer.Option("--format", case_sensitive=False, help="What the receiver understands.")
    ] = Format.JSON,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What notices are signed with (- reads it); made if left out.", show_default=False
        ),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Only problems of this kind (node.down); may be repeated.")
    ] = None,
) -> None:
    """Have somebody told of problems."""
    given = sys.stdin.readline().strip() if secret == "-" else secret  # noqa: S105 - no secret, but where one is
    made = run(ctx, lambda client: client.webhooks.create(name, url, form=form.value, secret=given, kinds=kind or []))
    say(harmless(f"webhook {made.name} is there; try it with: pfi test webhook {made.name}"))
    if given is None:
        say(f"its secret, which is not shown again: {made.secret}")

"""`pfi update`: change what a cluster is like."""

from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group

app = group("Change a cluster.")


@app.callback()
def update() -> None:
    """Change a cluster."""


@app.command(epilog="Example: pfi update cluster default --heartbeat 2s --lease 10s")
def cluster(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="How containers are placed: spread, …")] = None,
    image: Annotated[
        str | None, typer.Option("--image", "-i", metavar="[REMOTE:]ALIAS", help="Image of containers that name none.")
    ] = None,
    heartbeat: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Time between heartbeats of its nodes.")
    ] = None,
    lease: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long a node is READY after a heartbeat.")
    ] = None,
) -> None:
    """Change a cluster; what is left out stays. Containers stay where they are."""
    beat, lasts = (parsing.duration(text) if text is not None else None for text in (heartbeat, lease))
    if (policy, image, beat, lasts) == (None, None, None, None):
        raise typer.BadParameter("say what to change: --policy, --image, --heartbeat, --lease")
    changed = run(
        ctx,
        lambda client: client.clusters.update(
            name, policy=policy, default_image=image, heartbeat_seconds=beat, lease_seconds=lasts
        ),
    )
    say(f"cluster {changed.name} is changed")

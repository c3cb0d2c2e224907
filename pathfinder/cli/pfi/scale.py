"""`pfi scale`: another number of replicas."""

from typing import Annotated

import typer

from pathfinder.cli.pfi.options import DeploymentName
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, note, say
from pathfinder.cli.pfi.verbs import group

app = group("Have more or fewer replicas of a deployment.")


@app.callback()
def scale() -> None:
    """Have more or fewer replicas of a deployment."""


@app.command(epilog="Example: pfi scale deployment web --replicas 5")
def deployment(
    ctx: typer.Context,
    name: DeploymentName,
    replicas: Annotated[int, typer.Option(metavar="N", help="How many there shall be.", min=0)],
) -> None:
    """Have so many replicas of a deployment."""
    scaled = run(ctx, lambda client: client.deployments.scale(name, replicas))
    say(harmless(f"deployment {scaled.name} shall have {scaled.replicas} replica{'' if replicas == 1 else 's'}"))
    if scaled.document.get("autoscaling"):
        note(f"note: {harmless(scaled.name)} is autoscaled, which may change that at once")

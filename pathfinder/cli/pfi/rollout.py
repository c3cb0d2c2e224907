"""`pfi rollout`: how far a deployment's rollout is, and what can be asked of it."""

import asyncio
import sys
from typing import Annotated

import typer

from pathfinder.cli.pfi import completion, parsing
from pathfinder.cli.pfi.columns import REVISIONS, deployment_status
from pathfinder.cli.pfi.failures import Failed, TimedOut
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.rollout_display import display, phrase
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client
from pathfinder.domain.deployment_views import Deployment

#: How often a watched rollout is asked for.
ASK_SECONDS = 0.5

app = group("See how far a deployment's rollout is, and stop it, let it go on, or go back.")

Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.deployments)]


@app.callback()
def rollout() -> None:
    """See how far a deployment's rollout is, and stop it, let it go on, or go back."""


@app.command(epilog="Example: pfi rollout status web --watch")
def status(
    ctx: typer.Context,
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay until it is done, waits or failed.")] = False,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long --watch stays (90s, 10m); exit code 4 after it.")
    ] = "1h",
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell how far a rollout is; exit code 1 if it has failed."""
    seconds = parsing.duration(timeout)
    found = run(ctx, lambda client: _watch(client, name, seconds) if watch else client.deployments.get(name))
    if output is Output.NAME:
        say(harmless(found.name))
    elif output in (Output.JSON, Output.YAML):
        documents([found], output, single=True)
    else:
        say(harmless(f"{found.name}: {phrase(found)}"))
    if deployment_status(found) == "FAILED":
        raise Failed(
            f"the rollout of deployment {found.name} has failed: {found.message or 'no reason was given'}",
            f"go back with: pfi rollout undo {found.name}",
        )


@app.command()
def history(ctx: typer.Context, name: Name, output: OutputOption = Output.TABLE) -> None:
    """List the revisions of a deployment, the latest first."""
    found = run(ctx, lambda client: client.deployments.revisions(name))
    show(found, Shape(narrow=REVISIONS, wide=REVISIONS, name=lambda it: str(it.revision)), output)


@app.command(epilog="Example: pfi rollout undo web --to 3")
def undo(
    ctx: typer.Context,
    name: Name,
    to: Annotated[
        int | None,
        typer.Option(metavar="N", help="That revision; else the last that was rolled out whole.", min=1),
    ] = None,
) -> None:
    """Go back to an earlier revision."""
    _ask(ctx, name, "undo", revision=to)


@app.command()
def pause(ctx: typer.Context, name: Name) -> None:
    """Have a rollout go no further."""
    _ask(ctx, name, "pause")


@app.command()
def resume(ctx: typer.Context, name: Name) -> None:
    """Have a rollout go on that was paused, or failed."""
    _ask(ctx, name, "resume")


@app.command()
def promote(ctx: typer.Context, name: Name) -> None:
    """Have canaries be followed by the rest."""
    _ask(ctx, name, "promote")


@app.command()
def restart(ctx: typer.Context, name: Name) -> None:
    """Have every replica made anew, as the strategy says."""
    _ask(ctx, name, "restart")


def _ask(ctx: typer.Context, name: str, action: str, *, revision: int | None = None) -> None:
    after = run(ctx, lambda client: client.deployments.rollout(name, action, revision=revision))
    say(harmless(f"{after.name}: {phrase(after)}"))


async def _watch(client: Client, name: str, seconds: float) -> Deployment:
    """Show it until nothing more happens by itself."""
    with display(sys.stdout) as shown:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = await client.deployments.get(name)
                    if _rests(found):
                        return found
                    shown.show(found)
                    await asyncio.sleep(ASK_SECONDS)
        except TimeoutError:
            raise TimedOut(
                f"the rollout of deployment {name} is not done after {seconds:g} s",
                f"it goes on without pfi; see it with: pfi rollout status {name}",
            ) from None


def _rests(it: Deployment) -> bool:
    match deployment_status(it):
        case "STABLE":
            return it.counts.available >= it.replicas
        case "PAUSED" | "FAILED":
            return True
        case "CANARY":
            return it.message is not None  # they wait to be promoted
    return False

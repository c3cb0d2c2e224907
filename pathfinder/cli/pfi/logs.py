"""`pfi logs`: what bootstrappers wrote."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated

import typer

from pathfinder.cli.pfi.failures import Failed
from pathfinder.cli.pfi.notices import Notices
from pathfinder.cli.pfi.options import ContainerName
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client, EventSelection
from pathfinder.domain.runs import StepStatus
from pathfinder.domain.views import Bootstrap

app = group("Show what was written in a container.")

#: Kinds of event that end a run, or begin one.
ENDS = ("container.bootstrapped", "container.bootstrap_failed", "container.deleted")
KINDS = ("container.bootstrap_started", "container.bootstrap_progress", *ENDS)


@app.callback()
def logs() -> None:
    """Show what was written in a container."""


@app.command(epilog="Example: pfi logs container web-01 --bootstrap --follow")
def container(
    ctx: typer.Context,
    name: ContainerName,
    bootstrap: Annotated[bool, typer.Option("--bootstrap", help="What its bootstrappers wrote.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Earlier runs, too, as far as they are kept.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until the run has ended.")] = False,
) -> None:
    """Show the output of a container's bootstrappers, the end of it where it is long."""
    if not bootstrap:
        raise typer.BadParameter("say which logs: --bootstrap", param_hint="--bootstrap")
    run(ctx, lambda client: _show(client, name, every=every, follow=follow))


async def _show(client: Client, name: str, *, every: bool, follow: bool) -> None:
    one = await client.containers.get(name)
    steps = await client.containers.bootstraps(name)
    if not steps and not (follow and one.bootstrappers):
        why = "they have not begun yet" if one.bootstrappers else "it has none"
        raise Failed(
            f"nothing was written by bootstrappers of container {name}: {why}", f"see: pfi describe container {name}"
        )
    last = max((step.run for step in steps), default=0)
    said = _say([step for step in steps if every or step.run == last], {})
    if not follow or (steps and _ended([step for step in steps if step.run == last])):
        return
    selection = EventSelection(subject=one.id, kinds=KINDS)
    async with aclosing(client.events.follow(selection, listener=Notices())) as events:
        async for event in events:
            said = _say(await client.containers.bootstraps(name) if event.kind != "container.deleted" else (), said)
            if event.kind in ENDS:
                return


def _say(steps: Sequence[Bootstrap], said: dict[tuple[int, int], Bootstrap]) -> dict[tuple[int, int], Bootstrap]:
    """Write the steps that are news after those that were `said`; what is said by now."""
    now = dict(said)
    for step in steps:
        key = (step.run, step.step)
        if step.status is StepStatus.WAITING or now.get(key) == step:
            continue
        now[key] = step
        say(harmless(_heading(step)))
        for line in step.output.splitlines():
            say(f"  {harmless(line)}")
    return now


def _heading(step: Bootstrap) -> str:
    words = f"run {step.run}, {step.name}: {step.status}"
    if step.attempts > 1:
        words += f", try {step.attempts}"
    if step.exit_code:
        words += f", exit code {step.exit_code}"
    if step.ended_at is not None:
        words += f", {(step.ended_at - step.started_at).total_seconds():.1f} s"
    return words


def _ended(steps: Sequence[Bootstrap]) -> bool:
    return any(step.status is StepStatus.FAILED for step in steps) or all(
        step.status is StepStatus.DONE for step in steps
    )

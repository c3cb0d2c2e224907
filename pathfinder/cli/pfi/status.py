"""`pfi status`: the whole of Pathfinder at a glance; the exit code tells scripts."""

import asyncio
import sys
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated

import typer

from pathfinder.cli.pfi.failures import ExitCode
from pathfinder.cli.pfi.notices import Notices
from pathfinder.cli.pfi.options import WatchOption
from pathfinder.cli.pfi.output import as_json, as_yaml, documents
from pathfinder.cli.pfi.overview import screen
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import has_colour, is_live, say
from pathfinder.cli.pfi.verbs import single
from pathfinder.client import Client, EventSelection
from pathfinder.domain.status import Overall, SystemStatus

#: A watched status is read again when something happens, but not more often than this; and, because the depth of a
#: queue or the silence of a process is no event, not more seldom than that.
OFTEN_SECONDS = 2.0
SELDOM_SECONDS = 10.0

CODES = {Overall.OK: ExitCode.DONE, Overall.DEGRADED: ExitCode.DEGRADED, Overall.DOWN: ExitCode.DOWN}

app = single()


class StatusOutput(StrEnum):
    """How the status is written."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


@app.command()
def status(
    ctx: typer.Context,
    output: Annotated[StatusOutput, typer.Option("--output", "-o", help="How to write it.")] = StatusOutput.TABLE,
    watch: WatchOption = False,
) -> None:
    """Show how Pathfinder is, wherever its parts run: roles, queues, nodes, containers, and what is wrong.

    Exit code 0 if all is well, 6 if something is wrong (degraded), 7 if new containers cannot be run (down).
    For the programs that `pathfinder up` runs on this machine, see: pathfinder status
    """
    if watch:
        run(ctx, lambda client: _watch(client, output))
        return
    found = run(ctx, lambda client: client.status())
    if output in (StatusOutput.JSON, StatusOutput.YAML):
        documents([found], output, single=True)
    else:
        say("\n".join(_lines(found, output)))
    if code := CODES[found.health]:
        raise typer.Exit(code)


def _lines(found: SystemStatus, output: StatusOutput) -> list[str]:
    return screen(found, wide=output is StatusOutput.WIDE, colour=has_colour(sys.stdout))


class _Changes(Notices):
    """Knows that something happened since somebody last waited."""

    def __init__(self) -> None:
        super().__init__()
        self.something = asyncio.Event()

    async def connected(self) -> None:
        """After a gap anything may have happened."""
        await super().connected()
        self.something.set()


async def _watch(client: Client, output: StatusOutput) -> None:
    changes = _Changes()
    both = [asyncio.create_task(_follow(client, changes)), asyncio.create_task(_draw(client, output, changes))]
    try:
        ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    for task in ended:
        task.result()  # neither has an end but an error


async def _follow(client: Client, changes: _Changes) -> None:
    async with aclosing(client.events.follow(EventSelection(), listener=changes)) as events:
        async for _ in events:
            changes.something.set()


async def _draw(client: Client, output: StatusOutput, changes: _Changes) -> None:
    redraw = output in (StatusOutput.TABLE, StatusOutput.WIDE) and is_live(sys.stdout)
    while True:
        changes.something.clear()
        found = await client.status()
        match output:
            case StatusOutput.JSON:
                say(as_json(found))
            case StatusOutput.YAML:
                say(f"---\n{as_yaml(found)}")
            case _ if redraw:
                # Home, each line to its end, and what is left of the screen before.
                say("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in _lines(found, output)) + "\x1b[J")
            case _:
                say("\n".join([*_lines(found, output), ""]))
        await asyncio.sleep(OFTEN_SECONDS)
        try:
            await asyncio.wait_for(changes.something.wait(), SELDOM_SECONDS - OFTEN_SECONDS)
        except TimeoutError:
            continue

"""`pfi events`: what happens, as it happens."""

import sys
from contextlib import aclosing
from typing import Annotated

import typer

from pathfinder.cli.pfi import columns, parsing
from pathfinder.cli.pfi.notices import Notices
from pathfinder.cli.pfi.options import EventContainerOption, EventNodeOption, KindOption, Output, OutputOption
from pathfinder.cli.pfi.output import as_json, as_yaml
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Table
from pathfinder.cli.pfi.terminal import has_colour, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client, EventSelection

app = group("Follow what happens.")


@app.callback()
def events() -> None:
    """Follow what happens."""


@app.command()
def tail(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begin in the past: a duration back (10m, 2h), a moment, or all."),
    ] = None,
    kind: KindOption = None,
    container: EventContainerOption = None,
    node: EventNodeOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print each event once, as it happens, until Ctrl-C.

    Goes on where it was when the server or the connection comes back. With -o json each line is one JSON object.
    """
    start = parsing.moment(since) if since not in (None, "all") else None
    selection = EventSelection(kinds=parsing.kinds(kind or []), container=container, node=node, since=start)
    run(ctx, lambda client: follow(client, selection, output, cursor="0" if since == "all" else None))


async def follow(client: Client, selection: EventSelection, output: Output, *, cursor: str | None) -> None:
    """Print events without end; every line is sent off at once, for whoever reads a pipe."""
    shape = columns.EVENTS_WIDE if output is Output.WIDE else columns.EVENTS
    table = Table(shape, colour=has_colour(sys.stdout))
    stream = client.events.follow(selection, cursor=cursor, listener=Notices())
    async with aclosing(stream) as events:
        async for event in events:
            match output:
                case Output.JSON:
                    say(as_json(event))
                case Output.YAML:
                    say(f"---\n{as_yaml(event)}")
                case Output.NAME:
                    say(str(event.seq))
                case _:
                    say(table.row(event))

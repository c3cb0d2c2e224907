"""`pfi get`: lists."""

import sys
from collections.abc import Sequence
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel

from pathfinder.cli.pfi import listing, parsing
from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.events import follow
from pathfinder.cli.pfi.failures import Usage
from pathfinder.cli.pfi.listing import Listing, Shape
from pathfinder.cli.pfi.options import (
    EventContainerOption,
    EventNodeOption,
    KindOption,
    LabelOption,
    NodeOption,
    Output,
    OutputOption,
    PrefixOption,
    SomeContainers,
    SomeDeployments,
    SomeNodes,
    WatchOption,
)
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Table
from pathfinder.cli.pfi.terminal import has_colour, note, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.watching import watch as watch_list
from pathfinder.client import Client, EventSelection, Selection
from pathfinder.domain.problems import ProblemKind

View = TypeVar("View", bound=BaseModel)

app = group("List containers, deployments, nodes, clusters, problems, webhooks or events.")


@app.command()
def containers(
    ctx: typer.Context,
    names: SomeContainers = None,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="Only in this status (PENDING); may be repeated.")
    ] = None,
    node: NodeOption = None,
    label: LabelOption = None,
    prefix: PrefixOption = None,
) -> None:
    """List containers."""
    selection = _selection(names, status, node, label, prefix)
    run(ctx, lambda client: _show(client, listing.containers(client, selection, names or []), names, output, watch))


@app.command()
def deployments(
    ctx: typer.Context,
    names: SomeDeployments = None,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    label: LabelOption = None,
    prefix: PrefixOption = None,
) -> None:
    """List deployments. Their replicas: pfi get containers -l deployment=NAME"""
    if names and (label or prefix):
        raise Usage("names and filters do not go together; give one or the other")
    labels = parsing.pairs(label or [])
    run(
        ctx,
        lambda client: _show(client, listing.deployments(client, labels, prefix, names or []), names, output, watch),
    )


@app.command()
def nodes(
    ctx: typer.Context,
    names: SomeNodes = None,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="Only in this status: READY or DOWN.")
    ] = None,
    label: LabelOption = None,
    prefix: PrefixOption = None,
) -> None:
    """List nodes."""
    selection = _selection(names, status, None, label, prefix)
    run(ctx, lambda client: _show(client, listing.nodes(client, selection, names or []), names, output, watch))


@app.command()
def clusters(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
) -> None:
    """List clusters."""
    run(ctx, lambda client: _show(client, listing.clusters(client, names or []), names, output, watch))


@app.command()
def webhooks(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List who is told of problems."""
    run(ctx, lambda client: _show(client, listing.webhooks(client, names or []), names, output, False))


@app.command()
def problems(
    ctx: typer.Context,
    output: OutputOption = Output.TABLE,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    kind: Annotated[
        list[ProblemKind] | None, typer.Option(metavar="KIND", help="Only of this kind (node.down); may be repeated.")
    ] = None,
) -> None:
    """List what is wrong, newest first."""
    run(ctx, lambda client: _show_problems(client, every, kind or [], output))


@app.command()
def events(
    ctx: typer.Context,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From when: a duration back (10m, 2h), a moment, or all.")
    ] = "1h",
    kind: KindOption = None,
    container: EventContainerOption = None,
    node: EventNodeOption = None,
) -> None:
    """List what happened, oldest first. Follow it with: pfi events tail"""
    start = None if since == "all" else parsing.moment(since)
    selection = EventSelection(kinds=parsing.kinds(kind or []), container=container, node=node, since=start)
    if watch:
        run(ctx, lambda client: follow(client, selection, output, cursor=None if start else "0"))
    else:
        run(ctx, lambda client: _show_events(client, selection, output))


def _selection(
    names: list[str] | None, status: list[str] | None, node: str | None, label: list[str] | None, prefix: str | None
) -> Selection:
    statuses = tuple(one.upper() for one in status or [])
    selection = Selection(statuses, node, parsing.pairs(label or []), prefix)
    if names and selection:
        raise Usage("names and filters do not go together; give one or the other")
    return selection


async def _show(client: Client, shown: Listing[View], names: list[str] | None, output: Output, stay: bool) -> None:
    if stay:
        await watch_list(client, shown, output)
    elif names:
        items, failed = await each(names, shown.one)
        if items:
            _write(shown, items, output, single=len(names) == 1)
        if failed:
            raise typer.Exit(failed)
    else:
        items = [item async for item in shown.every()]
        _write(shown, items, output)
        if not items:
            note(f"no {shown.noun}s here")


async def _show_problems(client: Client, every: bool, kinds: Sequence[ProblemKind], output: Output) -> None:
    items = [one async for one in client.problems.list(every=every) if not kinds or one.kind in kinds]
    _write(listing.PROBLEMS, items, output)
    if not items:
        note("no problems")


async def _show_events(client: Client, selection: EventSelection, output: Output) -> None:
    items = [event async for event in client.events.list(selection)]
    _write(listing.EVENTS, items, output)
    if not items:
        note("no events in that time")


def _write(shown: Shape[View], items: list[View], output: Output, *, single: bool = False) -> None:
    if output in (Output.JSON, Output.YAML):
        documents(items, output, single=single)
    elif output is Output.NAME:
        for item in items:
            say(shown.name(item))
    else:
        columns = shown.wide if output is Output.WIDE else shown.narrow
        say("\n".join(Table(columns, colour=has_colour(sys.stdout)).render(items)))

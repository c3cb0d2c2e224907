"""`pfi audit`: who changed what, and when."""

from typing import Annotated

import typer

from pathfinder.cli.pfi import columns, parsing
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import EventContainerOption, EventNodeOption, KindOption, Output, OutputOption
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.terminal import note
from pathfinder.cli.pfi.verbs import single
from pathfinder.client import Client, EventSelection
from pathfinder.domain.views import Event

app = single()

#: Whoever is no part of Pathfinder itself. `pathfinder` is its command, on a machine of the control plane.
PEOPLE = ("user:", "token:", "pathfinder")

AUDIT = Shape[Event](narrow=columns.AUDIT, wide=columns.AUDIT_WIDE, name=lambda it: str(it.seq))


@app.command(epilog="Example: pfi audit --by alice --since 7d --kind container")
def audit(
    ctx: typer.Context,
    by: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only by this user or token; may be repeated.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Since a time ago (10m, 2h), a moment, or all there is.")
    ] = "24h",
    inside: Annotated[
        str | None, typer.Option("--in", metavar="CLUSTER", help="Only in this cluster; else in all one is for.")
    ] = None,
    kind: KindOption = None,
    container: EventContainerOption = None,
    node: EventNodeOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List what users and tokens changed, oldest first."""
    selection = EventSelection(
        kinds=parsing.kinds(kind or []),
        container=container,
        node=node,
        since=None if since == "all" else parsing.moment(since),
        actors=actors(by or []),
    )
    run(ctx, lambda client: _list(client, selection, inside, output))


def actors(names: list[str]) -> tuple[str, ...]:
    """The actors that are meant: a name alone is a user's or a token's. Pure."""
    return (
        tuple(one for name in names for one in ([name] if ":" in name else [f"user:{name}", f"token:{name}"])) or PEOPLE
    )


async def _list(client: Client, selection: EventSelection, inside: str | None, output: Output) -> None:
    items = [event async for event in client.events.audit(selection, cluster=inside)]
    show(items, AUDIT, output)
    if not items:
        note("nobody changed anything in that time")

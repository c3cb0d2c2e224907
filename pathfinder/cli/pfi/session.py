"""From the command line's global flags to an open client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina.instrumentation
import typer

from pathfinder.cli.pfi.profiles import Target, resolve
from pathfinder.client import Client

Result = TypeVar("Result")


def target(ctx: typer.Context) -> Target:
    """Where this command's requests go."""
    flags = ctx.find_root().params
    return resolve({name: flags.get(name) for name in ("profile", "server", "cluster")})


def connect(to: Target) -> Client:
    """A client of the target."""
    # Retries are the client's own business; by default stamina would log them between the rows of a table.
    stamina.instrumentation.set_on_retry_hooks([])
    return Client(to.server, to.token, cluster=to.cluster)


def run(ctx: typer.Context, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Do `work` with an open client. Ctrl-C cancels it, so that everything it opened is closed."""

    async def main() -> Result:
        async with connect(target(ctx)) as client:
            return await work(client)

    return asyncio.run(main())

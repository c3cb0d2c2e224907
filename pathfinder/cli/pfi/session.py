"""From the command line's global flags to an open client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina.instrumentation
import typer

from pathfinder.cli.pfi.profiles import Target, resolve
from pathfinder.cli.pfi.terminal import note
from pathfinder.client import ApiError, Client
from pathfinder.client.connection import PATIENCE_SECONDS

Result = TypeVar("Result")


def target(ctx: typer.Context) -> Target:
    """Where this command's requests go."""
    flags = ctx.find_root().params
    return resolve({name: flags.get(name) for name in ("profile", "server", "cluster")})


def connect(to: Target, patience: float = PATIENCE_SECONDS) -> Client:
    """A client of the target, which waits for an overloaded server that many seconds."""
    # Retries are the client's own business; by default stamina would log them between the rows of a table.
    stamina.instrumentation.set_on_retry_hooks([])
    return Client(to.server, to.token, cluster=to.cluster, ca_file=to.ca, patience=patience, on_wait=Patience(patience))


class Patience:
    """Says once that an overloaded server is waited for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._said = False

    def __call__(self, refusal: ApiError, wait: float) -> None:
        """Told before each wait."""
        if not self._said:
            note(f"pfi: the server has too much work waiting, trying again for {self._seconds:g} s (or: --no-retry) …")
        self._said = True


def run(
    ctx: typer.Context, work: Callable[[Client], Awaitable[Result]], *, patience: float = PATIENCE_SECONDS
) -> Result:
    """Do `work` with an open client. Ctrl-C cancels it, so that everything it opened is closed."""

    return run_at(target(ctx), work, patience=patience)


def run_at(to: Target, work: Callable[[Client], Awaitable[Result]], *, patience: float = PATIENCE_SECONDS) -> Result:
    """The same, with a client of this target."""

    async def main() -> Result:
        async with connect(to, patience) as client:
            return await work(client)

    return asyncio.run(main())

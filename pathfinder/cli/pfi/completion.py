"""Names for shell completion, asked of the server. A shell waits for them: a slow or absent server offers nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathfinder.client import Client

SECONDS = 1.0


def containers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Containers whose hostname starts with what is typed."""
    from pathfinder.client import Selection  # completing options and verbs must not wait for a client to load

    return _names(
        ctx, lambda client: (it.hostname async for it in client.containers.list(Selection(prefix=incomplete)))
    )


def deployments(ctx: typer.Context, incomplete: str) -> list[str]:
    """Deployments whose name starts with what is typed."""
    return _names(ctx, lambda client: (it.name async for it in client.deployments.list(prefix=incomplete)))


def nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Nodes whose hostname starts with what is typed."""
    from pathfinder.client import Selection

    return _names(ctx, lambda client: (it.hostname async for it in client.nodes.list(Selection(prefix=incomplete))))


def _names(ctx: typer.Context, ask: Callable[["Client"], AsyncIterator[str]]) -> list[str]:
    from pathfinder.cli.pfi import session

    async def main() -> list[str]:
        async with asyncio.timeout(SECONDS), session.connect(session.target(ctx)) as client:
            return [name async for name in ask(client)]

    try:
        return asyncio.run(main())
    except Exception:  # whatever it is, a half-typed line is no place for an error message
        return []

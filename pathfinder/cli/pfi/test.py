"""`pfi test`: whether a webhook's receiver takes what it is sent."""

import typer

from pathfinder.cli.pfi.failures import Failed
from pathfinder.cli.pfi.options import WebhookName
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client

app = group("Send a test to a webhook.")


@app.callback()
def test() -> None:
    """Send a test to a webhook."""


@app.command()
def webhook(ctx: typer.Context, name: WebhookName) -> None:
    """Send a webhook a notice that only tests the way; exit code 1 if it is not taken."""
    run(ctx, lambda client: _test(client, name))


async def _test(client: Client, name: str) -> None:
    tested = await client.webhooks.test(name)
    if not tested.taken:
        raise Failed(f"webhook {name} {tested.answer}", "see its URL with: pfi get webhooks")
    say(harmless(f"webhook {name} {tested.answer}, after {tested.seconds:.2f} s"))

"""`pfi whoami`: who the server takes one for."""

import typer

from pathfinder.cli.pfi import words
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import single

app = single()


@app.command()
def whoami(ctx: typer.Context) -> None:
    """Print who one is, in which role, and for which clusters."""
    found = run(ctx, lambda client: client.identity.who())
    clusters = "all clusters" if found.clusters is None else ", ".join(found.clusters) or "no cluster"
    owner = f" of user {found.user}" if found.user and found.actor.startswith("token:") else ""
    ends = f", until {words.moment(found.expires_at)}" if found.expires_at else ""
    say(harmless(f"{found.actor}{owner}, role {found.role}, {clusters}{ends}"))

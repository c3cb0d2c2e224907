"""`pfi logout`: forget the token of the profile, and revoke it where it is one's own."""

import typer

from pathfinder.cli.pfi.profiles import Profiles
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import note, say
from pathfinder.cli.pfi.verbs import single
from pathfinder.client import ApiError

app = single()

#: What the server says of a token that has ended already, or that others may use, too.
_NOT_OURS = (401, 403)


@app.command()
def logout(ctx: typer.Context) -> None:
    """Revoke the token that `pfi login` made, and remove it from the profile."""
    try:
        run(ctx, lambda client: client.identity.log_out())
    except ApiError as refusal:
        if refusal.status not in _NOT_OURS:
            raise
        note(f"pfi: the token was not revoked: {refusal}")
    file = Profiles.read()
    profile = ctx.find_root().params.get("profile") or file.current
    file.set(profile, "token", "")
    file.write()
    say(f"profile {profile}: the token is removed")

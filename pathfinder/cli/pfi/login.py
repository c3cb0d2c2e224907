"""`pfi login`: from a password to a token of one's own in the profile."""

import getpass
import re
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.failures import Usage
from pathfinder.cli.pfi.profiles import Profiles
from pathfinder.cli.pfi.session import run_at, target
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import single

app = single()

#: The longest name of a token.
_LONGEST = 63


@app.command(epilog="Example: pfi --profile prod --server https://pathfinder.example.org login alice")
def login(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Argument(metavar="USER", help="Asked for if left out.")] = None,
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the token lasts, like 12h or 30d.")
    ] = "30d",
) -> None:
    """Log in, and keep a token in the profile. The password is asked for, or read from standard input."""
    seconds = int(parsing.duration(expires))
    to = target(ctx)
    user = user or _asked("User: ")
    password = secret("Password: ")
    name = token_name(user, socket.gethostname())
    made = run_at(replace(to, token=""), lambda client: client.identity.log_in(user, password, name, seconds))
    file = Profiles.read()
    profile = ctx.find_root().params.get("profile") or file.current
    file.set(profile, "server", to.server)
    file.set(profile, "token", made.token)
    if to.ca:
        file.set(profile, "ca", str(Path(to.ca).absolute()))
    file.write()
    say(f"logged in as {user}, role {made.role}; the token {made.name} is in the profile {profile}")


def secret(prompt: str) -> str:
    """What is typed without being shown, or the first line of standard input."""
    given = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise Usage("no password was given")
    return given


def token_name(user: str, host: str) -> str:
    """What the token of a user on this machine is called. Pure."""
    cleaned = re.sub(r"[^a-z0-9.-]+", "-", host.lower())
    return f"{user}@{cleaned}"[:_LONGEST].rstrip("-._@")


def _asked(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise Usage("say who: pfi login USER")
    return input(prompt)

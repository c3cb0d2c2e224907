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
from pathfinder.cli.pfi.profiles import Profiles, Target
from pathfinder.cli.pfi.session import run_at, target
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import single
from pathfinder.domain.identity import NewToken

app = single()

#: The longest name of a token.
_LONGEST = 63


@app.command(epilog="Example: pfi --profile prod --server https://pathfinder.example.org login alice")
def login(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Argument(metavar="USER", help="Asked for if left out.")] = None,
    sso: Annotated[
        bool, typer.Option("--sso", help="With a browser on this machine, at the identity provider.")
    ] = False,
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the token lasts, like 12h or 30d.")
    ] = "30d",
) -> None:
    """Log in, and keep a token in the profile. The password is asked for, or read from standard input.

    With --sso a browser is opened instead, and its address printed, for where it cannot be.
    """
    seconds = int(parsing.duration(expires))
    to = replace(target(ctx), token="")
    made = _with_browser(to, seconds) if sso else _with_password(to, user, seconds)
    file = Profiles.read()
    profile = ctx.find_root().params.get("profile") or file.current
    file.set(profile, "server", to.server)
    file.set(profile, "token", made.token)
    if to.ca:
        file.set(profile, "ca", str(Path(to.ca).absolute()))
    file.write()
    say(f"logged in as {made.user}, role {made.role}; the token {made.name} is in the profile {profile}")


def _with_password(to: Target, user: str | None, seconds: int) -> NewToken:
    name = user or _asked("User: ")
    password = secret("Password: ")
    token = token_name(name, socket.gethostname())
    return run_at(to, lambda client: client.identity.log_in(name, password, token, seconds))


def _with_browser(to: Target, seconds: int) -> NewToken:
    from pathfinder.cli.pfi import sso  # no other command wants a browser, or a server for it

    if run_at(to, lambda client: client.identity.single_sign_on()).title is None:
        raise Usage("this server has no single sign-on; log in with a password: pfi login USER")
    code, verifier = sso.from_browser(to.server.split(",")[0].strip())
    host = socket.gethostname()
    return run_at(to, lambda it: it.identity.sign_in(code, verifier, lambda user: token_name(user, host), seconds))


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

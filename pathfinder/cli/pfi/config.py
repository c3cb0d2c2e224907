"""`pfi config`: the file of profiles."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pathfinder.cli.pfi import profiles
from pathfinder.cli.pfi.failures import Usage
from pathfinder.cli.pfi.profiles import Profiles
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.domain.errors import Invalid

app = group("See and change which server pfi talks to.")


class Key(StrEnum):
    """What a profile holds."""

    SERVER = "server"
    CLUSTER = "cluster"
    TOKEN = "token"  # noqa: S105  # the name of a key, not a secret
    CA = "ca"


def _profile_names() -> list[str]:
    return sorted(Profiles.read().profiles)


@app.command()
def view(
    show_token: Annotated[bool, typer.Option("--show-token", help="Write tokens out.")] = False,
) -> None:
    """Print the configuration file, its tokens hidden."""
    file = Profiles.read()
    say(f"# {file.path}" + ("" if file.path.exists() else " (not there yet; these are the defaults)"))
    say(f'current_profile = "{file.current}"')
    for name, profile in (file.profiles or {file.current: dict(profiles.DEFAULTS)}).items():
        say(f"\n[profiles.{name}]")
        for key, value in profile.items():
            hidden = key == "token" and value and not show_token
            say(f'{key} = "{"(hidden)" if hidden else value}"')


@app.command(name="use-profile")
def use_profile(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=_profile_names)],
) -> None:
    """Make a profile the current one."""
    file = Profiles.read()
    file.named(name)
    file.current = name
    file.write()
    say(f"current profile: {name}")


@app.command(name="set", epilog="Example: pfi config set token - < token.txt")
def set_(
    ctx: typer.Context,
    key: Annotated[Key, typer.Argument(help="What to set.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value; - reads it from standard input.")],
) -> None:
    """Set a value of the current profile, or of the one given with: pfi --profile NAME config set …"""
    if value == "-":
        value = sys.stdin.readline().strip()
    if not value:
        raise Usage(f"the {key} is empty")
    if key is Key.CA:
        value = _authorities(value)
    file = Profiles.read()
    name = ctx.find_root().params.get("profile") or file.current
    file.set(name, key.value, value)
    file.write()
    say(f"profile {name}: {key} is set")


def _authorities(file: str) -> str:
    """The whole path of a file with certificates, wherever pfi is used from later."""
    from pathfinder import tls  # only this key needs it

    path = Path(file).absolute()
    try:
        tls.trusting(path)
    except Invalid as unusable:
        raise Usage(str(unusable)) from unusable
    return str(path)

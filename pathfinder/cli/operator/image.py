"""`pathfinder image build`."""

from enum import StrEnum
from typing import Annotated

import typer

from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.debian_image import DEBIAN, build_debian_image
from pathfinder.embedded.home import Home
from pathfinder.embedded.image import TINY, build_tiny_image, import_image
from pathfinder.embedded.lxd import ensure_lxd
from pathfinder.embedded.lxd_client import connect


class Kind(StrEnum):
    """What to build."""

    TINY = "tiny"
    DEBIAN = "debian"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Images made from Debian's packages, without an image server.")
    group.command()(build)
    group.callback()(lambda: None)
    app.add_typer(group, name="image")


def build(
    kind: Annotated[Kind, typer.Option(help="tiny: busybox, a second. debian: systemd, about a minute.")] = Kind.TINY,
    alias: Annotated[str | None, typer.Option(help="Its name; pathfinder-tiny or pathfinder-debian if unset.")] = None,
) -> None:
    """Build an image and put it into this machine's LXD."""
    screen, home = Screen(), Home.default()
    socket = ensure_lxd(home)
    with screen.step(f"image {kind.value}") as step:
        if kind is Kind.DEBIAN:
            name = build_debian_image(socket, alias or DEBIAN, step.say, home)
        else:
            name = alias or TINY
            with connect(socket) as lxd:
                import_image(lxd, build_tiny_image(), name, home)
        step.say(f"ready as local:{name}")
    screen.console.print(f"Use it with: pfi create container NAME --image local:{name}")

"""`pathfinder demo`: from nothing to a container with an address, and what to try next."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import typer

from pathfinder.cli.operator.profile import command
from pathfinder.cli.operator.progress import Screen
from pathfinder.cli.operator.services import bring_up
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.image import ensure_tiny_image
from pathfinder.embedded.stack import Running

CONTAINER = "pujanggateknologi"
#: Ubuntu's public image server, and how long it may take to accept a connection.
IMAGE_SERVER, IMAGE_SERVER_SECONDS = ("cloud-images.ubuntu.com", 443), 3.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo() -> None:
    """Start everything, create a container, and show it. Running it again is harmless."""
    screen = Screen()
    _show(screen, *bring_up(screen))


def _show(screen: Screen, running: Running, profile: str) -> None:
    """Create the container on a Pathfinder that is up, wait for it, and print what there is."""
    say = screen.console.print
    api = ControlPlane(running.server, running.token)
    if api.has_container(CONTAINER):
        say(f"\nContainer {CONTAINER} is already there.")
    else:
        if running.socket:
            _choose_image(screen, api, running.socket)
        _create(screen)
    for noun in ("nodes", "containers"):
        say(f"\n$ pfi get {noun}")
        _pfi("get", noun)
    shown = command(profile).replace("pfi", _script(), 1)
    say("\nNext, try:")
    for arguments in (
        f"describe container {CONTAINER}",
        f"explain container {CONTAINER}",
        "create container web-01 --cpu 1 --memory 256MiB --wait",
        "events tail --since 10m",
        f"delete container {CONTAINER} --wait",
    ):
        say(f"  {shown} {arguments}", soft_wrap=True)
    say("  make down", soft_wrap=True)


def _choose_image(screen: Screen, api: ControlPlane, lxd_socket: Path) -> None:
    """Use the tiny image where Ubuntu's cannot be had."""
    with screen.step("default image") as step:
        step.say(f"looking for {IMAGE_SERVER[0]}")
        if _reachable():
            step.say(f"Ubuntu's current LTS from {IMAGE_SERVER[0]}")
            return
        alias = ensure_tiny_image(lxd_socket)
        api.set_default_image(f"local:{alias}")
        step.say(f"{IMAGE_SERVER[0]} cannot be reached, so a tiny image was built here: local:{alias}")


def _reachable() -> bool:
    answers = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection(IMAGE_SERVER, IMAGE_SERVER_SECONDS).close()
            answers.set()

    # Looking up the name has no time-out of its own, and takes long exactly where there is no way out.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(IMAGE_SERVER_SECONDS)
    return answers.is_set()


def _create(screen: Screen) -> None:
    screen.console.print(f"\n$ pfi create container {CONTAINER} --wait")
    if status := _pfi("create", "container", CONTAINER, "--wait"):
        raise typer.Exit(status)


def _pfi(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pathfinder.cli.pfi", *arguments], check=False).returncode


def _script() -> str:
    """`pfi` as the user can type it: by its path where the virtual environment is not on PATH."""
    if shutil.which("pfi"):
        return "pfi"
    script = Path(sys.executable).with_name("pfi")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)

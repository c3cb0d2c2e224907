"""`pathfinder demo`: from nothing to a container with an address, and what to try next."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from pathfinder.cli.operator.profile import command
from pathfinder.cli.operator.progress import Screen
from pathfinder.cli.operator.services import bring_up
from pathfinder.domain.lifecycle import Status
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.home import Home
from pathfinder.embedded.image import TINY, ensure_tiny_image
from pathfinder.embedded.progress import Progress
from pathfinder.embedded.stack import Running
from pathfinder.embedded.supervisor import wait_until
from pathfinder.settings import Settings

CONTAINER = "pujanggateknologi"
#: How long a container that is on its way is followed, as `pfi create --wait` does.
FOLLOW_SECONDS = 600.0
#: Ubuntu's public image server, and how long it may take to accept a connection.
IMAGE_SERVER, IMAGE_SERVER_SECONDS = ("cloud-images.ubuntu.com", 443), 3.0
#: The default image of a cluster that was told no other, and what stands in for it where it cannot be had.
BUILT_IN, STAND_IN = str(Settings.model_fields["default_image"].default), f"local:{TINY}"
_RUNS = {Status.PROVISIONED, Status.BOOTSTRAP_STARTED, Status.BOOTSTRAPPED, Status.BOOTSTRAP_ERROR}


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
    api = ControlPlane(running.server, running.token, running.cluster, running.ca_file)
    environment = pfi_environment(os.environ, running, profile)
    if is_there(api, CONTAINER, screen):
        say(f"\nContainer {CONTAINER} is already there.")
    else:
        if running.socket:
            _prepare_image(screen, api, running.socket)
        _create(screen, environment)
    for noun in ("nodes", "containers"):
        say(f"\n$ pfi get {noun}")
        _pfi(environment, "get", noun)
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


def pfi_environment(environ: Mapping[str, str], running: Running, profile: str) -> dict[str, str]:
    """The environment in which `pfi` uses what was just started, whatever server the user's points at. Pure."""
    return dict(environ) | {
        "PFI_PROFILE": profile,
        "PFI_SERVER": running.server,
        "PFI_CLUSTER": running.cluster,
        "PFI_TOKEN": running.token,
        "PFI_CA": running.ca_file,
    }


def is_there(api: ControlPlane, hostname: str, progress: Progress) -> bool:
    """Whether a container of that name runs; one that is on its way, or on its way out, is waited for.

    Raises EmbeddedError with the reason when it failed for good.
    """
    container: Any = api.container(hostname)
    if container is None or container["status"] in _RUNS:
        return container is not None
    with progress.step(f"container {hostname}") as step:

        def has_settled() -> bool:
            nonlocal container
            container = api.container(hostname)
            if container is None or container["status"] in _RUNS:
                return True
            step.say(": ".join(filter(None, (container["status"], container["message"]))))
            return container["status"] == Status.PROVISION_ERROR and not container["retry_at"]

        wait_until(f"container {hostname}", has_settled, FOLLOW_SECONDS)
        if container is not None and container["status"] == Status.PROVISION_ERROR:
            raise EmbeddedError(
                f"Container {hostname} could not be made: {container['message'] or 'no reason was given'}. "
                "Delete it, and run this again."
            )
        step.say(container["status"] if container else "is gone")
    return container is not None


def _prepare_image(screen: Screen, api: ControlPlane, lxd_socket: Path) -> None:
    with screen.step("default image") as step:
        step.say(f"looking for {IMAGE_SERVER[0]}")
        before = api.default_image()
        image, why = choose_image(before, os.environ.get("PATHFINDER_DEFAULT_IMAGE"), _reachable)
        if image == STAND_IN:
            ensure_tiny_image(lxd_socket, home=Home.default())
        if image != before:
            api.set_default_image(image)
        step.say(f"{image}, {why}")


def choose_image(current: str, given: str | None, is_reachable: Callable[[], bool]) -> tuple[str, str]:
    """The default image to use, and why. Pure.

    `current` is the cluster's now, `given` the user's setting. What somebody chose is used as it is.
    """
    if current not in (BUILT_IN, STAND_IN):
        return current, "as the cluster says"
    if given:
        return given, "as PATHFINDER_DEFAULT_IMAGE says"
    if is_reachable():
        return BUILT_IN, f"Ubuntu's current LTS from {IMAGE_SERVER[0]}"
    return STAND_IN, f"a tiny image that was built here, since {IMAGE_SERVER[0]} cannot be reached"


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


def _create(screen: Screen, environment: Mapping[str, str]) -> None:
    screen.console.print(f"\n$ pfi create container {CONTAINER} --wait")
    if status := _pfi(environment, "create", "container", CONTAINER, "--wait"):
        raise typer.Exit(status)


def _pfi(environment: Mapping[str, str], *arguments: str) -> int:
    pfi = [sys.executable, "-m", "pathfinder.cli.pfi", *arguments]
    return subprocess.run(pfi, env=environment, check=False).returncode


def _script() -> str:
    """`pfi` as the user can type it: by its path where the virtual environment is not on PATH."""
    if shutil.which("pfi"):
        return "pfi"
    script = Path(sys.executable).with_name("pfi")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)

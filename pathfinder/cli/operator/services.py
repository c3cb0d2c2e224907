"""`pathfinder up`, `down` and `clean`."""

from pathlib import Path

import typer

from pathfinder.cli.operator.configuration import settings
from pathfinder.cli.operator.profile import command, forget_profile, save_profile
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.home import Home
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.stack import Running, Stack

#: pfi's profile for what `up` starts.
PROFILE = "local"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(clean)


def up() -> None:
    """Start everything that does not run yet: PostgreSQL, RabbitMQ, LXD, every role, and this machine as a node."""
    screen = Screen()
    _, profile = bring_up(screen)
    screen.console.print(f"Pathfinder is up. Try: {command(profile)} get nodes")


def down() -> None:
    """Stop everything that `up` started. Data stays."""
    Stack(Home.default()).down(Screen())


def clean() -> None:
    """Stop everything, the lab too, and remove its data and the containers it made. Nothing else is touched."""
    screen, lab, home = Screen(), Lab(), Home.default()
    lab.down(screen)
    Stack(home).clean(screen)
    for each in (lab.home, home):
        forget_profile(each)


def bring_up(screen: Screen) -> tuple[Running, str]:
    """Start everything and let `pfi` know where it is: under the profile that is returned, too."""
    settings()  # one that cannot be is told before anything is started
    home = Home.default()
    running = Stack(home).up(screen)
    values = {"server": running.server, "cluster": running.cluster, "token": running.token}
    if running.ca_file:
        values["ca"] = str(Path(running.ca_file).absolute())
    return running, save_profile(home, PROFILE, values, use=True)

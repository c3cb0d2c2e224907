"""`pathfinder up`, `down` and `clean`."""

import typer

from pathfinder.cli.operator.profile import save_profile
from pathfinder.cli.operator.progress import Screen
from pathfinder.embedded.home import Home
from pathfinder.embedded.lab import Lab
from pathfinder.embedded.stack import Running, Stack


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(clean)


def up() -> None:
    """Start everything that does not run yet: PostgreSQL, RabbitMQ, LXD, every role, and this machine as a node."""
    screen = Screen()
    bring_up(screen)
    screen.console.print("Pathfinder is up. Try: pfi get nodes")


def down() -> None:
    """Stop everything that `up` started. Data stays."""
    Stack(Home.default()).down(Screen())


def clean() -> None:
    """Stop everything, the lab too, and remove its data and the containers it made. Nothing else is touched."""
    screen = Screen()
    Lab().down(screen)
    Stack(Home.default()).clean(screen)


def bring_up(screen: Screen) -> Running:
    """Start everything and let `pfi` know where it is."""
    running = Stack(Home.default()).up(screen)
    save_profile("default", running.server, running.token, use=True)
    return running

"""`pathfinder lab`: several real LXD nodes on this machine."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""

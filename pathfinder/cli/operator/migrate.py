"""`pathfinder migrate`: written elsewhere."""

import typer


def register(app: typer.Typer) -> None:
    """Nothing yet."""

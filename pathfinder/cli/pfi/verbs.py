"""How each verb's Typer application is made: plain help, and completion set up by `pfi` alone."""

import typer


def group(help_: str) -> typer.Typer:
    """A verb with nouns: `pfi get nodes`."""
    return typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def single() -> typer.Typer:
    """A verb by itself: `pfi version`."""
    return typer.Typer(rich_markup_mode=None, add_completion=False)

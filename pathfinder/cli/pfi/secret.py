"""`pfi secret`: what containers are told and nobody else."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from pathfinder.cli.pfi import columns
from pathfinder.cli.pfi.failures import Usage
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.showing import show
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client
from pathfinder.domain.identity import Secret

app = group("Keep secrets for the containers of this cluster.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
SECRETS = Shape[Secret](narrow=columns.SECRETS, wide=columns.SECRETS, name=lambda it: it.name)


@app.command(name="set", epilog="Example: pfi secret set db-password < password.txt")
def set_(
    ctx: typer.Context,
    name: Name,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Where the value is; else standard input.")
    ] = None,
) -> None:
    """Keep a value, in place of a former one. It is never shown again.

    It is asked for, or read from standard input without its last line break, or from a file as it is.
    """
    value = _value(file)
    run(ctx, lambda client: client.secrets.set(name, value))
    say(f"secret {name} is set")


@app.command(name="list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the names of secrets, and who set them."""
    run(ctx, lambda client: _list(client, output))


async def _list(client: Client, output: Output) -> None:
    show([one async for one in client.secrets.list()], SECRETS, output)


@app.command()
def delete(ctx: typer.Context, name: Name) -> None:
    """Forget a secret; what containers were given of it stays with them."""
    run(ctx, lambda client: client.secrets.delete(name))
    say(f"secret {name} is deleted")


def _value(file: Path | None) -> str:
    try:
        if file is not None:
            value = file.read_bytes().decode()
        elif sys.stdin.isatty():
            value = getpass.getpass("Value: ")
        else:
            value = sys.stdin.read().removesuffix("\n")
    except OSError as error:
        raise Usage(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Usage("the value is no text in UTF-8", "encode it, for example with base64") from error
    if not value:
        raise Usage("the value is empty")
    return value

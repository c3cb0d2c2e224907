"""`pathfinder broker`: what a RabbitMQ of your own has to be told."""

import json
import secrets

import typer

from pathfinder.broker import setup
from pathfinder.broker.login import virtual_host
from pathfinder.broker.topology import PARTS
from pathfinder.cli.operator import configuration
from pathfinder.domain.errors import Invalid
from pathfinder.settings import Settings


def settings() -> None:
    """Print new passwords of the roles and a secret, as settings of the control plane."""
    typer.echo(f"PATHFINDER_BROKER_PASSWORDS='{json.dumps({role: secrets.token_hex(16) for role in PARTS})}'")
    typer.echo(f"PATHFINDER_BROKER_SECRET={secrets.token_hex(16)}")


def definitions() -> None:
    """Print the users of roles for `rabbitmqctl import_definitions`, from the settings."""
    given = _complete()
    passwords = {role: each.get_secret_value() for role, each in given.broker_passwords.items()}
    if unknown := passwords.keys() - PARTS.keys():
        raise Invalid(f"PATHFINDER_BROKER_PASSWORDS names {', '.join(sorted(unknown))}; roles are {', '.join(PARTS)}.")
    typer.echo(json.dumps(setup.definitions(virtual_host(given.broker_url), passwords), indent=1))


def config(
    api_url: str = typer.Option("", help="Where RabbitMQ reaches the API; else PATHFINDER_API_URL."),
) -> None:
    """Print lines for rabbitmq.conf, which have it ask the API about nodes, from the settings."""
    given = _complete()
    assert given.broker_secret  # noqa: S101 - it is complete
    first = api_url or given.api_url.split(",")[0].strip()
    typer.echo("\n".join(setup.configuration(first, given.broker_secret.get_secret_value())))


def _complete() -> Settings:
    given = configuration.settings()
    if not given.broker_passwords or given.broker_secret is None:
        raise Invalid(
            "Set PATHFINDER_BROKER_PASSWORDS and PATHFINDER_BROKER_SECRET; `pathfinder broker settings` makes some."
        )
    return given


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Users of a RabbitMQ of your own.", no_args_is_help=True)
    group.callback()(lambda: None)
    for command in (settings, definitions, config):
        group.command()(command)
    app.add_typer(group, name="broker")

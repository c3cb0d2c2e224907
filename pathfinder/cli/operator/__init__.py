"""`pathfinder`, the operator's command: start, stop and look after a Pathfinder on this machine."""

import sys

import structlog
import typer

from pathfinder.cli.operator import (
    broker,
    certs,
    demo,
    image,
    lab,
    logs,
    migrate,
    run,
    secret,
    services,
    status,
    token,
    user,
)
from pathfinder.cli.pfi.profiles import ConfigError
from pathfinder.domain.errors import PathfinderError

#: Exit status when the command was understood and could not be carried out.
FAILED = 1
#: Exit status when the command, a setting or pfi's configuration cannot be used.
USAGE = 2

app = typer.Typer(
    name="pathfinder",
    help="Operate Pathfinder on this machine. To work with containers, use `pfi`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for each in (services, demo, status, logs, lab, image, run, migrate, token, user, secret, certs, broker):
    each.register(app)


def main() -> None:
    """Run the command; what is refused is one plain message, never a traceback."""
    # Standard output is for what was asked for; roles say more, by their own settings.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app()
    except PathfinderError as refusal:
        typer.echo(f"pathfinder: {refusal}", err=True)
        sys.exit(FAILED)
    except ConfigError as unusable:
        typer.echo(f"pathfinder: {unusable}", err=True)
        sys.exit(USAGE)

"""`pathfinder run ROLE…`: one or several roles in one process."""

import gc
from importlib import import_module
from typing import Annotated

import typer

from pathfinder.cli.operator.configuration import settings

#: Every role, and the module that runs it. Loaded when asked for: a role that died is back the sooner for each module
#: that it does not load.
ROLES = {
    "api": "api.serve",
    "relay": "workers.relay",
    "scheduler": "workers.scheduler",
    "recorder": "workers.recorder",
    "controller": "workers.controller",
    "agent": "workers.agent",
    "warden": "workers.agent.warden",
}


def run(roles: Annotated[list[str], typer.Argument(help=", ".join(ROLES))]) -> None:
    """Run one or several roles until SIGTERM; settings come from PATHFINDER_… variables."""
    unknown = sorted(set(roles) - ROLES.keys())
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not a role; the roles are {', '.join(ROLES)}")
    gc.disable()  # nothing of what is loaded goes away again, and to look for that would take a tenth of a start
    from workers import runner

    raise typer.Exit(runner.run({name: import_module(ROLES[name]).run for name in roles}, settings()))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)

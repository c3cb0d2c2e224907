"""`pathfinder run ROLE…`: one or several roles in one process."""

from collections.abc import Mapping
from typing import Annotated

import typer

from pathfinder.settings import Settings
from workers.runner import Role


def _roles() -> Mapping[str, Role]:
    """Every role there is. Imported when needed: an agent's machine need not load the API."""
    import api.serve
    import workers.agent
    import workers.agent.warden
    import workers.controller
    import workers.recorder
    import workers.relay
    import workers.scheduler

    return {
        "api": api.serve.run,
        "relay": workers.relay.run,
        "scheduler": workers.scheduler.run,
        "recorder": workers.recorder.run,
        "controller": workers.controller.run,
        "agent": workers.agent.run,
        "warden": workers.agent.warden.run,
    }


ROLES = "api, relay, scheduler, recorder, controller, agent, warden"


def run(roles: Annotated[list[str], typer.Argument(help=ROLES)]) -> None:
    """Run one or several roles until SIGTERM; settings come from PATHFINDER_… variables."""
    from workers import runner

    known = _roles()
    unknown = sorted(set(roles) - known.keys())
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not a role; the roles are {', '.join(known)}")
    raise typer.Exit(runner.run({name: known[name] for name in roles}, Settings()))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)

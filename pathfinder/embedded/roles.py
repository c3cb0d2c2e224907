"""Pathfinder's own roles as programs, and the operator's commands that `up` and the lab run."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.home import Home
from pathfinder.embedded.program import Program

CONTROL_PLANE = ("api", "relay", "scheduler", "recorder", "controller")
#: The `pathfinder` command of this very installation.
OPERATOR = (sys.executable, "-m", "pathfinder.cli.operator")
#: A role gives work in hand 8 s (PATHFINDER_STOP_SECONDS) and ends within 10.
STOP_SECONDS = 12
COMMAND_SECONDS = 60
#: An agent must not have them: it never talks to PostgreSQL, and gets a broker credential of its own.
_NOT_FOR_AGENTS = ("PATHFINDER_DATABASE_URL", "PATHFINDER_BROKER_URL")


def role_program(name: str, roles: tuple[str, ...], environment: Mapping[str, str], priority: int = 400) -> Program:
    """`pathfinder run ROLE…` under supervision."""
    command = (*OPERATOR, "run", *roles)
    return Program(name, command, priority=priority, environment=environment, stop_seconds=STOP_SECONDS)


def agent_environment(
    settings: Mapping[str, str], node: str, api_url: str, join_token: str, state_dir: Path
) -> dict[str, str]:
    """The settings of one node's agent. `settings` are the user's own; what is ours to say wins over them."""
    kept = {key: value for key, value in settings.items() if key not in _NOT_FOR_AGENTS}
    return kept | {
        "PATHFINDER_NODE_NAME": node,
        "PATHFINDER_API_URL": api_url,
        "PATHFINDER_JOIN_TOKEN": join_token,
        "PATHFINDER_STATE_DIR": str(state_dir),
    }


def user_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The `PATHFINDER_…` settings of the user's environment, which every role gets; where the home is, is not one."""
    prefix, own = "PATHFINDER_", {"PATHFINDER_HOME"}
    return {key: value for key, value in environment.items() if key.startswith(prefix) and key not in own}


def migrate(settings: Mapping[str, str]) -> None:
    """Bring the database to the newest schema and make the cluster `default`."""
    _run(settings, "migrate")


def token(home: Home, settings: Mapping[str, str], role: str, *, fresh: bool = False) -> str:
    """The bearer token of a role (`operator`, `join`), created once and remembered."""
    if fresh:
        home.remember(f"token.{role}", None)
    name = "pfi" if role == "operator" else "embedded"
    return str(
        home.once(
            f"token.{role}",
            lambda: _run(settings, "token", "create", "--role", role, "--name", name, "--print").strip(),
        )
    )


def _run(settings: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [*OPERATOR, *arguments],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedError(f"`pathfinder {' '.join(arguments)}` failed: {done.stderr.strip()[-1500:]}")
    return done.stdout

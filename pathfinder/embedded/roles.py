"""Pathfinder's own roles as programs."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pathfinder.embedded.program import Program

CONTROL_PLANE = ("api", "relay", "scheduler", "recorder", "controller")
#: The `pathfinder` command of this very installation.
OPERATOR = (sys.executable, "-m", "pathfinder.cli.operator")
#: A role gives work in hand 8 s (PATHFINDER_STOP_SECONDS) and ends within 10.
STOP_SECONDS = 12
DATABASE_URL, BROKER_URL = "PATHFINDER_DATABASE_URL", "PATHFINDER_BROKER_URL"
BROKER_PASSWORDS, BROKER_SECRET = "PATHFINDER_BROKER_PASSWORDS", "PATHFINDER_BROKER_SECRET"
#: Agents never talk to PostgreSQL, and are nobody but their node to RabbitMQ: they do not learn how to either.
NOT_FOR_NODES = frozenset({DATABASE_URL, BROKER_PASSWORDS, BROKER_SECRET})


def role_program(name: str, roles: tuple[str, ...], environment: Mapping[str, str], priority: int = 400) -> Program:
    """`pathfinder run ROLE…` under supervision."""
    command = (*OPERATOR, "run", *roles)
    return Program(name, command, priority=priority, environment=environment, stop_seconds=STOP_SECONDS)


@dataclass(frozen=True)
class AgentOrder:
    """What one node's agent is told."""

    node: str
    api_url: str
    broker_url: str
    join_token: str
    state_dir: Path
    #: The LXD it drives; None for a simulation.
    lxd_socket: Path | None

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """As settings. `settings` are the user's own; what is ours to say wins over them."""
        kept = {key: value for key, value in settings.items() if key not in NOT_FOR_NODES}
        runtime = {"PATHFINDER_RUNTIME": "simulated"}
        if self.lxd_socket:
            runtime = {"PATHFINDER_RUNTIME": "lxd", "PATHFINDER_LXD_SOCKET": str(self.lxd_socket)}
        return (
            kept
            | runtime
            | {
                "PATHFINDER_NODE_NAME": self.node,
                "PATHFINDER_API_URL": self.api_url,
                BROKER_URL: self.broker_url,
                "PATHFINDER_JOIN_TOKEN": self.join_token,
                "PATHFINDER_STATE_DIR": str(self.state_dir),
            }
        )

    def program(self, settings: Mapping[str, str]) -> Program:
        """The agent under supervision."""
        return role_program("agent", ("agent",), self.environment(settings), priority=500)

    def programs(self, settings: Mapping[str, str]) -> list[Program]:
        """The agent, and the warden beside it where containers are real.

        The warden is stopped first: it would take an agent that was stopped for one that hangs.
        """
        warden = role_program("warden", ("warden",), self.environment(settings), priority=510)
        return [self.program(settings), *([warden] if self.lxd_socket else [])]


def user_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The `PATHFINDER_…` settings of the user's environment, which every role gets; where the home is, is not one."""
    prefix, own = "PATHFINDER_", {"PATHFINDER_HOME"}
    return {key: value for key, value in environment.items() if key.startswith(prefix) and key not in own}

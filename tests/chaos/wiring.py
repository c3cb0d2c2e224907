"""Who is who on the simulated stage: names, addresses and ports, written by the stage and read by its processes."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """The stage. Every node and role reaches RabbitMQ, and nodes the API, through an address of its own on the wire;
    every role reaches PostgreSQL through another one.

    `links` maps a name to its loopback address; URLs hold `{host}` where that belongs.
    """

    nodes: int
    hosts: int
    links: dict[str, str]
    broker_port: int
    api_port: int
    database_port: int
    broker_upstream: int
    api_upstreams: list[int]
    database_upstream: int
    broker_url: str
    database_url: str
    join_token: str
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> "Plan":
        """The plan that was written to `root`."""
        return cls(**json.loads((root / "stage.json").read_text()))

    def write(self, root: Path) -> None:
        """Keep it for the processes of the stage."""
        (root / "stage.json").write_text(json.dumps(asdict(self)))

    def numbers(self, host: int) -> Iterator[int]:
        """The nodes whose agents share a process."""
        return (number for number in range(1, self.nodes + 1) if number % self.hosts == host % self.hosts)

    def host_of(self, node: str) -> int:
        """The process a node's agent is in."""
        return int(node.removeprefix("node-")) % self.hosts or self.hosts

    def node(self, number: int) -> str:
        """A node's name."""
        return node_name(number)

    def directory(self, root: Path, number: int) -> Path:
        """A machine's disk."""
        return root / "machines" / self.node(number)

    def broker_of(self, link: str) -> str:
        """RabbitMQ as that node or role reaches it."""
        return self.broker_url.replace("{host}", self.links[link])

    def database_of(self, role: str) -> str:
        """PostgreSQL as that role reaches it."""
        return self.database_url.replace("{host}", self.links[database_link(role)])

    def agent_settings(self, root: Path, number: int) -> dict[str, Any]:
        """The settings of one agent."""
        name = self.node(number)
        return self.settings | {
            "broker_url": self.broker_of(name),
            "api_url": f"http://{self.links[name]}:{self.api_port}",
            "join_token": self.join_token,
            "node_name": name,
            "node_address": self.links[name],
            "state_dir": self.directory(root, number),
            "runtime": "simulated",
            "agent_parallel": 4,
        }


def node_name(number: int) -> str:
    """`node-007`."""
    return f"node-{number:03d}"


def node_address(number: int) -> str:
    """A node's own loopback address."""
    return f"127.77.{number // 250}.{number % 250 + 1}"


def role_address(number: int) -> str:
    """A role's own loopback address."""
    return f"127.78.0.{number + 1}"


def database_link(role: str) -> str:
    """What a role's link to PostgreSQL is called."""
    return f"{role}.database"


def database_address(number: int) -> str:
    """The loopback address of a role's link to PostgreSQL."""
    return f"127.79.0.{number + 1}"

"""Putting a process together: settings, logs, database, and the brokers of its roles."""

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from pathfinder.broker import topology
from pathfinder.broker.connection import Broker
from pathfinder.broker.login import Login, is_anonymous, role_user, split
from pathfinder.domain.errors import Invalid
from pathfinder.settings import Settings

if TYPE_CHECKING:  # nodes load nothing of PostgreSQL, nor NumPy
    from pathfinder.scheduling.policy import Rules
    from pathfinder.store.database import Database
    from pathfinder.store.fleets import KnownFleet
    from pathfinder.store.secrets import Vault

#: What a part says of itself when nothing is wrong with it.
OK = "ok"


@dataclass(frozen=True, slots=True)
class Part:
    """Something a process needs: `ok`, or what is wrong with it, and since when that has been so."""

    words: str
    since: datetime

    @property
    def ok(self) -> bool:
        """Whether it works."""
        return self.words == OK


#: Roles that run on nodes: they never talk to PostgreSQL.
ON_NODES = frozenset({"agent", "warden"})


@dataclass
class Process:
    """What the roles of one process share.

    `stopping` is set by SIGTERM: finish the work in hand and return. `leading` names what this process is the one
    leader of at this moment, like `controller`; workers/leadership.py keeps it true. `fleets` is what its scheduler
    knows of each cluster's nodes. `told` holds what its roles themselves say of parts they need; `parts` is what
    pathfinder/health.py last saw of all parts. `listen` is where it answers `/readyz` and `/metrics`, if it does.
    `node_login` is who the node of its agent is to RabbitMQ, as soon as that is known.
    """

    settings: Settings
    roles: tuple[str, ...] = ()
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    brokers: dict[str, Broker] = field(default_factory=dict)
    leading: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    fleets: "dict[UUID, KnownFleet]" = field(default_factory=dict)
    listen: str | None = None
    node_login: Callable[[], Login] | None = None

    def broker(self, role: str) -> Broker:
        """The role's own way to RabbitMQ; remembered, so that readiness can be told. Raises Invalid where it cannot
        tell RabbitMQ who it is.
        """
        if role not in self.brokers:
            login = self._node_login if role == "agent" else partial(_role_login, self.settings, role)
            login()
            settings, declare = self.settings, topology.declaring(role)
            self.brokers[role] = Broker(settings.broker_url, f"pathfinder-{role}", declare, settings.ca_file, login)
        return self.brokers[role]

    def _node_login(self) -> Login | None:
        return self.node_login() if self.node_login else None

    @cached_property
    def database(self) -> "Database":
        """What connects it to PostgreSQL; nothing is connected before it is used."""
        from pathfinder.store.database import Database

        return Database(self.settings.database_url, self.settings.database_pool_size, self.settings.ca_file)

    async def close(self) -> None:
        """Give back what it has open."""
        if "database" in self.__dict__:
            await self.database.close()

    @cached_property
    def vault(self) -> "Vault":
        """What opens the secrets of containers here."""
        from pathfinder.store.secrets import Vault  # agents need no keys

        return Vault(self.settings.secret_keys)

    @cached_property
    def rules(self) -> "Rules":
        """The filters and scorers that policies may name here: the built-in ones, and those of installed packages."""
        from pathfinder.plugins import discovered  # agents need no NumPy

        return discovered()


def _role_login(settings: Settings, role: str) -> Login | None:
    if password := settings.broker_passwords.get(role):
        return Login(role_user(role), password.get_secret_value())
    if any(map(is_anonymous, split(settings.broker_url))):
        raise Invalid(
            f"PATHFINDER_BROKER_URL names no user, and PATHFINDER_BROKER_PASSWORDS has no password of the role {role}."
        )
    return None


def configure_logging(settings: Settings) -> None:
    """One line an event on standard error: for people on a terminal, JSON elsewhere."""
    level = getattr(logging, settings.log_level.upper())
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # Connection trouble is told once, by broker/connection.py and store/; these tell it again with a traceback.
    for name in ("aio_pika", "aiormq", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

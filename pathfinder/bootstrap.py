"""Putting a process together: settings, logs, database, and the brokers of its roles."""

import asyncio
import logging
import sys
from dataclasses import dataclass, field

import structlog

from pathfinder.broker.connection import Broker
from pathfinder.settings import Settings
from pathfinder.store.database import Database


@dataclass
class Process:
    """What the roles of one process share.

    `stopping` is set by SIGTERM: finish the work in hand and return. `leading` names what this process is the one
    leader of at this moment, like `controller`; workers/leadership.py keeps it true.
    """

    settings: Settings
    database: Database
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    brokers: dict[str, Broker] = field(default_factory=dict)
    leading: set[str] = field(default_factory=set)

    def broker(self, role: str) -> Broker:
        """The role's own way to RabbitMQ; remembered, so that readiness can be told."""
        return self.brokers.setdefault(role, Broker(self.settings.broker_url, f"pathfinder-{role}"))


def process(settings: Settings) -> Process:
    """A process with these settings; nothing is connected yet."""
    return Process(settings, Database(settings.database_url, settings.database_pool_size))


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
    # Connection trouble is told once, by broker/connection.py; these tell it again with a traceback.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

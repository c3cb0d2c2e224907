"""The Python client of Pathfinder's HTTP API: `pfi`, tests and other programs use it."""

from pathfinder.client.client import Client
from pathfinder.client.errors import ApiError, BadArgument, ClientError, UnexpectedAnswer, Unreachable, Untrusted
from pathfinder.client.selection import EventSelection, Selection

__all__ = [
    "ApiError",
    "BadArgument",
    "Client",
    "ClientError",
    "EventSelection",
    "Selection",
    "UnexpectedAnswer",
    "Unreachable",
    "Untrusted",
]

"""What LXD tells by itself, over the websocket it has for that: which instances end."""

from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import orjson
from websockets.asyncio.client import unix_connect
from websockets.exceptions import WebSocketException

from pathfinder.runtime.port import RuntimeUnreachable

_EVENTS = "ws://lxd/1.0/events?type=lifecycle"
#: LXD's words for an instance that ended by itself, and for one that was made to.
_ENDINGS = frozenset({"instance-shutdown", "instance-stopped"})
_SECONDS = 10.0


async def endings(socket: Path) -> AsyncGenerator[str]:
    """Hostnames of instances as they end; see the port."""
    try:
        # LXD itself asks now and then whether somebody still listens.
        async with unix_connect(
            str(socket), _EVENTS, compression=None, ping_interval=None, open_timeout=_SECONDS, close_timeout=1
        ) as events:
            async for message in events:
                if (hostname := ended(message)) is not None:
                    yield hostname
    except (OSError, WebSocketException) as error:
        raise RuntimeUnreachable(f"LXD does not tell what happens: {error}") from error
    raise RuntimeUnreachable("LXD tells no more of what happens.")


def ended(message: str | bytes) -> str | None:
    """The hostname of the instance whose end this event tells of; None if it tells of something else."""
    try:
        told = orjson.loads(message)["metadata"]
        if told["action"] not in _ENDINGS:
            return None
        return unquote(urlsplit(told["source"]).path.rpartition("/")[2]) or None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None

"""api: serves the HTTP API until told to stop."""

import asyncio
import socket

import structlog

from api import safety
from api.app import create_app
from api.gauge import Gauge
from api.tail import Tail
from api.uses import Uses
from pathfinder import serving
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Invalid

log = structlog.get_logger()


async def run(process: Process) -> None:
    """Serve until told to stop; open requests are finished, streams are ended."""
    await safety.check(process)
    sockets = [_listen(address) for address in process.settings.api_listen.split(",")]
    gauge = Gauge(process)
    tail = Tail(process, gauge.watch)
    uses = Uses(process)
    app = create_app(process, tail, gauge, uses)
    server = serving.server(app, graceful_seconds=3, proxies=process.settings.tls_proxies)
    following = asyncio.create_task(tail.run())
    measuring = asyncio.create_task(gauge.run())
    noting = asyncio.create_task(uses.run())
    answering = asyncio.create_task(server.serve(sockets))
    log.info("listening", addresses=process.settings.api_listen)
    stopped = asyncio.create_task(process.stopping.wait())
    await asyncio.wait({answering, following, measuring, noting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    process.stopping.set()
    server.should_exit = True
    await asyncio.gather(answering, following, measuring, noting, stopped)


def _listen(address: str) -> socket.socket:
    try:
        return serving.bind(*serving.split(address))
    except ValueError as error:
        raise Invalid(f"PATHFINDER_API_LISTEN is not right: {error}.") from error
    except OSError as error:
        raise Invalid(
            f"Cannot listen on {address}: {error.strerror}. Set PATHFINDER_API_LISTEN to a free address."
        ) from error

"""api: serves the HTTP API until told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn

from api.app import create_app
from api.gauge import Gauge
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Invalid

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def run(process: Process) -> None:
    """Serve until told to stop; open requests are finished, streams are ended."""
    sockets = [_listen(address) for address in process.settings.api_listen.split(",")]
    gauge = Gauge(process)
    tail = Tail(process, gauge.watch)
    config = uvicorn.Config(
        create_app(process, tail, gauge),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    server = _Server(config)
    following = asyncio.create_task(tail.run())
    measuring = asyncio.create_task(gauge.run())
    serving = asyncio.create_task(server.serve(sockets))
    log.info("listening", addresses=process.settings.api_listen)
    stopped = asyncio.create_task(process.stopping.wait())
    await asyncio.wait({serving, following, measuring, stopped}, return_when=asyncio.FIRST_COMPLETED)
    process.stopping.set()
    server.should_exit = True
    await asyncio.gather(serving, following, measuring, stopped)


def _listen(address: str) -> socket.socket:
    host, _, port = address.strip().rpartition(":")
    if not host or not port.isdigit():
        raise Invalid(f"{address!r} in PATHFINDER_API_LISTEN is not an address; write HOST:PORT.")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=2048)
    except OSError as error:
        raise Invalid(
            f"Cannot listen on {address}: {error.strerror}. Set PATHFINDER_API_LISTEN to a free address."
        ) from error

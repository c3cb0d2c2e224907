"""api: serves the HTTP API until told to stop."""

import asyncio
import socket

import structlog

from api import safety
from api.app import create_app
from api.gauge import Gauge
from api.tail import Tail
from api.uses import Uses
from api.watching import Watching
from pathfinder import serving
from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.domain.errors import Invalid
from pathfinder.server_certificate import ServerCertificate
from pathfinder.settings import Settings

log = structlog.get_logger()

#: How soon a renewed certificate is shown.
RENEWAL_SECONDS = 5.0


async def run(process: Process) -> None:
    """Serve until told to stop; open requests are finished, streams are ended."""
    await safety.check(process)
    certificate = _certificate(process.settings)
    sockets = [_listen(address) for address in process.settings.api_listen.split(",")]
    gauge = Gauge(process)
    watching = Watching(process)
    tail = Tail(process, gauge.watch, watching.serve)
    uses = Uses(process)
    app = create_app(process, tail, gauge, uses, watching)
    context = certificate.context if certificate else None
    server = serving.server(app, graceful_seconds=3, proxies=process.settings.tls_proxies, context=context)
    following = asyncio.create_task(tail.run())
    measuring = asyncio.create_task(gauge.run())
    noting = asyncio.create_task(uses.run())
    answering = asyncio.create_task(server.serve(sockets))
    log.info("listening", addresses=process.settings.api_listen, tls=certificate is not None)
    stopped = asyncio.create_task(process.stopping.wait())
    renewing = asyncio.create_task(_renew(certificate, process.stopping) if certificate else process.stopping.wait())
    parts = (answering, following, measuring, noting, renewing, stopped)
    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    process.stopping.set()
    server.should_exit = True
    await asyncio.gather(*parts)


def _certificate(settings: Settings) -> ServerCertificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return ServerCertificate(settings.tls_certificate, settings.tls_key)


async def _renew(certificate: ServerCertificate, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        certificate.refresh()
        await pause(stopping, RENEWAL_SECONDS)


def _listen(address: str) -> socket.socket:
    try:
        return serving.bind(*serving.split(address))
    except ValueError as error:
        raise Invalid(f"PATHFINDER_API_LISTEN is not right: {error}.") from error
    except OSError as error:
        raise Invalid(
            f"Cannot listen on {address}: {error.strerror}. Set PATHFINDER_API_LISTEN to a free address."
        ) from error

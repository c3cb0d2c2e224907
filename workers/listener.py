"""Each process's own small HTTP listener: `/healthz`, `/readyz`, `/metrics`. The api role serves the three itself."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pathfinder import health, serving, telemetry
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Invalid

log = structlog.get_logger()

#: Each role's port; a process with several roles has that of the first of them here.
FIRST = 9840
PORTS = {"relay": 9841, "scheduler": 9842, "recorder": 9843, "controller": 9844, "agent": 9845, "warden": 9846}

#: Where a role's port is taken, mostly by another process of that role: the next tried is this much higher.
STEP = 10
TRIES = 20


@asynccontextmanager
async def listening(process: Process) -> AsyncIterator[None]:
    """Answer for `process` while the context is open; `process.listen` says where.

    Work never waits for its watchers: where no address can be had, the log says so and the process works without.
    Raises Invalid for a setting that is no address.
    """
    found = _socket(process)
    if found is None:
        yield
        return
    server = serving.server(create_app(process), graceful_seconds=1)
    answering = asyncio.create_task(server.serve([found]))
    try:
        yield
    finally:
        server.should_exit = True
        await answering


def create_app(process: Process) -> Starlette:
    """The three routes."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        status, document = await health.readiness(process)
        return JSONResponse(document, status)

    async def metrics(_: Request) -> Response:
        await health.check(process)
        return Response(telemetry.exposition(), media_type=telemetry.MEDIA_TYPE)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


def _socket(process: Process) -> socket.socket | None:
    """The listening socket, if there is to be one; sets `process.listen`."""
    settings = process.settings
    if "api" in process.roles:
        process.listen = settings.api_listen.split(",")[0].strip()
        if "health_listen" not in settings.model_fields_set:
            return None
    if not settings.health_listen:
        return None
    reason = ""
    for host, port in _addresses(settings.health_listen, process.roles):
        try:
            bound = serving.bind(host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            continue
        port = bound.getsockname()[1]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        process.listen = process.listen or address
        log.info("listening", health=address)
        return bound
    log.error("nobody can ask this process how it is", reason=reason, hint="set PATHFINDER_HEALTH_LISTEN to a free one")
    return None


def _addresses(wanted: str, roles: Sequence[str]) -> list[tuple[str, int]]:
    """The addresses to be tried in turn. `wanted` is HOST:PORT, then it is the only one, or HOST alone."""
    try:
        return [serving.split(wanted)]
    except ValueError:
        port = next((port for role, port in PORTS.items() if role in roles), FIRST)
    try:
        host, _ = serving.split(f"{wanted}:{port}")
    except ValueError:
        words = f"PATHFINDER_HEALTH_LISTEN={wanted!r} is not an address; write HOST or HOST:PORT."
        raise Invalid(words) from None
    return [(host, port + STEP * n) for n in range(TRIES)] + [(host, 0)]

"""What happens to every request: it is measured, it has a trace id, and its body has a bound."""

import re
import time
from uuid import uuid4

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from pathfinder import telemetry

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_TRACE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class TraceIds:
    """Takes the caller's `X-Request-Id`, or makes one, and gives it back; logs and events carry it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the id for the time of the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        scope["trace_id"] = given if _TRACE_ID.fullmatch(given) else uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", scope["trace_id"].encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=scope["trace_id"]):
            await self._app(scope, receive, send_with_id)


class Measured:
    """Counts requests by route, method and status, and observes how long they take."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, streaming = 500, False

        async def send_and_look(message: Message) -> None:
            nonlocal status, streaming
            if message["type"] == "http.response.start":
                status = message["status"]
                streaming = dict(message["headers"]).get(b"content-type", b"").startswith(b"text/event-stream")
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, send_and_look)
        finally:
            # Paths no route takes, and methods of somebody's own, are without number: as labels they would fill the
            # memory.
            route = getattr(scope.get("route"), "path", "none")
            if scope["path"].startswith(self._prefix) and route.startswith("/") and not route.startswith(self._prefix):
                route = self._prefix + route  # an included router's route does not know where it was included
            method = scope["method"] if scope["method"] in METHODS else "other"
            telemetry.REQUESTS.labels(method, route, status).inc()
            if not streaming:
                telemetry.REQUEST_SECONDS.labels(method, route).observe(time.perf_counter() - began)


class BodyLimit:
    """Answers 413 to bodies over `limit` bytes, whether or not their length was announced."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body first, so that nothing begins before its size is known to be right."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > self._limit:
                detail = f"The body is over {self._limit} bytes; send fewer containers in one batch."
                await problem(Request(scope), 413, "body-too-large", detail)(scope, receive, send)
                return
            if not message.get("more_body"):
                break
        done = False

        async def replay() -> Message:
            nonlocal done
            if done:
                return await receive()
            done = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, replay, send)

"""HTTP with one server: address, token, time-outs, retries and errors. It knows no nouns."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import stamina
from pydantic import BaseModel, ValidationError

from pathfinder import tls
from pathfinder.client.errors import ApiError, BadArgument, ClientError, UnexpectedAnswer, Unreachable, Untrusted
from pathfinder.client.servers import AnyServer
from pathfinder.domain.errors import Invalid
from pathfinder.domain.views import Problem

BASE = "/api/v3"
#: Longer than two keep-alives of the event stream (15 s each): silence beyond it means the peer is gone.
STREAM_READ_SECONDS = 35.0
_TIMEOUTS = httpx2.Timeout(30.0, connect=5.0)
_STREAM_TIMEOUTS = httpx2.Timeout(30.0, connect=5.0, read=STREAM_READ_SECONDS)
_LOOPBACK = ("localhost", "127.", "::1", "[::1]")
#: What a proxy says, in its own words instead of a problem document, when nothing stands behind it.
_NOTHING_BEHIND = (httpx2.codes.BAD_GATEWAY, httpx2.codes.SERVICE_UNAVAILABLE, httpx2.codes.GATEWAY_TIMEOUT)

TOO_MANY = httpx2.codes.TOO_MANY_REQUESTS

#: A server that is overloaded is waited for so long, unless its user says otherwise.
PATIENCE_SECONDS = 60.0
_RANDOM = SystemRandom()

Params = Sequence[tuple[str, str]]
View = TypeVar("View", bound=BaseModel)
#: Told when an overloaded server is waited for: what it said, and for how many seconds.
OnWait = Callable[[ApiError, float], None]


class Connection:
    """Requests to one server, or to any of several, separated by commas. `transport` replaces the wire in tests.

    `patience` is how many seconds an overloaded server is waited for before its refusal is raised.
    """

    def __init__(
        self,
        server: str,
        token: str = "",
        *,
        ca_file: str | Path | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        patience: float = PATIENCE_SECONDS,
        on_wait: OnWait | None = None,
    ) -> None:
        urls = [_address(each.strip().rstrip("/")) for each in server.split(",")]
        local = all(url.host.startswith(_LOOPBACK) for url in urls)
        verify = _verify(urls, ca_file)
        if not (token.isascii() and token.isprintable()):
            raise BadArgument("The token holds characters that no token has; copy it again.")
        self._patience, self._on_wait = patience, on_wait
        self.server = ", ".join(str(url).rstrip("/") for url in urls)
        if len(urls) > 1:
            transport = AnyServer(urls, transport or httpx2.AsyncHTTPTransport(verify=verify, trust_env=not local))
        self._http = httpx2.AsyncClient(
            base_url=str(urls[0]).rstrip("/") + BASE,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUTS,
            transport=transport,
            verify=verify,
            # A proxy set for the Internet cannot reach this machine's own loopback.
            trust_env=not local,
        )

    async def close(self) -> None:
        """Close every connection to the server."""
        await self._http.aclose()

    async def ask(
        self,
        view: type[View],
        method: str,
        path: str,
        *,
        params: Params = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        seconds: float | None = None,
    ) -> View:
        """The answer to a request as `view`. See `request` for `repeatable` and `seconds`."""
        response = await self.request(
            method, path, params=params, body=body, headers=headers, repeatable=repeatable, seconds=seconds
        )
        try:
            return view.model_validate_json(response.content)
        except ValidationError as exc:
            raise UnexpectedAnswer(self.server, f"{method} {path} gave no {view.__name__}") from exc

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        seconds: float | None = None,
    ) -> httpx2.Response:
        """Send a request, again where that is safe, and return a successful response.

        A server that is overloaded is asked again when it said (Retry-After), as long as there is patience.

        `repeatable` says that carrying the request out twice is the same as once; GETs are by themselves. `seconds` is
        how long the answer may take, if longer than usual.
        """
        limits = _TIMEOUTS if seconds is None else httpx2.Timeout(seconds, connect=5.0)

        def build() -> httpx2.Request:
            return self._http.build_request(
                method, path, params=list(params), json=body, headers=headers, timeout=limits
            )

        return await self._exchange(build, repeatable=method == "GET" if repeatable is None else repeatable)

    @asynccontextmanager
    async def stream(self, path: str, *, params: Params, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """An open response to a GET, its body unread; whatever breaks while it is read becomes `Unreachable`."""

        def build() -> httpx2.Request:
            return self._http.build_request("GET", path, params=list(params), headers=headers, timeout=_STREAM_TIMEOUTS)

        response = await self._exchange(build, repeatable=True, stream=True)
        try:
            yield response
        except httpx2.SSEError as exc:
            raise UnexpectedAnswer(self.server, f"{path} is no event stream") from exc
        except httpx2.TransportError as exc:
            raise self._unreachable(exc, sent=True) from exc
        finally:
            await response.aclose()

    async def _exchange(
        self, build: Callable[[], httpx2.Request], *, repeatable: bool, stream: bool = False
    ) -> httpx2.Response:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience
        while True:
            try:
                return await self._tries(build, repeatable=repeatable, stream=stream)
            except ApiError as refusal:
                # A little later than told, each client for itself: not all of them in the same instant.
                wait = refusal.retry_after * _RANDOM.uniform(1.0, 1.5)
                if (
                    not (repeatable and (refusal.overloaded or refusal.status == TOO_MANY))
                    or clock() + wait >= deadline
                ):
                    raise
                if self._on_wait is not None:
                    self._on_wait(refusal, wait)
                await asyncio.sleep(wait)

    async def _tries(self, build: Callable[[], httpx2.Request], *, repeatable: bool, stream: bool) -> httpx2.Response:
        def again(exc: Exception) -> bool:
            if isinstance(exc, Untrusted):
                return False
            if isinstance(exc, Unreachable):
                return repeatable or not exc.sent
            return repeatable and isinstance(exc, ApiError) and exc.unavailable and not exc.overloaded

        async for attempt in stamina.retry_context(
            on=again, attempts=4, timeout=10.0, wait_initial=0.1, wait_max=1.0, wait_jitter=0.2
        ):
            with attempt:
                return await self._once(build(), stream=stream)
        raise AssertionError("stamina ends with a result or the last error")

    async def _once(self, request: httpx2.Request, *, stream: bool) -> httpx2.Response:
        try:
            response = await self._http.send(request, stream=stream)
            if response.is_success:
                return response
            await response.aread()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as exc:
            raise self._unreachable(exc, sent=False) from exc
        except httpx2.TransportError as exc:
            raise self._unreachable(exc, sent=True) from exc
        raise self._refusal(response)

    def _unreachable(self, exc: httpx2.TransportError, *, sent: bool) -> Unreachable:
        if refused := tls.refusal(exc):
            return Untrusted(self.server, refused.reason, refused.advice)
        return Unreachable(self.server, _reason(exc), sent=sent)

    def _refusal(self, response: httpx2.Response) -> ClientError:
        try:
            return ApiError(
                Problem.model_validate_json(response.content), _seconds(response.headers.get("retry-after"))
            )
        except ValidationError:
            answer = f"{response.status_code} {response.reason_phrase}".strip()
        if response.status_code in _NOTHING_BEHIND:
            return Unreachable(self.server, f"a proxy answered {answer}", sent=True)
        return UnexpectedAnswer(self.server, f"{response.request.method} {response.request.url.path} answered {answer}")


def _seconds(retry_after: str | None) -> float:
    """The header as our servers write it; other forms, and a lie of hours, are as good as a few seconds."""
    return min(float(retry_after), 60.0) if retry_after and retry_after.isdigit() else 5.0


def segment(name: str) -> str:
    """`name` as one segment of a path: it can never reach another route."""
    if name in ("", ".", ".."):
        raise BadArgument(f"{name!r} is not a name")
    return quote(name, safe="")


def _address(server: str) -> httpx2.URL:
    try:
        url = httpx2.URL(server)
        if url.scheme in ("http", "https") and url.host:
            return url
    except httpx2.InvalidURL:
        pass
    raise BadArgument(f"{server!r} is not the address of a server; write http://HOST:PORT or https://HOST:PORT")


def _verify(urls: Sequence[httpx2.URL], ca_file: str | Path | None) -> ssl.SSLContext | bool:
    # Loading certificate authorities takes longer than a whole request; plain HTTP never looks at them.
    if not any(url.scheme == "https" for url in urls):
        return False
    try:
        return tls.shared(Path(ca_file) if ca_file else None, "http")
    except Invalid as unusable:
        raise BadArgument(str(unusable)) from unusable


def _reason(exc: httpx2.TransportError) -> str:
    """Why a connection failed, in a few words; the libraries' own words are often empty or hold two nested errors."""
    for cause in tls.causes(exc):
        if isinstance(cause, socket.gaierror):
            return "its name is not known"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    if isinstance(exc, httpx2.TimeoutException):
        return "no answer in time"
    if isinstance(exc, httpx2.RemoteProtocolError):
        return "the server broke off"
    return str(exc).rstrip(".") or type(exc).__name__

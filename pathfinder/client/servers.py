"""Several servers with the same API behind one client: the one that answered last is asked, else the next one."""

from collections.abc import Sequence

import httpx2


class AnyServer(httpx2.AsyncBaseTransport):
    """A transport that sends requests to one of `servers`, over `inner`.

    A server that cannot be reached is passed over at once. One that breaks off while it is asked is for the caller to
    judge, who knows whether the request may be repeated; the repetition goes to the next server.
    """

    def __init__(self, servers: Sequence[httpx2.URL], inner: httpx2.AsyncBaseTransport) -> None:
        self._servers, self._inner = list(servers), inner
        self._at = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it. Raises TransportError of the last server when none can be reached."""
        for left in reversed(range(len(self._servers))):
            server = self._servers[self._at]
            request.url = request.url.copy_with(scheme=server.scheme, netloc=server.netloc)
            request.headers["Host"] = server.netloc.decode("ascii")
            try:
                return await self._inner.handle_async_request(request)
            except httpx2.TransportError as error:
                self._at = (self._at + 1) % len(self._servers)
                if not left or not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
                    raise
        raise AssertionError("there is at least one server")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

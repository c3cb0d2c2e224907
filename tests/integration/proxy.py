"""A TCP proxy that can fall silent: connections stay open, and nothing moves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Forwards connections to one server. `silent` is what a half-dead connection looks like from both sides."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._links: list[_Link] = []
        self._serving: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def count(self) -> int:
        """How many connections were made so far."""
        return len(self._links)

    def silence(self) -> None:
        """Forward nothing any more over the connections there are, without closing them. New ones work."""
        for link in self._links:
            link.silent = True

    def cut(self) -> None:
        """Close every connection."""
        for link in self._links:
            link.close()

    async def end(self) -> None:
        """Close every connection, and those that are just being made."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self.cut()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until one of its ends closes it."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs = await asyncio.open_connection(*self._server)
        except (OSError, asyncio.CancelledError):
            writer.close()
            return
        link = _Link((reader, writer), theirs)
        self._links.append(link)
        await link.run()


class _Link:
    """One client's connection and the one to the server in its place."""

    def __init__(self, *ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._ends = ends
        self.silent = False

    async def run(self) -> None:
        (client, to_client), (server, to_server) = self._ends
        await asyncio.gather(self._forward(client, to_server), self._forward(server, to_client))

    def close(self) -> None:
        for _, writer in self._ends:
            writer.close()

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            # What arrives while silent is swallowed, so that the sender's buffers never fill: it notices nothing.
            while data := await source.read(1 << 16):
                if not self.silent:
                    target.write(data)
                    await target.drain()
        if not self.silent:
            self.close()


@asynccontextmanager
async def proxying(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy before that server, on a port of its own on loopback."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()

"""HTTP as cheap as it can be said in Python, so that the load takes little of the cores that are measured."""

import asyncio
import re
from collections.abc import Mapping


class Line:
    """One kept connection to an API."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        #: The head of the last answer.
        self.answered = b""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def enter(self, path: str, body: bytes) -> tuple[int, str]:
        """Begin a session: the status, and the cookies to send from then on, instead of a token."""
        self._head = "Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
        status = (await self.ask("POST", path, body))[0]
        cookies = re.findall(rb"^set-cookie: ([^;]+)", self.answered, re.MULTILINE | re.IGNORECASE)
        return status, "; ".join(cookie.decode() for cookie in cookies)

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and body of the answer."""
        if self._streams is None or self._streams[0].at_eof():  # an API closes what is not used for a while
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        line = f"{method} /api/v3{path} HTTP/1.1\r\n{self._head}{more}Content-Length: {len(body)}\r\n\r\n"
        writer.write(line.encode() + body)
        self.answered = await reader.readuntil(b"\r\n\r\n")
        head = self.answered.lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(head[9:12]), await reader.readexactly(length)


class Lines:
    """At most so many connections, each lent to one request at a time; no more are opened than are needed at once."""

    def __init__(self, port: int, token: str, many: int) -> None:
        self._free: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for _ in range(many):
            self._free.put_nowait(Line(port, token))

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and body of the answer, once a line is free."""
        line = await self._free.get()
        try:
            return await line.ask(method, path, body, headers)
        finally:
            self._free.put_nowait(line)

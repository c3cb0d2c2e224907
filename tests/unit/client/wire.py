"""What a server sends, made by hand: problem documents, events, and streams that break where a test wants it."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

import httpx2

from pathfinder.client import Client

SERVER = "http://pathfinder.test"
SUBJECT = UUID("00000000-0000-0000-0000-00000000beef")

Handler = Callable[[httpx2.Request], httpx2.Response]


def client(handler: Handler) -> Client:
    """A client whose wire is `handler`."""
    return Client(SERVER, "secret", transport=httpx2.MockTransport(handler))


def problem(status: int, detail: str, **more: Any) -> httpx2.Response:
    """A refusal."""
    document = {"type": "/problems/test", "title": "Test", "status": status, "detail": detail, **more}
    return httpx2.Response(status, json=document, headers={"Content-Type": "application/problem+json"})


def event(seq: int, kind: str = "container.scheduled", **body: Any) -> dict[str, Any]:
    """The `seq`th event."""
    return {
        "cursor": str(seq),
        "seq": seq,
        "at": "2026-11-23T20:30:05Z",
        "kind": kind,
        "cluster": "default",
        "subject": {"type": "container", "id": str(SUBJECT), "name": "web-01"},
        "node": "node-01",
        "actor": "user:admin",
        "generation": 1,
        "trace_id": "",
        "body": body,
    }


def sse(*events: dict[str, Any]) -> bytes:
    """Events as they travel."""
    return b"".join(f"id: {it['cursor']}\nevent: {it['kind']}\ndata: {json.dumps(it)}\n\n".encode() for it in events)


class Wire(httpx2.AsyncByteStream):
    """A response body in the pieces given, which ends by breaking off if `breaks`."""

    def __init__(self, pieces: Sequence[bytes], *, breaks: bool = True) -> None:
        self._pieces, self._breaks = pieces, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._breaks:
            raise httpx2.ReadError("connection reset")


def stream(*pieces: bytes, breaks: bool = True, date: str | None = None) -> httpx2.Response:
    """An event stream."""
    headers = {"Content-Type": "text/event-stream"} | ({"Date": date} if date else {})
    return httpx2.Response(200, headers=headers, stream=Wire(pieces, breaks=breaks))

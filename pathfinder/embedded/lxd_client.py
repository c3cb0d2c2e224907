"""LXD's REST API over its Unix socket, synchronously: the few calls that set a daemon up.

The agent's client is `pathfinder.runtime`; this one runs before there is an agent, and knows LXD and Incus alike.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from pathfinder.embedded.errors import EmbeddedError

Json = dict[str, Any]
#: A daemon that is there answers in milliseconds; importing an image or stopping containers takes a while.
ANSWER_SECONDS, WORK_SECONDS = 2.0, 300.0
_BYTES = {"Content-Type": "application/octet-stream"}


class LxdRefused(EmbeddedError):
    """LXD answered, and refused; the message is LXD's own."""

    def __init__(self, method: str, path: str, status: int, reason: str) -> None:
        self.status = status
        super().__init__(f"LXD refused {method} {path}: {reason}")


class LxdUnreachable(EmbeddedError):
    """LXD does not answer."""


class LxdClient:
    """One daemon. Raises LxdRefused for what it refuses, LxdUnreachable when it does not answer."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        """`GET /1.0/<path>`."""
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """Any call; work that LXD does in the background is waited for."""
        return self._finish(method, path, self._send(method, f"/1.0/{path}".rstrip("/"), json=body))

    def upload(self, path: str, content: bytes) -> Any:
        """`POST` raw bytes, such as an image."""
        return self._finish("POST", path, self._send("POST", f"/1.0/{path}", content=content, headers=_BYTES))

    def upload_file(self, path: str, file: Path) -> Any:
        """`POST` a file without holding it in memory."""
        with file.open("rb") as stream:
            return self._finish("POST", path, self._send("POST", f"/1.0/{path}", content=stream, headers=_BYTES))

    def exists(self, path: str) -> bool:
        """Whether `GET` finds something."""
        try:
            self.get(path)
        except LxdRefused as refusal:
            if refusal.status == httpx2.codes.NOT_FOUND:
                return False
            raise
        return True

    def _finish(self, method: str, path: str, response: httpx2.Response) -> Any:
        answer: Json = response.json()
        if answer["type"] == "error":
            raise LxdRefused(method, path, answer["error_code"], answer["error"])
        if answer["type"] == "async":
            done = self._send("GET", f"{answer['operation']}/wait").json()["metadata"]
            if done["status"] != "Success":
                raise LxdRefused(method, path, done["status_code"], done["err"])
            return done["metadata"]
        return answer["metadata"]

    def _send(self, method: str, url: str, **content: Any) -> httpx2.Response:
        try:
            return self._client.request(method, url, **content)
        except httpx2.TransportError as failure:
            raise LxdUnreachable(f"LXD does not answer: {failure}") from failure


@contextmanager
def connect(path: Path) -> Iterator[LxdClient]:
    """A client of the daemon whose socket is at `path`."""
    timeout = httpx2.Timeout(WORK_SECONDS, connect=ANSWER_SECONDS)
    # A Unix socket has no TLS, and loading certificate authorities takes longer than a whole call.
    transport = httpx2.HTTPTransport(uds=str(path), verify=False)
    with httpx2.Client(base_url="http://lxd", transport=transport, timeout=timeout) as client:
        yield LxdClient(client)


def is_trusted(path: Path) -> bool:
    """Whether a daemon answers there and lets us in. A socket file may outlive its daemon: only an answer counts."""
    if not _accepts(path):
        return False
    try:
        with connect(path) as lxd:
            return bool(lxd.get("")["auth"] == "trusted")
    except (LxdUnreachable, LxdRefused):
        return False


def _accepts(path: Path) -> bool:
    # httpx2 leaves its socket open when nobody listens on a Unix one, so that is found out without it.
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True

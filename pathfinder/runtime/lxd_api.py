"""Calls to LXD's REST API through pylxd, made awaitable: threads, deadlines and operations, and nothing else.

pylxd is synchronous and its models do hidden I/O, so only its raw `client.api` is used, inside threads, and only
plain JSON comes out. A thread cannot be cancelled: a call that ran out of time may still be carried out, and whoever
gets RuntimeUnreachable for it reads the instance again before deciding anything.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from pylxd import Client
from pylxd.client import get_session_for_url

from pathfinder.runtime.lxd_errors import Absent, from_sentence, translate
from pathfinder.runtime.port import OperationFailed, RuntimeUnreachable

Json = dict[str, Any]

#: Longest LXD may take to answer one call; long work answers at once with an operation.
CALL_SECONDS = 30.0
#: Length of one round of waiting for an operation, which is also how often its progress is seen.
ROUND_SECONDS = 1
#: An operation that changed nothing for so long is given up. Not a limit on its whole length: an image of 500 MB
#: over a slow line takes long and is well, as long as its progress moves.
QUIET_SECONDS = 180.0

_SUCCESS, _FAILURE = 200, 400


def default_threads() -> int:
    """Enough threads for every instance an agent works on at once (twice the cores) and its small questions."""
    return max(16, 4 * (os.cpu_count() or 1))


class Forgotten(OperationFailed):
    """LXD no longer knows the operation, so how it ended shows only in the instance itself."""


class LxdApi:
    """An LXD daemon's `/1.0`, over its Unix socket."""

    def __init__(self, socket: Path, threads: int | None = None) -> None:
        self.socket = socket
        self._pool = ThreadPoolExecutor(threads or default_threads(), thread_name_prefix="lxd")
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    async def get(self, *path: str, params: Json | None = None) -> Any:
        """The `metadata` of `GET /1.0/<path>`. Raises Absent, RuntimeUnreachable, OperationFailed."""
        return (await self._call("get", path, None, params))["metadata"]

    async def run(
        self,
        method: str,
        *path: str,
        body: Json | None = None,
        seen: Callable[[Json], None] | None = None,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        """Start an operation (`post`, `put` or `delete` on `/1.0/<path>`) and wait until it succeeded.

        `seen` gets the operation's metadata (download progress and such) about once a second.
        Raises what `lxd_errors` makes of LXD's answer, Forgotten, or OperationFailed when it fell silent.
        """
        answer = await self._call(method, path, body, None)
        if answer.get("type") == "async":
            operation = answer["operation"].rsplit("/", 1)[-1]
            await self._wait(operation, seen, quiet_seconds)

    async def begin(self, *path: str, body: Json) -> Json:
        """Start an operation (`post` on `/1.0/<path>`); what LXD tells of it at once. Raises as `get` does."""
        operation: Json = (await self._call("post", path, body, None))["metadata"]
        return operation

    async def put_file(self, hostname: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> None:
        """Write a file, or make a directory where there is no content. Raises as `get` does."""
        given: Json = {"params": {"path": path}, "headers": dict(headers), "data": content or b""}
        await self._in_thread(self._raw, "post", ("instances", hostname, "files"), given)

    async def close(self) -> None:
        """Give back threads and connections. Calls under way end by themselves; a process that ends waits for none."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for session in self._sessions:
            session.close()

    async def _wait(self, operation: str, seen: Callable[[Json], None] | None, quiet_seconds: float) -> None:
        clock = asyncio.get_running_loop()
        last, heard_at = None, clock.time()
        while True:
            try:
                state = await self.get("operations", operation, "wait", params={"timeout": ROUND_SECONDS})
            except Absent:
                raise Forgotten("LXD forgot the operation before telling how it ended.") from None
            if state["status_code"] >= _FAILURE:
                raise from_sentence(state["err"] or state["status"])
            if seen:
                seen(state["metadata"] or {})
            if state["status_code"] >= _SUCCESS:
                return
            if state["updated_at"] != last:
                last, heard_at = state["updated_at"], clock.time()
            elif clock.time() - heard_at > quiet_seconds:
                await self._give_up(operation, state["description"], quiet_seconds)

    async def _give_up(self, operation: str, description: str, quiet_seconds: float) -> None:
        with contextlib.suppress(OperationFailed):  # most operations cannot be cancelled
            await self._call("delete", ("operations", operation), None, None)
        raise OperationFailed(f"LXD's operation {description!r} made no progress for {quiet_seconds:g} s.")

    async def _call(self, method: str, path: tuple[str, ...], body: Json | None, params: Json | None) -> Json:
        arguments: Json = {"json": body} if body is not None else {}
        if params is not None:
            arguments["params"] = params
        answer: Json = await self._in_thread(self._request, method, path, arguments)
        return answer

    async def _in_thread(
        self, work: Callable[[str, tuple[str, ...], Json], Any], method: str, path: tuple[str, ...], arguments: Json
    ) -> Any:
        call = asyncio.get_running_loop().run_in_executor(self._pool, work, method, path, arguments)
        try:
            # requests' own time-out comes first; this one is for a thread that is stuck in spite of it.
            async with asyncio.timeout(CALL_SECONDS + 5):
                return await call
        except TimeoutError:
            raise RuntimeUnreachable("LXD did not answer in time; it may still be carrying the call out.") from None

    def _request(self, method: str, path: tuple[str, ...], arguments: Json) -> Json:
        answer: Json = self._answer(method, path, arguments, lambda response: response.json())
        return answer

    def _raw(self, method: str, path: tuple[str, ...], arguments: Json) -> str:
        text: str = self._answer(method, path, arguments, lambda response: response.content.decode(errors="replace"))
        return text

    def _answer(
        self, method: str, path: tuple[str, ...], arguments: Json, read: Callable[[requests.Response], Any]
    ) -> Any:
        try:
            node = self._client().api
            for segment in path:
                node = node[quote(segment, safe="")]
            return read(getattr(node, method)(**arguments))
        except Exception as error:
            raise translate(error) from error

    def _client(self) -> Client:
        """This thread's client: a `requests.Session` may not be shared between threads."""
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            url = f"http+unix://{quote(str(self.socket), safe='')}"
            session = _session(url)
            client = self._local.client = Client(endpoint=url, session=session, timeout=CALL_SECONDS)
            self._sessions.append(session)
        return client


def _session(url: str) -> requests.Session:
    """pylxd's session, made to keep one connection instead of one for each of the last 25 URLs it asked."""
    session: requests.Session = get_session_for_url(url)
    adapter: Any = session.get_adapter(url)
    adapter.get_connection_with_tls_context = lambda *_, **__: adapter.get_connection(url, None)
    return session

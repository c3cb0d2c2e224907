"""Commands and files in an instance, through LXD's API.

Commands are run over its WebSockets, which bound what is kept of the output, and can kill. LXD's other way records all
output on the node's disk, however much that is, and lets a command that never ends run for ever. A command whose caller
is gone is killed by LXD itself, which sees the connections end.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import orjson
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.instances import ExecResult
from pathfinder.runtime.lxd_api import Json, LxdApi
from pathfinder.runtime.lxd_errors import Absent, from_sentence
from pathfinder.runtime.port import OperationFailed, Refused, RuntimeUnreachable

#: How much of what a command writes is kept, in bytes: its end.
MOST_OUTPUT = 65_536

#: What a shell says, too, where there is no such command.
NOT_FOUND = 127

#: LXD's words for it.
_NO_COMMAND = ("command not found", "no such file or directory", "executable file not found")

_KILL = orjson.dumps({"command": "signal", "signal": 9}).decode()
#: LXD's status codes of what has ended, well or not.
_ENDED = 200


async def push(api: LxdApi, hostname: str, file: File) -> None:
    """Write a file; what is above it is made only where it is missing. Refused without the value of its secret."""
    if file.secret is not None:
        raise Refused(f"File {file.path!r} came without the value of secret {file.secret!r}.")
    headers = {
        "X-LXD-type": "file",
        "X-LXD-write": "overwrite",
        "X-LXD-mode": f"{int(file.mode, 8):04o}",
        "X-LXD-uid": str(file.uid),
        "X-LXD-gid": str(file.gid),
    }
    try:
        await api.put_file(hostname, file.path, file.content.encode(), headers)
    except (Absent, OperationFailed):
        for directory in reversed(PurePosixPath(file.path).parents[:-1]):
            with contextlib.suppress(OperationFailed):  # it is there
                made = {"X-LXD-type": "directory", "X-LXD-mode": "0755", "X-LXD-uid": "0", "X-LXD-gid": "0"}
                await api.put_file(hostname, str(directory), None, made)
        await api.put_file(hostname, file.path, file.content.encode(), headers)


async def execute(
    api: LxdApi, hostname: str, command: Sequence[str], timeout_seconds: float, environment: Mapping[str, str]
) -> ExecResult:
    """Run a command and hear what it writes; see the port."""
    body = {
        "command": list(command),
        "environment": dict(environment),
        "interactive": False,
        "wait-for-websocket": True,
    }
    output = _Tail()
    try:
        async with asyncio.timeout(timeout_seconds):
            return ExecResult(await _run(api, hostname, body, output), output.text)
    except TimeoutError:
        raise OperationFailed(f"{command[0]!r} did not end within {timeout_seconds:g} s.") from None
    except (OSError, WebSocketException) as error:
        raise RuntimeUnreachable(f"LXD broke off a command in {hostname!r}: {error}") from error


async def _run(api: LxdApi, hostname: str, body: Json, output: "_Tail") -> int:
    operation = await api.begin("instances", hostname, "exec", body=body)
    async with contextlib.AsyncExitStack() as stack:
        control, source, *outputs = [
            await stack.enter_async_context(_connect(api, operation, stream)) for stream in ("control", "0", "1", "2")
        ]
        try:
            async with asyncio.TaskGroup() as streams:
                streams.create_task(_end(source))
                for stream in outputs:
                    streams.create_task(_collect(stream, output))
            return await _exit_code(api, operation["id"])
        except asyncio.CancelledError:
            with contextlib.suppress(ConnectionClosed):
                await control.send(_KILL)
            raise


def _connect(api: LxdApi, operation: Json, stream: str) -> connect:
    secret = operation["metadata"]["fds"][stream]
    uri = f"ws://lxd/1.0/operations/{operation['id']}/websocket?secret={secret}"
    return unix_connect(
        str(api.socket), uri, compression=None, max_size=None, ping_interval=None, open_timeout=None, close_timeout=1
    )


async def _end(stream: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):  # the command may have ended
        await stream.send("")  # its input is empty


async def _collect(stream: ClientConnection, output: "_Tail") -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in stream:
            if not message:
                return
            output.add(message if isinstance(message, bytes) else message.encode())


async def _exit_code(api: LxdApi, operation: str) -> int:
    state: Json = {"status_code": 0}
    while state["status_code"] < _ENDED:
        try:
            state = await api.get("operations", operation, "wait", params={"timeout": 1})
        except Absent:
            raise OperationFailed("LXD forgot the command before telling how it ended.") from None
    exit_code = (state["metadata"] or {}).get("return")
    if exit_code is None and any(words in state["err"].lower() for words in _NO_COMMAND):
        return NOT_FOUND
    if exit_code is None:
        raise from_sentence(state["err"] or state["status"])
    return int(exit_code)


class _Tail:
    """The last of what was added."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, more: bytes) -> None:
        self._kept += more
        del self._kept[:-MOST_OUTPUT]

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

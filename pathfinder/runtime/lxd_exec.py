"""Commands and files in an instance, through LXD's REST API."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pathfinder.domain.bootstrapping import File
from pathfinder.domain.instances import ExecResult
from pathfinder.runtime.lxd_api import Json, LxdApi
from pathfinder.runtime.lxd_errors import Absent
from pathfinder.runtime.port import OperationFailed, RuntimeFailure

#: How much of each stream is kept, in characters: its end.
MOST_OUTPUT = 65_536

#: What a shell says, too, where there is no such command.
NOT_FOUND = 127

#: LXD's words for it.
_NO_COMMAND = ("command not found", "no such file or directory", "executable file not found")


async def push(api: LxdApi, hostname: str, file: File) -> None:
    """Write a file; what is above it is made only where it is missing."""
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
    """Run a command and read what it wrote. It cannot be ended from here: what is too slow runs on."""
    last: Json = {}
    body = {
        "command": list(command),
        "environment": dict(environment),
        "interactive": False,
        "wait-for-websocket": False,
        "record-output": True,
    }
    try:
        async with asyncio.timeout(timeout_seconds):
            await api.run(
                "post", "instances", hostname, "exec", body=body, seen=last.update, quiet_seconds=timeout_seconds + 60
            )
    except TimeoutError:
        raise OperationFailed(f"{command[0]!r} did not end within {timeout_seconds:g} s.") from None
    except OperationFailed as failure:
        if any(words in str(failure).lower() for words in _NO_COMMAND):
            return ExecResult(NOT_FOUND, str(failure))
        raise
    output = "".join([await _take(api, path) for _, path in sorted((last.get("output") or {}).items())])
    return ExecResult(int(last["return"]), output)


async def _take(api: LxdApi, path: str) -> str:
    """What is in a log of LXD's, which is removed: it would keep it for ever."""
    where = path.removeprefix("/1.0/").split("/")
    try:
        text = await api.text(*where)
    except RuntimeFailure:
        return ""
    with contextlib.suppress(RuntimeFailure):
        await api.delete(*where)
    return text[-MOST_OUTPUT:]

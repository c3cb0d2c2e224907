"""What was deleted or given up on this node, so that a command that comes late or twice does not bring it to life.

Kept on disk: copies of old commands also come after the agent has started anew.
"""

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import orjson
import structlog

from pathfinder.runtime.port import RuntimeFailure

log = structlog.get_logger()

#: Hostnames that are remembered, the latest ones; far more than a node deletes while a copy is under way. After as many
#: lines more the file is written anew, without the others.
REMEMBERED = 10_000


class FenceNotKept(RuntimeFailure):
    """The disk did not take a fence. It holds for as long as this agent runs."""


class Fences:
    """The highest generation of each hostname of `cluster` that was deleted or given up here; 0 where none was.

    The file has those of every cluster the node was in, one a line: cluster, hostname, generation. Lines of former
    versions name no cluster; they are taken for this one's.
    """

    def __init__(self, path: Path, cluster: str) -> None:
        self._path = path
        self._cluster = cluster
        self._highest = dict(list(_read(path, cluster).items())[-REMEMBERED:])
        #: Hostnames whose fences the disk did not take yet.
        self._unkept: set[str] = set()
        #: Of the file, which threads write, and how many lines it has.
        self._writing = threading.Lock()
        self._lines = 0
        if self._highest:
            self._shorten()

    def of(self, hostname: str) -> int:
        """Commands for this hostname up to that generation are stale."""
        return self._highest.get((self._cluster, hostname), 0)

    async def put(self, hostname: str, generation: int) -> None:
        """This generation is about to be deleted or given up; when this returns that is known for good.

        Raises FenceNotKept where the disk does not take it; the same call may work later.
        """
        key = (self._cluster, hostname)
        if generation > self.of(hostname):
            self._highest.pop(key, None)  # the latest are last
            self._highest[key] = generation
            self._unkept.add(hostname)
        if hostname in self._unkept:
            try:
                await asyncio.to_thread(self._append, hostname, self.of(hostname))
            except OSError as error:
                raise FenceNotKept(f"The node cannot note that {hostname} ended here: {error}.") from error
            self._unkept.discard(hostname)
        if self._lines >= 2 * REMEMBERED:
            for forgotten in list(self._highest)[:-REMEMBERED]:
                del self._highest[forgotten]
            await asyncio.to_thread(self._shorten)

    def _append(self, hostname: str, generation: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing, self._path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                line = orjson.dumps([self._cluster, hostname, generation]) + b"\n"
                if file.write(line) != len(line):
                    raise OSError("no space left for a whole line")
                os.fsync(file.fileno())
                self._lines += 1
            except OSError:
                with contextlib.suppress(OSError):  # half a line would spoil the next one
                    file.truncate(before)
                raise

    def _shorten(self) -> None:
        """Drop what no longer holds; through a second file, so that a crash leaves the one or the other."""
        draft = self._path.with_suffix(".new")
        try:
            with self._writing:
                # Whatever was appended so far was noted before, so it is among them.
                kept = list(self._highest.items())
                with draft.open("wb") as file:
                    file.writelines(orjson.dumps([*key, fence]) + b"\n" for key, fence in kept)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(self._path)
                self._lines = len(kept)
        except OSError as error:  # it goes on growing
            log.error("fences not shortened", error=str(error))


def _read(path: Path, cluster: str) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            *named, hostname, generation = orjson.loads(line)
            key = (str(named[0]) if named else cluster, str(hostname))
            fence = int(generation)
        except (orjson.JSONDecodeError, ValueError, TypeError):
            continue  # cut short by a kill
        found.pop(key, None)
        found[key] = fence
    return found

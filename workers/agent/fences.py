"""What was deleted or given up on this node, so that a command that comes late or twice does not bring it to life.

Kept on disk: copies of old commands also come after the agent has started anew.
"""

import asyncio
import os
from pathlib import Path

import orjson

#: Hostnames that are remembered, the latest ones; far more than a node deletes while a copy is under way.
REMEMBERED = 10_000


class Fences:
    """The highest generation of each hostname that was deleted or given up here; 0 where none was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._highest = dict(list(_read(path).items())[-REMEMBERED:])
        if self._highest:
            self._shorten()

    def of(self, hostname: str) -> int:
        """Commands for this hostname up to that generation are stale."""
        return self._highest.get(hostname, 0)

    async def put(self, hostname: str, generation: int) -> None:
        """This generation is about to be deleted or given up; when this returns that is known for good."""
        if generation > self.of(hostname):
            self._highest.pop(hostname, None)  # the latest are last
            self._highest[hostname] = generation
            await asyncio.to_thread(self._append, hostname, generation)

    def _append(self, hostname: str, generation: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(orjson.dumps([hostname, generation]) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _shorten(self) -> None:
        """Drop what no longer holds; through a second file, so that a crash leaves the one or the other."""
        draft = self._path.with_suffix(".new")
        draft.write_bytes(b"".join(orjson.dumps(fence) + b"\n" for fence in self._highest.items()))
        draft.replace(self._path)


def _read(path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            hostname, generation = orjson.loads(line)
        except (orjson.JSONDecodeError, ValueError, TypeError):
            continue  # cut short by a kill
        found.pop(hostname, None)
        found[hostname] = generation
    return found

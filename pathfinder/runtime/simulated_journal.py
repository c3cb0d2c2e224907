"""The simulated machine's disk: one JSON line for each change, so that a change costs the same at any size."""

import json
from dataclasses import asdict
from pathlib import Path

from pathfinder.domain.instances import Instance
from pathfinder.domain.lifecycle import ContainerType


class Journal:
    """Instances in a file of JSON lines; the last line about a hostname holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._shorten()
        self._file = path.open("a", buffering=1)

    def load(self) -> dict[str, Instance]:
        """The instances that are there, by hostname."""
        found: dict[str, Instance] = {}
        if not self._path.exists():
            return found
        for line in self._path.read_text().splitlines():
            try:
                change = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed while it wrote
            if gone := change.get("removed"):
                found.pop(gone, None)
            else:
                kept = {"type": ContainerType(change["type"]), "checks": tuple(change.get("checks", ()))}
                found[change["hostname"]] = Instance(**{**change, **kept})
        return found

    def kept(self, instance: Instance) -> None:
        """Note that the instance is now as given."""
        self._write(asdict(instance))

    def removed(self, hostname: str) -> None:
        """Note that the instance is gone."""
        self._write({"removed": hostname})

    def close(self) -> None:
        """Close the file; changes after this are an error."""
        self._file.close()

    def _shorten(self) -> None:
        """Drop what no longer holds; through a second file, so that a crash leaves the one or the other."""
        living = self.load()
        short = self._path.with_suffix(".new")
        short.write_text("".join(json.dumps(asdict(each)) + "\n" for each in living.values()))
        short.replace(self._path)

    def _write(self, change: dict[str, object]) -> None:
        self._file.write(json.dumps(change) + "\n")

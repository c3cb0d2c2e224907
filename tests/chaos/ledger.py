"""The client's own truth: every request and every answer, a JSON line each, written before anything else happens."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos.evidence import Answered, Demand, Request, Told


@dataclass
class _Story:
    first: dict[str, Any]
    status: int | None = None
    until: float = math.inf
    answers: list[tuple[Answered, ...]] = field(default_factory=list)
    unclear: int = 0


class Ledger:
    """A file of lines. `ask` before the first try of a request, then `told` after each try."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._number = 0
        self.tries = 0

    def ask(self, op: str, hostnames: Sequence[str], *, target: str | None = None, doomed: bool = False) -> int:
        """A request is about to be sent; its number."""
        self._number += 1
        line = {"op": op, "hostnames": list(hostnames), "target": target, "doomed": doomed}
        self._write(self._number, line)
        return self._number

    def demand(self, op: str, name: str, **asked: Any) -> int:
        """Something is about to be asked of a deployment; its number."""
        self._number += 1
        self._write(self._number, {"demand": op, "name": name, "asked": asked})
        return self._number

    def told(self, number: int, status: int | None, said: Any) -> None:
        """A try ended: `status` is None where no answer came; `said` are containers, or what went wrong."""
        self.tries += 1
        self._write(number, {"status": status, "said": said})

    def close(self) -> None:
        """No more is written."""
        self._file.close()

    def _write(self, number: int, line: dict[str, Any]) -> None:
        self._file.write(json.dumps({"at": time.time(), "request": number} | line) + "\n")


def definite(status: int | None) -> bool:
    """Whether that answer ends a request: no answer, and "not now", do not."""
    return status is not None and status < 500 and status not in (408, 425, 429)


def read(path: Path) -> list[Request]:
    """The requests of a ledger, each with all that was ever answered to it."""
    stories: dict[int, _Story] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        if "demand" in line:
            continue
        if "op" in line:
            stories[line["request"]] = _Story(line)
        elif line["request"] in stories:
            _tell(stories[line["request"]], line)
    return [
        Request(
            number=number,
            op=story.first["op"],
            at=story.first["at"],
            hostnames=tuple(story.first["hostnames"]),
            status=story.status,
            answers=tuple(story.answers),
            unclear=story.unclear,
            doomed=story.first["doomed"],
            target=story.first["target"],
            until=story.until,
        )
        for number, story in stories.items()
    ]


def _tell(story: _Story, line: dict[str, Any]) -> None:
    status = line["status"]
    if not definite(status):
        story.unclear += story.status is None
        return
    story.until = line["at"]
    story.status = status if story.status is None else story.status
    if 200 <= status < 300:
        story.answers.append(tuple(Answered(one["id"], one["hostname"], one["generation"]) for one in line["said"]))


def demands(path: Path) -> list[Demand]:
    """What was asked of deployments, with what was answered. An answer that tells of an error of the API or of what it
    needs tells nothing of whether it was done.
    """
    found: dict[int, Demand] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        number = line["request"]
        if "demand" in line:
            found[number] = Demand(number, line["demand"], line["name"], None, **line["asked"])
        elif number in found:
            found[number] = _answered(found[number], line["status"], line["said"])
    return list(found.values())


def _answered(demand: Demand, status: int | None, said: Any) -> Demand:
    if status is None or not definite(status):
        return replace(demand, unclear=demand.unclear + (status is None or status >= 500))
    return replace(demand, status=status, told=Told(**said) if status < 300 else None)

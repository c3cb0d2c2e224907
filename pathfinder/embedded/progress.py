"""How long work tells somebody what it is doing. The command line draws it; tests and libraries keep it silent."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """One thing being done."""

    def say(self, detail: str) -> None:
        """What it is at now; the last of these is its result."""


class Progress(Protocol):
    """Several things being done, some at the same time."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Show a step while the context lasts; leaving it by an exception shows it failed."""


class Silent:
    """Progress nobody looks at."""

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show nothing."""
        yield self

    def say(self, detail: str) -> None:
        """Say nothing."""

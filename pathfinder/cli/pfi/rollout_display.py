"""How a watched rollout looks: a line for each change in pipes, bars on a terminal."""

from types import TracebackType
from typing import Protocol, Self, TextIO

from pathfinder.cli.pfi.columns import deployment_status
from pathfinder.cli.pfi.terminal import harmless, is_live, say
from pathfinder.domain.deployment_views import Deployment

WIDTH = 30


class Display(Protocol):
    """Shows how far a rollout is."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, it: Deployment) -> None:
        """Show it as it is now."""


def phrase(it: Deployment) -> str:
    """`ROLLING: revision 3, 2 of 5 replicas updated, 4 available`."""
    counts = f"{it.counts.updated} of {it.replicas} replicas updated, {it.counts.available} available"
    return f"{deployment_status(it)}: revision {it.revision}, {counts}" + (f". {it.message}" if it.message else "")


class Lines:
    """A line for each change."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._last = stream, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, it: Deployment) -> None:
        """Write it, unless it is as it was."""
        text = phrase(it)
        if text != self._last:
            say(harmless(f"{it.name}: {text}"), stream=self._stream)
        self._last = text


class Bars:
    """Two bars, redrawn in place: how many are updated, and how many serve."""

    def __init__(self) -> None:
        from rich.live import Live  # only terminals need it

        self._live = Live(auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, it: Deployment) -> None:
        """Draw it anew."""
        from rich.text import Text

        self._live.update(Text("\n".join(drawn(it)), no_wrap=True, overflow="ellipsis"), refresh=True)


def drawn(it: Deployment) -> list[str]:
    """The lines of the bars."""
    heads = [harmless(f"{it.name}: {deployment_status(it)}, revision {it.revision}")]
    bars = [
        f"  {word:<9} {_bar(count, it.replicas)} {count} of {it.replicas}"
        for word, count in (("updated", it.counts.updated), ("available", it.counts.available))
    ]
    return heads + bars + ([harmless(f"  {it.message}")] if it.message else [])


def _bar(count: int, most: int) -> str:
    full = WIDTH if not most else min(count * WIDTH // most, WIDTH)
    return "━" * full + "╌" * (WIDTH - full)


def display(stream: TextIO) -> Display:
    """What suits the stream."""
    return Bars() if is_live(stream) else Lines(stream)

"""How a wait looks: plain lines for pipes and logs, a moving display on a terminal."""

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from pathfinder.cli.pfi.terminal import harmless, is_live, say
from pathfinder.cli.pfi.words import details, node_name
from pathfinder.domain.views import Event

if TYPE_CHECKING:
    from rich.progress import TaskID

#: Lines of a download's progress are at least this far apart, in percent.
STEP = 20
#: The command itself says these when it ends, as its result or its error.
SAID_BY_RESULT = ("container.provisioned", "container.provision_failed", "container.bootstrap_failed")


class Display(Protocol):
    """Shows one container's way. `stage` is the last thing shown, in words."""

    stage: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Event) -> None:
        """Show what just happened."""


def phrase(event: Event) -> str:
    """An event as a step on the way: `scheduled on node-01`, `getting the image 40%`."""
    match event.kind:
        case "container.progress":
            return details(event)
        case "container.scheduled":
            return f"scheduled on {node_name(event.node, event.simulated)}" if event.node else "scheduled"
        case "container.provisioned":
            return f"running at {details(event)}"
        case "container.provision_failed":
            return f"failed: {details(event)}"
        case "container.unplaceable":
            reason = details(event).rstrip(".") or "waiting for a node"
            return reason[0].lower() + reason[1:]  # a sentence of the server's, as part of a line of ours
        case "container.bootstrap_started":
            return "its bootstrappers are carried out"
        case "container.bootstrap_progress":
            return f"{event.body.get('step')} is done, {event.body.get('done')} of {event.body.get('of')}"
        case "container.requested" | "container.rescheduled" | "container.deletion_scheduled" | "container.deleted":
            return event.kind.partition(".")[2].replace("_", " ")
        case kind:
            return f"{kind.partition('.')[2].replace('_', ' ')} {details(event)}".rstrip()


class Lines:
    """One line per step."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._step: tuple[str, int] | None = None
        self.stage = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Event) -> None:
        """Write the step, unless it is hardly further than the last."""
        text = phrase(event)
        if self._is_news(event, text):
            say(f"{event.subject.name}: {harmless(text)}", stream=self._stream)
        self.stage = text

    def _is_news(self, event: Event, text: str) -> bool:
        if event.kind != "container.progress":
            return text != self.stage
        step = (str(event.body.get("stage")), (event.body.get("percent") or 0) // STEP)
        is_news, self._step = step != self._step, step
        return is_news


class Bars:
    """A row per step: a spinner, a bar while the image is downloaded, and the time until the next step."""

    def __init__(self, stream: TextIO) -> None:
        # Only terminals need rich.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
        from rich.text import Text

        class Seconds(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text(f"{task.finished_time or task.elapsed or 0:.1f} s", style="dim")

        class DownloadBar(BarColumn):
            def render(self, task: Task) -> Text:  # type: ignore[override]  # nothing is drawn without percents
                return super().render(task) if task.fields["percent"] else Text()  # type: ignore[return-value]

        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✔"),
            TextColumn("{task.description}", markup=False),
            DownloadBar(bar_width=24),
            Seconds(),
            console=Console(file=stream),
        )
        self._row: TaskID | None = None
        self._name = ""
        self.stage = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What a step was doing when it was left stays on the screen, its spinner standing still.
        if self._row is not None:
            self._progress.stop_task(self._row)
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Begin or move a row; the one before is done."""
        self.stage = phrase(event)
        if event.kind in SAID_BY_RESULT and not event.body.get("retry_at"):
            return self._finish() if event.kind == "container.provisioned" else None
        is_progress = event.kind == "container.progress"
        name = str(event.body.get("stage")) if is_progress else event.kind
        if self._row is None or name != self._name:
            self._finish()
            self._row, self._name = self._progress.add_task("", total=100.0, percent=False), name
        percent = event.body.get("percent") if is_progress else None
        self._progress.update(
            self._row,
            description=harmless(self.stage),
            completed=min(percent or 0, 99.9),  # 100 % of the bytes is not yet the end of the step
            percent=percent is not None,
        )
        return None

    def _finish(self) -> None:
        if self._row is not None:
            self._progress.update(self._row, completed=100.0, percent=False)
            self._row = None


def display(stream: TextIO) -> Display:
    """What suits the stream."""
    return Bars(stream) if is_live(stream) else Lines(stream)

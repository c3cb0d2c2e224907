"""Bootstrappers in hand: carried out in order, apart from other commands, because they may take long."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from pathfinder.broker.connection import BrokerLost, backoff
from pathfinder.broker.publish import Unroutable
from pathfinder.domain import runs
from pathfinder.domain.bootstrapping import File
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.instances import ExecResult
from pathfinder.domain.messages import Envelope, Report
from pathfinder.domain.runs import OUTPUT_LENGTH, BootstrapStep, StepStatus
from pathfinder.failpoints import point
from pathfinder.runtime.port import Runtime, RuntimeFailure
from workers.agent.reporting import Reporter

log = structlog.get_logger()

#: Containers whose bootstrappers are carried out at a time.
PARALLEL = 5

#: Where scripts and attributes lie in a container.
DIRECTORY = "/var/lib/pathfinder"

KILL_SECONDS = 10.0

#: Ends what an agent that died left running of the same step, then becomes the command: an instance runs on without
#: its agent, and two at once of one script do what neither would. A process is known by its number and start time:
#: numbers are used again.
GUARD = (
    "/bin/sh",
    "-c",
    """
    note=$1; shift; mkdir -p "${note%/*}"
    since() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
    if [ -f "$note" ] && read -r pid start < "$note" && [ -n "$start" ] && [ "$(since "$pid")" = "$start" ]; then
        kill -9 "-$pid"
    fi
    rm -f "$note"
    command -v setsid >/dev/null || exec "$@"
    exec setsid /bin/sh -c '
        echo "$$ $(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20)" > "$0"; exec "$@"
    ' "$note" "$@"
    """,
    "pathfinder",
)


Fill = Callable[[str, Sequence[File]], Awaitable[tuple[File, ...]]]


@dataclass
class _Run:
    """One run: the command that asked for it, and how far it is. `unsaid`: its state is yet to be reported."""

    command: Envelope
    steps: list[BootstrapStep]
    unsaid: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def number(self) -> int:
        return int(self.command.body["run"])

    @property
    def ended(self) -> bool:
        return self.task is None or self.task.done()


class Bootstraps:
    """The runs of a node. `reporter` is set while a connection stands; what is said meanwhile is said again after."""

    def __init__(self, runtime: Runtime, filled: Fill) -> None:
        """`filled` puts the secrets of a container into files that name them."""
        self._runtime = runtime
        self._filled = filled
        self._slots = asyncio.Semaphore(PARALLEL)
        self._runs: dict[str, _Run] = {}
        self.reporter: Reporter | None = None

    @property
    def in_hand(self) -> set[str]:
        """Ids of containers whose run goes on, or ended and is yet to be reported."""
        return {id_ for id_, run in self._runs.items() if not run.ended or run.unsaid}

    def start(self, command: Envelope) -> None:
        """Begin a run; one that is in hand goes on, an earlier one of the container ends. Raises MalformedMessage."""
        run = _Run(command, _steps(command))
        before = self._runs.get(command.subject)
        if before is not None:
            if (before.command.generation, before.number) > (command.generation, run.number):
                return
            same = (before.command.generation, before.number) == (command.generation, run.number)
            if same and (not before.ended or before.unsaid):
                return
            self._end(before)
        self._runs[command.subject] = run
        run.task = asyncio.create_task(self._carry_out(run))

    def cancel(self, container_id: str) -> None:
        """End the container's run: its instance goes, or is made anew."""
        if (run := self._runs.pop(container_id, None)) is not None:
            self._end(run)

    def close(self) -> None:
        """End every run; the next agent is told of them again."""
        for container_id in list(self._runs):
            self.cancel(container_id)

    async def connected(self, reporter: Reporter) -> None:
        """Report over this connection from now on, first what could not be said before."""
        self.reporter = reporter
        for run in list(self._runs.values()):
            if run.unsaid:
                await self._say(run)

    def _end(self, run: _Run) -> None:
        if run.task is not None:
            run.task.cancel()

    async def _carry_out(self, run: _Run) -> None:
        hostname = run.command.body["hostname"]
        async with self._slots:
            try:
                found = await self._runtime.instance(hostname)
            except RuntimeFailure as error:
                log.warning("not bootstrapped yet", hostname=hostname, reason=str(error))
                return  # the next inventory brings the command again
            if found is None or not found.running or found.generation != run.command.generation:
                return
            for place in range(int(run.command.body["done"]), len(run.steps)):
                if not await self._step(run, place):
                    break

    async def _step(self, run: _Run, place: int) -> bool:
        """Carry out one bootstrapper, with its further tries; whether it succeeded."""
        spec = run.command.body["bootstrappers"][place]
        tries = int(spec.get("retries", 2)) + 1
        for attempt in range(1, tries + 1):
            started = run.steps[place].started_at or datetime.now(UTC)
            await self._note(run, place, status=StepStatus.RUNNING, attempts=attempt, started_at=started)
            point("agent.bootstrap.step")
            result = await self._try(run.command, place, spec)
            ended: dict[str, Any] = {"exit_code": result.exit_code, "output": result.output[-OUTPUT_LENGTH:]}
            if result.exit_code == 0:
                await self._note(run, place, status=StepStatus.DONE, ended_at=datetime.now(UTC), **ended)
                return True
            # What it wrote is for those who may see the container, not for the log of the node.
            log.warning(
                "bootstrapper failed", hostname=run.command.body["hostname"], step=place, exit_code=result.exit_code
            )
            if attempt < tries:
                run.steps[place] = replace(run.steps[place], **ended)
                await asyncio.sleep(backoff(attempt))
        await self._note(run, place, status=StepStatus.FAILED, ended_at=datetime.now(UTC), **ended)
        return False

    async def _try(self, command: Envelope, place: int, spec: Mapping[str, Any]) -> ExecResult:
        try:
            if spec["type"] == "files":
                files = await self._filled(command.subject, [File(**one) for one in spec["files"]])
                return await _files(self._runtime, command.body["hostname"], files)
            return await _KINDS[spec["type"]](self._runtime, command.body["hostname"], place, spec)
        except RuntimeFailure as error:
            return ExecResult(None, str(error))

    async def _note(self, run: _Run, place: int, **changes: Any) -> None:
        run.steps[place] = replace(run.steps[place], **changes)
        await self._say(run)

    async def _say(self, run: _Run) -> None:
        run.unsaid = True
        if (reporter := self.reporter) is None:
            return
        said = tuple(run.steps)
        try:
            await reporter.about(run.command, Report.BOOTSTRAP, run=run.number, steps=runs.told(said))
        except (BrokerLost, Unroutable) as error:
            log.warning("not said yet", hostname=run.command.body["hostname"], reason=str(error))
        else:
            run.unsaid = said != tuple(run.steps)


def _steps(command: Envelope) -> list[BootstrapStep]:
    try:
        done = int(command.body["done"])
        return [
            BootstrapStep(
                str(one.get("name") or ""), str(one["type"]), StepStatus.DONE if place < done else StepStatus.WAITING
            )
            for place, one in enumerate(command.body["bootstrappers"])
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedMessage(f"not bootstrappers: {error}") from error


# How each kind is carried out


async def _script(runtime: Runtime, hostname: str, place: int, spec: Mapping[str, Any]) -> ExecResult:
    path = f"{DIRECTORY}/bootstrap-{place + 1}"
    await runtime.push(hostname, File(path=path, content=spec["script"], mode="0700"))
    command = (spec.get("interpreter", "/bin/sh"), path)
    return await _guarded(runtime, hostname, place, spec, command)


async def _files(runtime: Runtime, hostname: str, files: Sequence[File]) -> ExecResult:
    for file in files:
        await runtime.push(hostname, file)
    return ExecResult(0, f"{len(files)} file(s) written\n")


async def _cloud_init(runtime: Runtime, hostname: str, place: int, spec: Mapping[str, Any]) -> ExecResult:
    result = await _guarded(runtime, hostname, place, spec, ("cloud-init", "status", "--wait", "--long"))
    # 2: it is done, and met something that it could recover from.
    return ExecResult(0, result.output) if result.exit_code == 2 else result


async def _chef_solo(runtime: Runtime, hostname: str, place: int, spec: Mapping[str, Any]) -> ExecResult:
    path = f"{DIRECTORY}/attributes-{place + 1}.json"
    attributes = orjson.dumps(spec.get("attributes", {})).decode()
    await runtime.push(hostname, File(path=path, content=attributes, mode="0600"))
    command = ("chef-solo", "--recipe-url", spec["cookbooks_url"], "--json-attributes", path, *spec.get("options", ()))
    return await _guarded(runtime, hostname, place, spec, command)


async def _guarded(
    runtime: Runtime, hostname: str, place: int, spec: Mapping[str, Any], command: tuple[str, ...]
) -> ExecResult:
    seconds = float(spec.get("timeout_seconds", 600))
    whole = (*GUARD, f"{DIRECTORY}/bootstrap-{place + 1}.pid", *command)
    environment = dict(spec.get("environment", {}))
    try:
        return await runtime.execute(hostname, whole, timeout_seconds=seconds, environment=environment)
    except RuntimeFailure:
        with suppress(RuntimeFailure):  # whatever ran on is ended
            await runtime.execute(hostname, (*whole[: len(GUARD) + 1], "true"), timeout_seconds=KILL_SECONDS)
        raise


_KINDS: Mapping[str, Callable[[Runtime, str, int, Mapping[str, Any]], Awaitable[ExecResult]]] = {
    "script": _script,
    "cloud-init": _cloud_init,
    "chef-solo": _chef_solo,
}

"""Bootstrappers on a node: in order, with further tries, reported over whatever connection there is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import pytest

from pathfinder.broker.connection import BrokerLost
from pathfinder.domain.bootstrapping import File
from pathfinder.domain.instances import ExecResult, Instance
from pathfinder.domain.messages import Command, Envelope, Report
from pathfinder.runtime.port import OperationFailed, Runtime
from workers.agent import bootstrap
from workers.agent.bootstrap import GUARD, Bootstraps
from workers.agent.reporting import Reporter

BASE = {"type": "script", "name": "base", "script": "echo base", "retries": 2}
APP = {"type": "script", "name": "app", "script": "echo app", "retries": 0, "environment": {"A": "1"}}


class Machine:
    """A runtime with one instance, `web`, that does what `answers` say, command by command."""

    def __init__(self) -> None:
        self.answers: list[ExecResult | Exception] = []
        self.done: list[tuple[str, ...]] = []
        self.files: dict[str, File] = {}
        self.found: Instance | None = Instance("web", True, "c-1", 1, "k-1")
        self.gate = asyncio.Event()
        self.gate.set()

    async def instance(self, hostname: str) -> Instance | None:
        return self.found

    async def push(self, hostname: str, file: File) -> None:
        self.files[file.path] = file

    async def execute(self, hostname: str, command: tuple[str, ...], **_: Any) -> ExecResult:
        await self.gate.wait()
        if command[-1] == "true":  # only ends what ran on
            return ExecResult(0, "")
        self.done.append(tuple(command[len(GUARD) + 1 :]))
        answer = self.answers.pop(0) if self.answers else ExecResult(0, "well\n")
        if isinstance(answer, Exception):
            raise answer
        return answer


async def filled(container_id: str, files: Sequence[File]) -> tuple[File, ...]:
    """Files, with what their secrets say."""
    return tuple(file.model_copy(update={"content": f"of {container_id}"}) if file.secret else file for file in files)


class Said:
    """A reporter that keeps what is said; `lost` while its connection is."""

    def __init__(self) -> None:
        self.lost = False
        self.reports: list[dict[str, Any]] = []

    async def about(self, command: Envelope, kind: Report, **body: Any) -> None:
        if self.lost:
            raise BrokerLost("gone")
        assert kind == Report.BOOTSTRAP
        self.reports.append(body)

    def last(self) -> list[tuple[str, str, int]]:
        """The steps as last reported."""
        return [(step["name"], step["status"], step["attempts"]) for step in self.reports[-1]["steps"]]


def order(*bootstrappers: dict[str, Any], run: int = 1, done: int = 0, generation: int = 1) -> Envelope:
    """The command."""
    body = {"hostname": "web", "epoch": 0, "run": run, "done": done, "bootstrappers": list(bootstrappers)}
    return Envelope(Command.BOOTSTRAP, "k-1", "c-1", generation, body=body)


@pytest.fixture
def machine() -> Machine:
    """The node's runtime."""
    return Machine()


@pytest.fixture
def said() -> Said:
    """What the agent reports."""
    return Said()


@pytest.fixture
async def hand(machine: Machine, said: Said, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bootstraps]:
    """The agent's runs, over a connection that stands; further tries come at once."""
    monkeypatch.setattr(bootstrap, "backoff", lambda attempt: 0.0)
    made = Bootstraps(cast(Runtime, machine), filled)
    await made.connected(cast(Reporter, said))
    yield made
    made.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a task's doing
            await asyncio.sleep(0)


async def test_steps_are_carried_out_in_order(hand: Bootstraps, machine: Machine, said: Said) -> None:
    """Each script lies in the instance, and is run by its interpreter."""
    hand.start(order(BASE, APP))
    await until(lambda: not hand.in_hand)

    assert machine.done == [
        ("/bin/sh", f"{bootstrap.DIRECTORY}/bootstrap-1"),
        ("/bin/sh", f"{bootstrap.DIRECTORY}/bootstrap-2"),
    ]
    assert machine.files[f"{bootstrap.DIRECTORY}/bootstrap-1"].content == "echo base"
    assert said.last() == [("base", "DONE", 1), ("app", "DONE", 1)]
    assert said.reports[-1]["steps"][0]["output"] == "well\n"


async def test_a_step_that_fails_is_tried_again_as_often_as_asked(
    hand: Bootstraps, machine: Machine, said: Said
) -> None:
    """The next one waits for it; one that fails for good ends the run."""
    machine.answers = [ExecResult(1, "no\n"), OperationFailed("slow"), ExecResult(0, "yes\n"), ExecResult(4, "no\n")]

    hand.start(order(BASE, APP, BASE))
    await until(lambda: not hand.in_hand)

    assert said.last() == [("base", "DONE", 3), ("app", "FAILED", 1), ("base", "WAITING", 0)]
    assert said.reports[-1]["steps"][1]["exit_code"] == 4


async def test_what_was_done_before_is_not_done_again(hand: Bootstraps, machine: Machine, said: Said) -> None:
    """A run that an earlier agent began goes on where it was."""
    hand.start(order(BASE, APP, done=1))
    await until(lambda: not hand.in_hand)

    assert machine.done == [("/bin/sh", f"{bootstrap.DIRECTORY}/bootstrap-2")]


async def test_the_same_command_again_changes_nothing_and_a_later_run_takes_its_place(
    hand: Bootstraps, machine: Machine, said: Said
) -> None:
    """Messages come twice; a user may lose patience."""
    machine.gate.clear()
    hand.start(order(BASE))
    await until(lambda: bool(said.reports))
    hand.start(order(BASE))
    hand.start(order(APP, run=2))
    hand.start(order(BASE))
    machine.gate.set()
    await until(lambda: not hand.in_hand)

    assert len(machine.done) == 1
    assert (said.reports[-1]["run"], said.last()) == (2, [("app", "DONE", 1)])


async def test_what_could_not_be_said_is_said_over_the_next_connection(
    hand: Bootstraps, machine: Machine, said: Said
) -> None:
    """The run goes on without one, and is in hand until its end is told."""
    said.lost = True
    hand.start(order(BASE))
    await until(lambda: bool(machine.done))
    await until(lambda: hand._runs["c-1"].ended)
    assert hand.in_hand == {"c-1"}

    said.lost = False
    await hand.connected(cast(Reporter, said))

    assert said.last() == [("base", "DONE", 1)]
    assert hand.in_hand == set()


@pytest.mark.parametrize("found", [None, Instance("web", False, "c-1", 1, "k-1"), Instance("web", True, "c-1", 2, "k")])
async def test_nothing_is_done_to_an_instance_that_is_not_the_one(
    hand: Bootstraps, machine: Machine, said: Said, found: Instance | None
) -> None:
    """Absent, stopped, or of another placement: the next inventory tells what is to be done."""
    machine.found = found
    hand.start(order(BASE))
    await until(lambda: hand._runs["c-1"].ended)

    assert (machine.done, said.reports) == ([], [])


async def test_a_run_ends_with_its_container(hand: Bootstraps, machine: Machine) -> None:
    """Deleted meanwhile."""
    machine.gate.clear()
    hand.start(order(BASE))
    hand.cancel("c-1")
    await asyncio.sleep(0)

    assert (hand.in_hand, machine.done) == (set(), [])


async def test_chef_solo_gets_its_cookbooks_and_attributes(hand: Bootstraps, machine: Machine) -> None:
    """As Pathfinder's users know it."""
    hand.start(
        order({"type": "chef-solo", "cookbooks_url": "https://example.org/c.tar.gz", "attributes": {"run_list": ["a"]}})
    )
    await until(lambda: not hand.in_hand)

    path = f"{bootstrap.DIRECTORY}/attributes-1.json"
    assert machine.files[path].content == '{"run_list":["a"]}'
    assert machine.done == [
        ("chef-solo", "--recipe-url", "https://example.org/c.tar.gz", "--json-attributes", path),
    ]


async def test_cloud_init_that_recovered_from_errors_is_done(hand: Bootstraps, machine: Machine, said: Said) -> None:
    """It says so with 2."""
    machine.answers = [ExecResult(2, "status: done\n")]
    hand.start(
        order({"type": "cloud-init", "name": "init"}, {"type": "files", "files": [{"path": "/etc/x", "secret": "s"}]})
    )
    await until(lambda: not hand.in_hand)

    assert said.last() == [("init", "DONE", 1), ("", "DONE", 1)]
    assert (machine.files["/etc/x"].mode, machine.files["/etc/x"].content) == ("0644", "of c-1")

"""Bootstrappers as the recorder has them carried out: told of once, resumed after a crash, never done by half."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from workbench import Fleet

from pathfinder.bootstrap import Process
from pathfinder.domain import runs
from pathfinder.domain.errors import IllegalTransition, Invalid
from pathfinder.domain.messages import Command, Envelope, Exchange, Report, decode
from pathfinder.domain.runs import BootstrapStep, StepStatus
from pathfinder.store import listing, outbox, requests
from pathfinder.store.requests import Asker
from workers.recorder import record_inventory, record_reports
from workers.scheduler import place_pending

ASKER = Asker("test", "trace")
TWO = [{"type": "script", "name": "one", "script": "echo 1"}, {"type": "script", "name": "two", "script": "echo 2"}]


class Node:
    """The node that `web` was placed on; speaks as its agent."""

    def __init__(self, fleet: Fleet, node_id: UUID, container_id: UUID) -> None:
        self.fleet, self.node_id, self.container_id = fleet, node_id, container_id

    async def say(self, kind: Report, generation: int = 1, **body: object) -> None:
        """Have a report recorded."""
        body = {"node_id": str(self.node_id), "hostname": "web", **body}
        envelope = Envelope(kind, str(self.fleet.cluster_id), str(self.container_id), generation, body=body)
        async with self.fleet.process.database.begin() as tx:
            await record_reports(tx, [envelope])

    async def went(self, run: int, *statuses: StepStatus, exit_code: int | None = 0, output: str = "") -> None:
        """Have it recorded how far a run is."""
        now = datetime.now(UTC)
        steps = [
            BootstrapStep(name, "script", status, int(status != StepStatus.WAITING), exit_code, output, now, now)
            for name, status in zip(("one", "two"), statuses, strict=True)
        ]
        told = [step | {"started_at": now.isoformat(), "ended_at": now.isoformat()} for step in runs.told(steps)]
        await self.say(Report.BOOTSTRAP, run=run, steps=told)

    async def show(self, *in_hand: str) -> None:
        """Have a full list recorded on which `web` runs, with the bootstraps the agent has in hand."""
        web = {
            "container_id": str(self.container_id),
            "hostname": "web",
            "generation": 1,
            "running": True,
            "address": "10.0.0.9",
            "seen_seconds": 1.0,
        }
        body = {"instances": [web], "busy": [], "epoch": 0, "bootstraps": list(in_hand)}
        at = datetime.now(UTC).isoformat()
        envelope = Envelope(Report.INVENTORY, str(self.fleet.cluster_id), str(self.node_id), body=body, at=at)
        async with self.fleet.process.database.begin() as tx:
            await record_inventory(tx, envelope, timedelta(0))

    async def bootstraps(self) -> list[tuple[int, int]]:
        """Run and steps done of the bootstrap commands since the last time."""
        found = []
        async with self.fleet.process.database.begin() as tx:
            for message in await outbox.take(tx):
                if message.exchange == Exchange.COMMANDS:
                    commands = [one for one in decode(message.body) if one.kind == Command.BOOTSTRAP]
                    found += [(one.body["run"], one.body["done"]) for one in commands]
        return found

    async def status(self) -> object:
        """The container's."""
        return (await self.fleet.statuses())["web"]

    async def again(self) -> None:
        """A user has it bootstrapped again."""
        async with self.fleet.process.database.begin() as tx:
            await requests.rebootstrap(tx, self.fleet.cluster_id, "web", ASKER)


@pytest.fixture
async def node(fleet: Fleet, process: Process) -> Node:
    """A node on which `web`, which has two bootstrappers, was just PROVISIONED."""
    node_id = await fleet.node("node-01")
    (container_id,) = await fleet.ask("web", bootstrappers=TWO)
    await place_pending(process, fleet.cluster_id)
    made = Node(fleet, node_id, container_id)
    await made.say(Report.PROVISIONED, ipaddress="10.0.0.9")
    return made


async def test_a_container_that_runs_is_bootstrapped_step_by_step(node: Node, process: Process) -> None:
    """Told of once, however often it is said to run; what was written is kept."""
    await node.say(Report.PROVISIONED, ipaddress="10.0.0.9")
    assert await node.bootstraps() == [(1, 0)]

    await node.went(1, StepStatus.RUNNING, StepStatus.WAITING)
    assert await node.status() == "BOOTSTRAP_STARTED"
    await node.went(1, StepStatus.DONE, StepStatus.DONE, output="all is well\n")
    await node.went(1, StepStatus.DONE, StepStatus.RUNNING)  # late

    assert await node.status() == "BOOTSTRAPPED"
    async with process.database.begin() as tx:
        kept = await listing.bootstraps(tx, "default", "web")
    assert [(one.name, one.status, one.output) for one in kept] == [
        ("one", StepStatus.DONE, "all is well\n"),
        ("two", StepStatus.DONE, "all is well\n"),
    ]
    kinds = [kind for kind in await node.fleet.kinds() if "bootstrap" in kind]
    assert kinds == ["container.bootstrap_started", "container.bootstrapped"]


async def test_a_run_that_its_agent_forgot_goes_on_after_what_was_done(node: Node) -> None:
    """The agent was killed: the list it sends when it is back knows of no run, and it is told again."""
    await node.went(1, StepStatus.DONE, StepStatus.RUNNING)
    await node.bootstraps()

    await node.show(str(node.container_id))
    assert await node.bootstraps() == []
    await node.show()

    assert await node.bootstraps() == [(1, 1)]
    assert await node.status() == "BOOTSTRAP_STARTED"


async def test_one_whose_command_was_lost_is_told_again(node: Node) -> None:
    """It is PROVISIONED, and its node knows of no run."""
    await node.bootstraps()

    await node.show()

    assert await node.bootstraps() == [(1, 0)]


async def test_a_failed_bootstrap_can_be_asked_for_again(node: Node) -> None:
    """The next run begins with the first step; the earlier one means nothing any more."""
    await node.went(1, StepStatus.FAILED, StepStatus.WAITING, exit_code=3)
    assert await node.status() == "BOOTSTRAP_ERROR"
    await node.show()
    await node.bootstraps()

    await node.again()
    await node.went(1, StepStatus.DONE, StepStatus.DONE)

    assert await node.bootstraps() == [(2, 0)]
    assert await node.status() == "PROVISIONED"
    await node.went(2, StepStatus.DONE, StepStatus.DONE)
    assert await node.status() == "BOOTSTRAPPED"


async def test_an_instance_that_was_only_stopped_is_not_bootstrapped_again(node: Node) -> None:
    """But one that had to be made anew is."""
    await node.went(1, StepStatus.DONE, StepStatus.DONE)
    await node.bootstraps()
    await node.fleet.rows("UPDATE containers SET status = 'SCHEDULED' RETURNING id")

    await node.say(Report.PROVISIONED, ipaddress="10.0.0.10")
    assert (await node.status(), await node.bootstraps()) == ("BOOTSTRAPPED", [])
    await node.fleet.rows("UPDATE containers SET status = 'SCHEDULED', bootstrapped = NULL RETURNING id")
    await node.say(Report.PROVISIONED, ipaddress="10.0.0.11")

    assert (await node.status(), await node.bootstraps()) == ("PROVISIONED", [(2, 0)])


async def test_only_what_runs_and_has_bootstrappers_is_bootstrapped_again(node: Node, process: Process) -> None:
    """Anything else is refused, with what to do."""
    await node.fleet.ask("plain")

    async with process.database.begin() as tx:
        with pytest.raises(Invalid, match="no bootstrappers"):
            await requests.rebootstrap(tx, node.fleet.cluster_id, "plain", ASKER)
        await tx.execute(text("UPDATE containers SET status = 'SCHEDULED' WHERE hostname = 'web'"))
        with pytest.raises(IllegalTransition):
            await requests.rebootstrap(tx, node.fleet.cluster_id, "web", ASKER)

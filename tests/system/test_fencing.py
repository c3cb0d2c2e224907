"""Messages that come twice, late or in the wrong order: nothing is doubled, and what is dead stays dead."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
import pytest_asyncio
from harness import Harness, Spy

from pathfinder.domain import commands
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Command, Envelope, Exchange, Kind, Report
from pathfinder.domain.views import Container

pytestmark = pytest.mark.lab

NODE = "node-01"


@dataclass
class Wire:
    """One container on one node, and everything that was said about it."""

    harness: Harness
    container: Container
    commands: Spy
    reports: Spy

    @property
    def provision(self) -> Envelope:
        """The command that made it."""
        return self.commands.of(Command.PROVISION, self.container.id)[0]

    @property
    def provisioned(self) -> Envelope:
        """The report that it runs."""
        return self.reports.of(Report.PROVISIONED, self.container.id)[0]

    async def command(self, *envelopes: Envelope) -> None:
        """Give the node commands, the last of which is answered; return when it has been.

        The agent works in order of arrival on one hostname, so those before it have been carried out as well.
        """
        last = replace(envelopes[-1], trace_id=str(uuid4()))
        for one in (*envelopes[:-1], last):
            await self.harness.publish(Exchange.COMMANDS, NODE, [one])
        await self._answered(self.reports, last.trace_id)

    async def report(self, *envelopes: Envelope) -> None:
        """Say something in the node's name, and return when the recorder has heard it.

        The recorder works in order of arrival, and answers the last one here: an instance nobody asked for.
        """
        last = replace(self.provisioned, subject=str(uuid4()), trace_id=str(uuid4()))
        last = replace(last, body={**last.body, "hostname": "never-asked-for"})
        for one in (*envelopes, last):
            await self.harness.publish(Exchange.REPORTS, one.kind, [one])
        await self._answered(self.commands, last.trace_id)

    async def _answered(self, spy: Spy, trace: str) -> None:
        async def answered() -> object:
            return [one for one in spy.seen if one.trace_id == trace and one.kind != Report.PROGRESS]

        await self.harness.until("an answer", answered)

    async def kinds(self) -> list[str]:
        """The kinds of all events about the container, in order, but for its progress."""
        events = [one for one in await self.harness.events() if one.subject.id == self.container.id]
        return [one.kind for one in events if one.kind != Kind.CONTAINER_PROGRESS]


@pytest_asyncio.fixture
async def wire(harness: Harness) -> AsyncIterator[Wire]:
    """A running container on the only node that takes any, listened to since before it was asked for."""
    await harness.only(NODE)
    async with harness.spy(Exchange.COMMANDS, NODE) as said, harness.spy(Exchange.REPORTS, "#") as answered:
        made = await harness.create("said-twice", memory="64MiB")
        yield Wire(harness, made["said-twice"], said, answered)


async def test_a_provision_command_that_comes_again_changes_nothing(wire: Wire) -> None:
    """The instance is the same one, still running since the same moment, and no second event tells of it."""
    before = (await wire.harness.instances(NODE))["said-twice"]
    told = await wire.kinds()

    await wire.command(wire.provision, wire.provision, wire.provision)
    await wire.report()

    after = (await wire.harness.instances(NODE))["said-twice"]
    assert (after["created_at"], after["last_used_at"], after["state"]["pid"]) == (
        *(before["created_at"], before["last_used_at"]),
        before["state"]["pid"],
    )
    assert await wire.kinds() == told
    await wire.harness.exactly("said-twice")


async def test_commands_of_a_former_generation_touch_nothing(wire: Wire) -> None:
    """A late provision does not replace, and a late delete does not remove, what came after it."""
    await wire.harness.client.containers.reschedule("said-twice")
    await wire.harness.status("said-twice", Status.PROVISIONED)
    before = (await wire.harness.instances(NODE))["said-twice"]
    former_delete = wire.commands.of(Command.DELETE, wire.container.id)[0]
    assert former_delete.generation == wire.container.generation

    await wire.command(wire.provision, former_delete, wire.provision, former_delete)
    await wire.report()

    after = (await wire.harness.instances(NODE))["said-twice"]
    assert after["state"]["pid"] == before["state"]["pid"]
    assert after["config"]["user.pathfinder.generation"] == str(wire.container.generation + 1)
    await wire.harness.exactly("said-twice")


async def test_a_late_provision_after_the_delete_brings_nothing_back(wire: Wire) -> None:
    """The agent remembers what it deleted, and refuses."""
    await wire.harness.client.containers.delete("said-twice")
    await wire.harness.gone("said-twice")
    (delete,) = wire.commands.of(Command.DELETE, wire.container.id)

    await wire.command(wire.provision, wire.provision, delete)

    assert len(wire.reports.of(Report.PROVISIONED, wire.container.id)) == 1
    await wire.report()
    await wire.harness.exactly()


async def test_a_late_provision_for_an_agent_that_forgot_is_undone(wire: Wire) -> None:
    """One that lost its notes cannot know what was deleted, but its report is answered with a delete."""
    await wire.harness.client.containers.delete("said-twice")
    await wire.harness.gone("said-twice")
    (wire.harness.lab.home.root / "nodes" / NODE / "agent" / "fences.jsonl").unlink()
    wire.harness.lab.kill_role("agent", NODE)

    await wire.command(wire.provision)

    async def answered() -> object:
        return len(wire.commands.of(Command.DELETE, wire.container.id)) > 1

    await wire.harness.until("the delete", answered)
    await wire.harness.exactly()
    assert (await wire.kinds())[-1] == Kind.CONTAINER_DELETED


async def test_reports_that_come_again_change_nothing(wire: Wire) -> None:
    """The first one counts; neither status, nor events, nor claims move with the others."""
    told = await wire.kinds()
    failed = replace(wire.provisioned, kind=Report.PROVISION_FAILED, body={**wire.provisioned.body, "reason": "late"})
    progress = replace(wire.provisioned, kind=Report.PROGRESS, body={**wire.provisioned.body, "stage": "create"})

    await wire.report(wire.provisioned, wire.provisioned, failed, progress, wire.provisioned)

    assert await wire.kinds() == told
    await wire.harness.exactly("said-twice")


async def test_a_delete_reported_twice_frees_the_claim_once(wire: Wire) -> None:
    """Nor does a late report of its start bring a deleted container back to life."""
    await wire.harness.client.containers.delete("said-twice")
    await wire.harness.gone("said-twice")
    deleted = wire.reports.of(Report.DELETED, wire.container.id)[0]

    await wire.report(deleted, wire.provisioned, deleted)

    assert await wire.harness.mistakes_in_the_books() == []
    assert (await wire.kinds()).count(Kind.CONTAINER_DELETED) == 1
    await wire.harness.exactly()


async def test_a_deleted_report_nobody_waited_for_changes_nothing(wire: Wire) -> None:
    """A container that is wanted stays wanted."""
    deleted = replace(wire.provisioned, kind=Report.DELETED)

    await wire.report(deleted)

    assert (await wire.harness.client.containers.get("said-twice")).status == Status.PROVISIONED
    await wire.harness.exactly("said-twice")


async def test_a_stale_provisioned_report_is_answered_with_a_delete_of_that_generation(wire: Wire) -> None:
    """The present placement is not touched by it."""
    await wire.harness.client.containers.reschedule("said-twice")
    await wire.harness.status("said-twice", Status.PROVISIONED)
    stale = replace(wire.provisioned, trace_id=str(uuid4()))

    await wire.report(stale)

    (answer,) = wire.commands.of(Command.DELETE, wire.container.id, stale.trace_id)
    assert answer.generation == wire.container.generation
    await wire.harness.exactly("said-twice")


async def test_a_message_nobody_can_read_is_set_aside_and_holds_nothing_up(wire: Wire) -> None:
    """Commands behind it are carried out."""
    (cluster,) = await wire.harness.sql("SELECT id::text FROM clusters WHERE name = 'default'")
    nonsense = Envelope("dance", cluster["id"], str(uuid4()), body={"hostname": "said-twice"})
    foreign = commands.delete(str(uuid4()), str(wire.container.id), "said-twice", 99)
    async with wire.harness.spy(Exchange.DEAD, "#") as dead:
        await wire.command(nonsense, foreign, wire.provision)

        async def set_aside() -> object:
            return len(dead.seen) == 2

        await wire.harness.until("both in the dead-letter queue", set_aside)
    await wire.harness.exactly("said-twice")

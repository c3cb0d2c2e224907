"""The recorder: reports and lists of agents, doubled, late, reordered, or of nodes that are gone."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import text
from workbench import Fleet

from pathfinder.bootstrap import Process
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.messages import SUPPLY, Command, Envelope, Exchange, Kind, Report, decode
from pathfinder.store import due, leases, nodes, outbox, requests
from pathfinder.store.requests import Asker
from workers.recorder import record_inventory, record_reports
from workers.scheduler import ANYTHING, place_pending

ASKER = Asker("test", "trace")
NO_GRACE, GRACE = timedelta(0), timedelta(hours=1)


class Node:
    """A node with one container, `web`, placed on it; speaks as its agent."""

    def __init__(self, fleet: Fleet, node_id: UUID, container_id: UUID) -> None:
        self.fleet, self.node_id, self.container_id = fleet, node_id, container_id
        self.process = fleet.process
        #: What the node was told at its last registration.
        self.epoch = 0

    def report(self, kind: Report, generation: int = 1, **body: object) -> Envelope:
        """A report about it."""
        body = {"node_id": str(self.node_id), "hostname": "web", **body}
        return Envelope(kind, str(self.fleet.cluster_id), str(self.container_id), generation, body=body)

    async def say(self, *reports: Envelope) -> None:
        """Have the reports recorded in one transaction."""
        async with self.process.database.begin() as tx:
            await record_reports(tx, reports)

    async def show(
        self,
        *instances: dict[str, object],
        busy: tuple[str, ...] = (),
        grace: timedelta = NO_GRACE,
        made: datetime | None = None,
        **more: object,
    ) -> None:
        """Have a full list recorded, made now unless told otherwise."""
        body = {"instances": list(instances), "busy": list(busy), "epoch": self.epoch, **more}
        at = (made or datetime.now(UTC)).isoformat()
        envelope = Envelope(Report.INVENTORY, str(self.fleet.cluster_id), str(self.node_id), body=body, at=at)
        async with self.process.database.begin() as tx:
            await record_inventory(tx, envelope, grace)

    def instance(
        self, generation: int = 1, *, running: bool = True, container_id: str | None = None
    ) -> dict[str, object]:
        """An entry of a list."""
        return {
            "container_id": container_id or str(self.container_id),
            "hostname": "web",
            "generation": generation,
            "running": running,
            "address": "10.0.0.9",
            "seen_seconds": 1.0,
        }

    async def state(self) -> tuple[object, ...]:
        """Status, generation and address."""
        (row,) = await self.fleet.rows("SELECT status, generation, ipaddress FROM containers")
        return row

    async def claimed(self) -> list[tuple[object, ...]]:
        """What the node claims; it must add up."""
        await self.fleet.assert_claims_add_up()
        return await self.fleet.rows("SELECT cpu_claimed, containers FROM nodes ORDER BY hostname")

    async def commands(self) -> list[tuple[str, int]]:
        """Kind and generation of the commands since the last time."""
        found = []
        async with self.process.database.begin() as tx:
            for message in await outbox.take(tx):
                if message.exchange == Exchange.COMMANDS:
                    found += [(one.kind, one.generation) for one in decode(message.body)]
        return found

    async def reschedule(self) -> None:
        """A user asks for another placement; the scheduler finds one."""
        async with self.process.database.begin() as tx:
            await requests.reschedule(tx, self.fleet.cluster_id, "web", ASKER)
        await place_pending(self.process, self.fleet.cluster_id, news=ANYTHING)

    async def due(self) -> None:
        """The time of the next attempt comes, and a scheduler looks."""
        async with self.process.database.begin() as tx:
            await tx.execute(text("UPDATE containers SET retry_at = now() - interval '1 ms'"))
        await place_pending(self.process, self.fleet.cluster_id)

    async def delete(self) -> None:
        """A user has it deleted."""
        async with self.process.database.begin() as tx:
            await requests.delete(tx, self.fleet.cluster_id, "web", ASKER)


@pytest.fixture
async def node(fleet: Fleet, process: Process) -> Node:
    """A node with room for two, on which `web` was just placed; its outbox is empty."""
    node_id = await fleet.node("node-01", cpu_millicores=4000)
    (container_id,) = await fleet.ask("web", cpu=2)
    await place_pending(process, fleet.cluster_id)
    made = Node(fleet, node_id, container_id)
    assert await made.commands() == [(Command.PROVISION, 1)]
    return made


async def test_a_provisioned_container_has_its_address(node: Node) -> None:
    """And the log says so."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))

    assert await node.state() == ("PROVISIONED", 1, "10.0.0.9")
    assert (await node.fleet.kinds())[-1] == "container.provisioned"


async def test_a_report_told_again_and_again_is_recorded_once(node: Node) -> None:
    """In one batch and in several."""
    up = node.report(Report.PROVISIONED, ipaddress="10.0.0.9")
    await node.say(up, up)
    await node.say(up)

    assert (await node.fleet.kinds()).count("container.provisioned") == 1
    assert await node.commands() == []


async def test_a_failure_frees_the_room(node: Node) -> None:
    """Once, however often it is told; and the reason stays."""
    failed = node.report(Report.PROVISION_FAILED, reason="no space", fault="node")
    await node.say(failed, failed)
    await node.say(failed)

    ((status, message, attempts, retry_at),) = await node.fleet.rows(
        "SELECT status, message, attempts, retry_at FROM containers"
    )
    assert (status, attempts) == ("PENDING", 1)
    assert str(message).startswith("Attempt 1 of 5 failed on node-01: no space. It is tried again at ")
    assert retry_at is not None
    assert await node.claimed() == [(0, 0)]
    assert await node.fleet.rows("SELECT generation, node, fault, reason FROM attempts") == [
        (1, "node-01", "node", "no space")
    ]
    assert (await node.fleet.kinds()).count("container.provision_failed") == 1


async def test_a_late_failure_of_a_former_placement_counts_for_nothing(node: Node) -> None:
    """Fenced by generation: the attempt after it is judged by itself."""
    failed = node.report(Report.PROVISION_FAILED, reason="no space", fault="node")
    await node.say(failed)
    await node.due()
    await node.say(failed)

    assert (await node.state())[:2] == ("SCHEDULED", 2)
    assert await node.fleet.rows("SELECT attempts FROM containers") == [(1,)]
    assert await node.claimed() == [(2000, 1)]


async def test_a_container_is_not_placed_before_its_time(node: Node) -> None:
    """Whatever wakes the scheduler meanwhile."""
    await node.say(node.report(Report.PROVISION_FAILED, reason="no space", fault="node"))
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))  # its time is over too
    await place_pending(node.process, node.fleet.cluster_id, news=ANYTHING)

    assert (await node.state())[:2] == ("PENDING", 1)

    await node.due()
    assert (await node.state())[:2] == ("SCHEDULED", 2)


async def test_what_may_be_left_of_a_failed_provision_holds_its_room(node: Node) -> None:
    """Until its node says that it is gone; and that it was told to remove it."""
    await node.say(node.report(Report.PROVISION_FAILED, reason="LXD does not answer", fault="node", left=True))
    assert await node.claimed() == [(2000, 1)]
    assert await node.commands() == [(Command.DELETE, 1)]

    gone = node.report(Report.DELETED)
    await node.say(gone, gone)
    assert await node.claimed() == [(0, 0)]


async def test_what_may_still_run_somewhere_is_placed_nowhere_else(node: Node) -> None:
    """However often a scheduler looks, and nothing is due meanwhile; it is once its node says that it is gone."""
    await node.fleet.node("node-02")
    await node.say(node.report(Report.PROVISION_FAILED, reason="LXD does not answer", fault="node", left=True))

    await node.due()
    await place_pending(node.process, node.fleet.cluster_id, news=ANYTHING)
    assert (await node.state())[:2] == ("PENDING", 1)
    ((message,),) = await node.fleet.rows("SELECT message FROM containers")
    assert "once node-01 says that nothing of it is left there" in str(message)
    async with node.process.database.read() as connection:
        assert (await due.next_due(connection, due.EVER))[0] is None

    await node.say(node.report(Report.DELETED))
    await place_pending(node.process, node.fleet.cluster_id)
    assert (await node.state())[:2] == ("SCHEDULED", 2)


async def test_what_ran_on_a_node_that_is_down_holds_nothing_back(node: Node) -> None:
    """Its lease is over, and it stopped what it had; schedulers hear of that moment."""
    await node.fleet.node("node-02")
    await node.say(node.report(Report.PROVISION_FAILED, reason="LXD does not answer", fault="node", left=True))
    await node.fleet.rows("UPDATE nodes SET status = 'DOWN' WHERE hostname = 'node-01' RETURNING id")

    await node.due()

    assert (await node.state())[:2] == ("SCHEDULED", 2)
    assert Kind.NODE_DOWN in SUPPLY


async def test_a_user_may_have_it_elsewhere_although_it_may_still_run(node: Node) -> None:
    """For a node that never gets rid of it; also where no retry is awaited. The room there stays held."""
    await node.fleet.node("node-02")
    await node.say(node.report(Report.PROVISION_FAILED, reason="LXD does not answer", fault="node", left=True))
    await node.fleet.rows("UPDATE containers SET retry_at = NULL RETURNING id")

    await node.reschedule()

    assert (await node.state())[:2] == ("SCHEDULED", 2)
    assert (await node.claimed())[0] == (2000, 1)


async def test_the_api_lists_the_attempts(node: Node, api: httpx2.AsyncClient) -> None:
    """Oldest first; and the container says how many of them count, and when the next one is."""
    assert (await api.get("/containers/web/attempts")).json() == {"items": [], "next_cursor": None}

    await node.say(node.report(Report.PROVISION_FAILED, reason="no space", fault="node"))

    (attempt,) = (await api.get("/containers/web/attempts")).json()["items"]
    assert attempt.pop("at")
    assert attempt == {
        "node": "node-01",
        "simulated": True,
        "generation": 1,
        "fault": "node",
        "reason": "no space",
    }
    container = (await api.get("/containers/web")).json()
    assert (container["failed_attempts"], container["max_attempts"]) == (1, 5)
    assert container["retry_at"]
    assert (await api.get("/containers/nobody/attempts")).status_code == 404


async def test_the_last_attempt_ends_in_an_error_with_words(node: Node) -> None:
    """And so does what the request got wrong, at once."""
    async with node.process.database.begin() as tx:
        await tx.execute(text("UPDATE containers SET attempts = 4"))
    await node.say(node.report(Report.PROVISION_FAILED, reason="no space", fault="node"))

    ((status, message),) = await node.fleet.rows("SELECT status, message FROM containers")
    assert status == "PROVISION_ERROR"
    assert "`pfi reschedule container web` starts anew" in str(message)
    assert await node.claimed() == [(0, 0)]

    await node.reschedule()
    await node.say(node.report(Report.PROVISION_FAILED, generation=2, reason="no such image", fault="request"))
    assert await node.fleet.rows("SELECT status, message, attempts FROM containers") == [
        ("PROVISION_ERROR", "no such image", 1)
    ]


async def test_a_deletion_frees_the_room_once(node: Node) -> None:
    """Doubled reports never give back twice."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await node.delete()
    gone = node.report(Report.DELETED)
    await node.say(gone, gone)
    await node.say(gone)

    assert (await node.state())[0] == "DELETED"
    assert await node.claimed() == [(0, 0)]


async def test_a_late_report_of_a_former_placement_is_answered_with_a_delete(node: Node) -> None:
    """The present placement is left alone."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await node.reschedule()
    await node.commands()

    await node.say(node.report(Report.PROVISIONED, generation=1, ipaddress="10.0.0.9"))

    assert await node.state() == ("SCHEDULED", 2, None)
    assert await node.commands() == [(Command.DELETE, 1)]


async def test_a_departure_holds_its_room_until_the_instance_is_gone(node: Node) -> None:
    """And gives it back once."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await node.reschedule()
    assert await node.claimed() == [(4000, 2)]

    gone = node.report(Report.DELETED, generation=1)
    await node.say(gone, gone)
    await node.say(gone)

    assert await node.claimed() == [(2000, 1)]
    assert (await node.fleet.kinds()).count("container.departed") == 1
    assert (await node.state())[:2] == ("SCHEDULED", 2)


async def test_reports_of_a_node_that_was_deleted_do_not_count(node: Node) -> None:
    """Nor do they stop the others."""
    stranger = node.report(Report.PROVISION_FAILED, node_id=str(uuid4()))
    await node.say(stranger, node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))

    assert (await node.state())[0] == "PROVISIONED"


async def test_a_report_about_nobody_is_answered_with_a_delete(node: Node) -> None:
    """An instance that runs and is in no table."""
    unknown = Envelope(
        Report.PROVISIONED, "c", str(uuid4()), 1, body={"node_id": str(node.node_id), "hostname": "ghost"}
    )
    await node.say(unknown)

    assert await node.commands() == [(Command.DELETE, 1)]


@pytest.mark.parametrize("seed", range(8))
async def test_no_order_of_late_and_doubled_reports_breaks_the_books(node: Node, seed: int) -> None:
    """Claims add up at every step, and the final answer of the present placement wins."""
    dice = random.Random(seed)
    past = [node.report(Report.PROVISIONED, ipaddress="10.0.0.9"), node.report(Report.PROGRESS, stage="image")]
    await node.say(past[0])
    for generation in (2, 3):
        await node.reschedule()
        if (await node.state())[0] == "PENDING":  # full until a departure ends
            await node.say(node.report(Report.DELETED, generation=generation - 2))
            await place_pending(node.process, node.fleet.cluster_id, news=ANYTHING)
        past += [node.report(Report.DELETED, generation=generation - 1)]
        noise = dice.choices(past, k=4)
        for one in noise:
            await node.say(one)
            await node.fleet.assert_claims_add_up()
        await place_pending(node.process, node.fleet.cluster_id, news=ANYTHING)
        assert (await node.state())[:2] == ("SCHEDULED", generation)
        up = node.report(Report.PROVISIONED, generation=generation, ipaddress="10.0.0.9")
        past.append(up)
        await node.say(*dice.sample([up, up, *dice.choices(past, k=3)], 5))
        assert (await node.state())[:2] == ("PROVISIONED", generation)
    await node.say(*past)

    await node.fleet.assert_claims_add_up()
    assert await node.state() == ("PROVISIONED", 3, "10.0.0.9")


async def test_a_list_that_matches_changes_nothing(node: Node) -> None:
    """The common case, every minute on every node."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    before = await node.fleet.kinds()

    await node.show(node.instance())

    assert await node.fleet.kinds() == before
    assert await node.commands() == []


async def test_an_instance_removed_behind_our_back_is_provisioned_again(node: Node) -> None:
    """The same placement, with its claim."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))

    await node.show()

    assert (await node.state())[:2] == ("SCHEDULED", 1)
    assert (await node.fleet.kinds())[-1] == "container.missing"
    assert await node.commands() == [(Command.PROVISION, 1)]
    assert await node.claimed() == [(2000, 1)]


async def test_a_lost_command_is_sent_again_after_the_grace(node: Node) -> None:
    """Not before: it may be under way."""
    await node.show(grace=GRACE)
    assert await node.commands() == []

    await node.show()
    assert await node.commands() == [(Command.PROVISION, 1)]


async def test_what_the_agent_works_on_is_left_alone(node: Node) -> None:
    """Its report is under way."""
    await node.show(busy=(str(node.container_id),))

    assert await node.commands() == []


async def test_an_instance_that_nobody_wants_is_deleted(node: Node) -> None:
    """Left by a report that got lost."""
    await node.show(node.instance(), node.instance(container_id=str(uuid4())), grace=NO_GRACE)

    assert (Command.DELETE, 1) in await node.commands()


async def test_a_lost_report_of_a_deletion_is_made_good(node: Node) -> None:
    """The instance is not on the list: it is gone, and its room is free."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await node.delete()

    await node.show()

    assert (await node.state())[0] == "DELETED"
    assert await node.claimed() == [(0, 0)]


async def test_a_lost_report_of_a_departure_is_made_good(node: Node) -> None:
    """The former instance is not on the list."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await node.reschedule()

    await node.show(node.instance(generation=1))
    await node.show(node.instance(generation=2), grace=GRACE)  # it may have been made before the instance was seen
    assert await node.claimed() == [(4000, 2)]
    await node.show(node.instance(generation=2))
    assert await node.claimed() == [(2000, 1)]


@pytest.mark.parametrize("type_", ContainerType)
async def test_a_list_that_was_made_before_the_report_and_comes_after_it_declares_nothing_missing(
    fleet: Fleet, process: Process, type_: ContainerType
) -> None:
    """Nor lost: a disk is gone only if a list says so that knows of the container."""
    node_id = await fleet.node("node-01")
    (id_,) = await fleet.ask("web", type=type_)
    await place_pending(process, fleet.cluster_id)
    node = Node(fleet, node_id, id_)
    before = datetime.now(UTC)
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))

    await node.show(made=before)
    await node.show(grace=GRACE)
    assert await node.state() == ("PROVISIONED", 1, "10.0.0.9")

    await node.show()
    assert (await node.state())[0] != "PROVISIONED"


async def test_a_list_of_another_epoch_counts_for_nothing_though_its_node_is_ready(node: Node) -> None:
    """The node went DOWN and came back while it was under way. Its agent, should it not know, is told."""
    await node.say(node.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await node.fleet.rows("UPDATE nodes SET epoch = 1 RETURNING id")

    await node.show()

    assert (await node.state())[0] == "PROVISIONED"
    assert await node.commands() == [(Command.REJOIN, 0)]


async def test_freed_room_is_told_to_whoever_waits(node: Node) -> None:
    """`supply` grows and the event is one that schedulers listen for."""
    await node.fleet.ask("next", cpu=4)
    await place_pending(node.process, node.fleet.cluster_id)
    assert (await node.fleet.statuses())["next"] == "PENDING"

    await node.say(node.report(Report.PROVISION_FAILED, reason="no"))
    await place_pending(node.process, node.fleet.cluster_id, news=ANYTHING)

    assert (await node.fleet.statuses())["next"] == "SCHEDULED"


async def test_a_silent_node_goes_down_once(node: Node) -> None:
    """A lease that was renewed meanwhile is respected."""
    async with node.process.database.begin() as tx:
        assert await leases.expired(tx) == {}
        await nodes.mark_down(tx, {node.node_id})  # a decision on what was true a moment ago
    assert await node.fleet.rows("SELECT status, epoch FROM nodes") == [("READY", 0)]

    async with node.process.database.begin() as tx:
        await tx.execute(text("UPDATE leases SET until = now() - interval '1 s'"))
        for _ in range(2):
            await nodes.mark_down(tx, {*await leases.expired(tx), node.node_id})
    assert await node.fleet.rows("SELECT status, epoch FROM nodes") == [("DOWN", 1)]
    assert (await node.fleet.kinds()).count("node.down") == 1

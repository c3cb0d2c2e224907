"""What the recorder makes of how containers are: the columns, the events, the new placement, and what is touched."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from test_recorder import Node
from workbench import Fleet

from pathfinder.bootstrap import Process
from pathfinder.domain import commands
from pathfinder.domain.messages import Command, Kind, Report
from pathfinder.store import containers, healing, listing, nodes
from workers.scheduler import place_pending


class Ward(Node):
    """A node whose container `web` is PROVISIONED, and a replica of a deployment."""

    def health(self, health: str, restarts: int = 0, generation: int = 1, **more: Any) -> Any:
        """A report of how it is."""
        report = self.report(Report.HEALTH, generation, health=health, restarts=restarts)
        known = {"container_id": str(self.container_id), "generation": generation, "settled": False, "message": None}
        report.body.update(known | more)
        return report

    async def now(self) -> tuple[object, ...]:
        """Its health, why, its restarts, and whether since when is known."""
        (row,) = await self.fleet.rows(
            "SELECT health, health_message, restarts, health_at IS NOT NULL FROM containers WHERE hostname = 'web'"
        )
        return row

    async def touched(self) -> int:
        """How often its deployment was touched since the last time."""
        async with self.process.database.begin() as tx:
            return len((await tx.execute(text("DELETE FROM touches RETURNING id"))).all())

    async def kinds(self) -> list[str]:
        """The kinds of event about its health."""
        about = {Kind.CONTAINER_HEALTHY, Kind.CONTAINER_UNHEALTHY, Kind.CONTAINER_RESTARTED}
        return [kind for kind in await self.fleet.kinds() if kind in about]


@pytest.fixture
async def ward(fleet: Fleet, process: Process) -> Ward:
    """The container runs; nothing is known of its health."""
    node_id = await fleet.node("node-01", cpu_millicores=4000)
    (container_id,) = await fleet.ask("web", cpu=2)
    await place_pending(process, fleet.cluster_id)
    made = Ward(fleet, node_id, container_id)
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE containers SET deployment_id = :id"), {"id": uuid4()})
    await made.say(made.report(Report.PROVISIONED, ipaddress="10.0.0.9"))
    await made.commands()
    await made.touched()
    return made


async def test_what_changes_is_written_told_and_touches_the_deployment_once(ward: Ward) -> None:
    """However often it is said, in one batch or in several, and in each inventory."""
    await ward.say(ward.health("HEALTHY", settled=True), ward.health("HEALTHY", settled=True))
    assert await ward.now() == ("HEALTHY", None, 0, True)
    await ward.say(ward.health("HEALTHY", settled=True))
    assert await ward.touched() == 1

    await ward.say(ward.health("UNHEALTHY", message="web: refused"))
    await ward.show(ward.instance(), health=[ward.health("UNHEALTHY", message="web: refused").body])
    await ward.say(ward.health("UNKNOWN", 1))

    assert await ward.now() == ("UNKNOWN", None, 1, True)
    assert await ward.touched() == 2
    assert await ward.kinds() == ["container.healthy", "container.unhealthy", "container.restarted"]


async def test_an_inventory_tells_what_no_report_did(ward: Ward) -> None:
    """Reports of health may all be lost."""
    await ward.show(ward.instance(), health=[ward.health("UNHEALTHY", 2, message="web: refused").body])

    assert await ward.now() == ("UNHEALTHY", "web: refused", 2, True)
    assert await ward.touched() == 1


async def test_an_agent_that_began_anew_does_not_lower_the_count(ward: Ward) -> None:
    """Until it knows that the container stays well."""
    await ward.say(ward.health("UNHEALTHY", 3))
    await ward.say(ward.health("UNHEALTHY", 1))
    assert (await ward.now())[2] == 3

    await ward.say(ward.health("HEALTHY", 0, settled=True))

    assert (await ward.now())[2] == 0


async def test_what_is_said_of_another_placement_counts_for_nothing(ward: Ward) -> None:
    """Nor what another node says."""
    other = Ward(ward.fleet, await ward.fleet.node("node-02"), ward.container_id)

    await ward.say(ward.health("UNHEALTHY", generation=0), other.health("UNHEALTHY"))

    assert await ward.now() == ("UNKNOWN", None, 0, False)
    assert await ward.touched() == 0


async def test_nothing_is_known_of_a_container_that_is_lost_or_brought_back(ward: Ward) -> None:
    """What was known was about what ran there."""
    await ward.say(ward.health("HEALTHY", settled=True))
    await ward.show()  # its instance is gone
    assert await ward.now() == ("UNKNOWN", None, 0, True)

    await ward.say(ward.report(Report.PROVISIONED, ipaddress="10.0.0.9"), ward.health("UNHEALTHY", message="web: no"))
    assert await ward.now() == ("UNHEALTHY", "web: no", 0, True)
    async with ward.process.database.begin() as tx:
        await tx.execute(text("UPDATE nodes SET status = 'DOWN'"))
        (node,) = (await nodes.by_ids(tx, {ward.node_id})).values()
        await healing.lose(tx, node)

    assert await ward.now() == ("UNKNOWN", None, 0, True)


async def test_one_that_restarts_do_not_help_goes_elsewhere_once_it_is_gone_here(ward: Ward) -> None:
    """Once, however often it is asked for; the node it did not stay well on is not judged by it."""
    other = await ward.fleet.node("node-02", cpu_millicores=4000)
    ask = ward.health("UNHEALTHY", 5, message="web: refused", exhausted=True)
    await ward.say(ask, ask)
    await ward.say(ask)

    status, message, where = (
        await ward.fleet.rows("SELECT status, message, node_id FROM containers WHERE hostname = 'web'")
    )[0]
    assert (status, where) == ("PENDING", None)
    assert str(message).startswith("5 restarts on node-01 did not help: web: refused")
    assert await ward.commands() == [(Command.DELETE, 1)]
    assert (await ward.fleet.kinds()).count("container.rescheduled") == 1
    assert await ward.now() == ("UNKNOWN", None, 0, False)

    await ward.say(ward.report(Report.DELETED))
    await place_pending(ward.process, ward.fleet.cluster_id)
    assert await ward.fleet.rows("SELECT status, node_id FROM containers WHERE hostname = 'web'") == [
        ("SCHEDULED", other)
    ]
    await ward.fleet.assert_claims_add_up()


async def test_an_update_that_failed_is_told_with_its_reason(ward: Ward) -> None:
    """And one that did not, takes the reason away again."""
    await ward.say(ward.report(Report.UPDATED, reason="LXD says no"))
    assert await ward.fleet.rows("SELECT status, message FROM containers") == [
        ("PROVISIONED", "It was not updated: LXD says no")
    ]

    await ward.say(ward.report(Report.UPDATED, reason=None))

    assert await ward.fleet.rows("SELECT message FROM containers") == [(None,)]
    assert (await ward.fleet.kinds())[-2:] == ["container.update_failed", "container.updated"]


async def test_clients_see_it(ward: Ward) -> None:
    """With the reason, and what is asked."""
    check = '{"checks": [{"name": "web", "tcp": {"port": 80}}]}'
    async with ward.process.database.begin() as tx:
        await tx.execute(text("UPDATE containers SET spec = spec || CAST(:more AS jsonb)"), {"more": check})
    await ward.say(ward.health("UNHEALTHY", 2, message="web: refused"))

    async with ward.process.database.begin() as tx:
        seen = await listing.container(tx, "default", "web")
        (locked,) = (await containers.lock(tx, [UUID(str(seen.id))])).values()

    assert (seen.health, seen.health_message, seen.restarts) == ("UNHEALTHY", "web: refused", 2)
    assert seen.health_at is not None
    assert seen.checks == [{"name": "web", "tcp": {"port": 80}}]
    assert commands.update(locked, 4).body["checks"] == seen.checks

"""Nodes that fail again and again, on real PostgreSQL and RabbitMQ: set aside, probed, and back."""

import asyncio

import httpx2
import pytest
from simulated_site import Machine, Site
from workbench import Fleet, MakeProcess

import workers.scheduler
from pathfinder.bootstrap import Process
from pathfinder.controllers import setting_aside
from pathfinder.domain.messages import Envelope, Report
from workers.recorder import record_reports
from workers.scheduler import ANYTHING, place_pending

HERE = {"name": "node-0"}


@pytest.fixture
async def ailing(site: Site, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Three nodes, of which node-0 was just set aside, for about a second, and is still full."""
    monkeypatch.setattr(setting_aside, "FIRST_SECONDS", 1.0)
    await site.start(workers.scheduler.run, workers.scheduler.run)
    machine = await site.node("node-0", full=True)
    await site.node("node-1")
    await site.node("node-2")
    await site.fleet.ask("a", "b", "c", node_labels=HERE, max_attempts=1)
    await site.happens("node.set_aside")
    return machine


async def test_a_node_that_was_set_aside_is_probed_and_restored(site: Site, ailing: Machine) -> None:
    """Whoever waits for it is woken when its time is over, and the rest when the probe has succeeded."""
    await site.fleet.ask("d", "e", "f", node_labels=HERE)
    ailing.full = False

    for hostname in "def":
        await site.reaches(hostname, "PROVISIONED")

    assert (await site.fleet.kinds()).count("node.restored") == 1
    assert (
        await site.fleet.rows("SELECT failures, aside_until, aside_reason FROM nodes ORDER BY hostname")
        == [(0, None, None)] * 3
    )
    # The second of them was not placed before the first had succeeded.
    order = await site.fleet.rows(
        "SELECT kind, subject_name FROM events WHERE subject_name IN ('d', 'e', 'f') AND kind IN "
        "('container.scheduled', 'container.provisioned') ORDER BY seq"
    )
    assert [kind for kind, _ in order[:2]] == ["container.scheduled", "container.provisioned"]
    assert order[0][1] == order[1][1]


async def test_a_probe_that_fails_sets_it_aside_for_longer(site: Site, ailing: Machine) -> None:
    """One container at a time pays for finding out, and none is lost by it."""
    await site.fleet.ask(*(f"p-{number}" for number in range(6)), node_labels=HERE)
    await site.happens("node.set_aside", 2)

    ((failed,),) = await site.fleet.rows("SELECT count(*) FROM attempts WHERE node = 'node-0'")
    assert failed == 4
    ((failures, reason),) = await site.fleet.rows("SELECT failures, aside_reason FROM nodes WHERE hostname = 'node-0'")
    assert (failures, reason) == (4, "no space left on device")

    ailing.full = False
    for number in range(6):
        await site.reaches(f"p-{number}", "PROVISIONED")


async def test_others_go_elsewhere_meanwhile_and_the_explanation_says_why(
    site: Site, ailing: Machine, api: httpx2.AsyncClient
) -> None:
    """And the node shows it, until somebody opens it."""
    monitored = (await api.get("/nodes/node-0")).json()
    assert (monitored["failures"], monitored["aside_reason"]) == (3, "no space left on device")
    assert monitored["aside_until"]

    await site.fleet.ask("elsewhere")
    await site.reaches("elsewhere", "PROVISIONED")
    assert await site.placed_on("elsewhere") != "node-0"
    rejections = (await api.get("/containers/elsewhere/explain")).json()["rejections"]
    assert [(one["filter"], one["nodes"]) for one in rejections] == [("set-aside", 1)]
    assert "no space left on device" in rejections[0]["reason"]

    ailing.full = False
    opened = (await api.post("/nodes/node-0/uncordon")).json()
    assert (opened["failures"], opened["aside_until"], opened["aside_reason"]) == (0, None, None)
    assert (await site.fleet.kinds()).count("node.restored") == 1
    await api.post("/nodes/node-0/uncordon")
    assert (await site.fleet.kinds()).count("node.restored") == 1


async def test_a_scheduler_that_starts_finds_a_node_whose_time_is_over(site: Site, ailing: Machine) -> None:
    """Those that knew of it are gone, and its moment came while nobody looked."""
    await site.fleet.ask("d", node_labels=HERE)
    await site.happens("container.unplaceable")
    await site.stop(workers.scheduler.run)
    ailing.full = False
    await site.passes("SELECT aside_until <= now() FROM nodes WHERE hostname = 'node-0'")

    await site.start(workers.scheduler.run)

    await site.reaches("d", "PROVISIONED")


async def test_one_bad_container_condemns_no_node(site: Site) -> None:
    """However often it fails there."""
    await site.start(workers.scheduler.run)
    await site.node("node-0")
    await site.node("node-1")

    await site.fleet.ask("bad", image="local:broken", node_labels=HERE, max_attempts=4)
    await site.reaches("bad", "PROVISION_ERROR")

    assert len(await site.attempts("bad")) == 4
    assert await site.fleet.rows("SELECT failures, aside_until FROM nodes ORDER BY hostname") == [(1, None), (0, None)]


async def fail(fleet: Fleet, *hostnames: str) -> None:
    """Each of these containers fails on the node where it was placed."""
    rows = await fleet.rows(
        "SELECT id, node_id, generation, hostname FROM containers WHERE hostname = ANY(:names)", names=list(hostnames)
    )
    failed = [
        Envelope(
            Report.PROVISION_FAILED,
            str(fleet.cluster_id),
            str(id_),
            int(str(generation)),
            body={"node_id": str(node_id), "hostname": hostname, "reason": "no space", "fault": "node"},
        )
        for id_, node_id, generation, hostname in rows
    ]
    async with fleet.process.database.begin() as tx:
        await record_reports(tx, failed * 2)


async def test_no_more_than_a_third_of_the_nodes_is_set_aside(fleet: Fleet, process: Process) -> None:
    """What fails everywhere is not the nodes' doing; and told twice, each failure counts once."""
    for number in range(4):
        await fleet.node(f"node-{number}")
    names = [f"c-{number:02}" for number in range(16)]
    await fleet.ask(*names, max_attempts=1)
    await place_pending(process, fleet.cluster_id)

    await fail(fleet, *names)

    rows = await fleet.rows("SELECT failures, aside_until IS NOT NULL FROM nodes")
    assert sorted(rows) == [(3, False), (3, False), (3, False), (3, True)]
    assert (await fleet.kinds()).count("node.set_aside") == 1
    await fleet.assert_claims_add_up()


async def test_schedulers_at_once_place_one_container_on_a_half_open_node(
    fleet: Fleet, process: Process, make_process: MakeProcess
) -> None:
    """The claim of the first changes what the others see."""
    await fleet.node("node-0")
    await fleet.ask(*(f"c-{number:02}" for number in range(40)))
    await fleet.rows("UPDATE nodes SET failures = 3, aside_reason = 'no', aside_until = now() RETURNING 1")
    many = [make_process(scheduler_batch=5) for _ in range(4)]

    await asyncio.gather(*(place_pending(one, fleet.cluster_id, news=ANYTHING) for one in many))

    assert list((await fleet.statuses()).values()).count("SCHEDULED") == 1
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    assert list((await fleet.statuses()).values()).count("SCHEDULED") == 1
    await fleet.assert_claims_add_up()


async def test_nothing_is_claimed_on_a_node_that_was_set_aside_meanwhile(fleet: Fleet, process: Process) -> None:
    """The statement that takes claims looks again."""
    await fleet.node("node-0")
    await fleet.ask("web")
    await fleet.rows(
        "UPDATE nodes SET failures = 3, aside_reason = 'no', aside_until = now() + interval '1 h' RETURNING 1"
    )

    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    ((status, message),) = await fleet.rows("SELECT status, message FROM containers")
    assert status == "PENDING"
    assert "node is set aside after failed provisions (no); `pfi uncordon node NAME` opens it" in str(message)

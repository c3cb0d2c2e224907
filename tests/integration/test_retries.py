"""Provisions that fail, on real PostgreSQL and RabbitMQ with simulated nodes: tried again elsewhere, or not at all."""

from uuid import UUID

import pytest
from simulated_site import Site
from workbench import eventually

import workers.scheduler
from pathfinder.domain.errors import NotPlaced
from pathfinder.runtime.simulated import Faults


async def test_what_a_full_node_cannot_make_runs_on_another(site: Site) -> None:
    """Although the full one, being empty of containers, is the best node of all."""
    await site.start(workers.scheduler.run, workers.scheduler.run)
    await site.node("node-1")
    await site.fleet.ask("resident")
    await site.reaches("resident", "PROVISIONED")
    await site.node("node-0", full=True)

    await site.fleet.ask("web", cpu=1)

    await site.reaches("web", "PROVISIONED")
    assert await site.placed_on("web") == "node-1"
    assert await site.attempts("web") == [(1, "node-0", "node")]
    assert await site.fleet.rows("SELECT generation, attempts, retry_at FROM containers WHERE hostname = 'web'") == [
        (2, 0, None)
    ]
    ((body, node),) = await site.fleet.rows("SELECT body, node FROM events WHERE kind = 'container.provision_failed'")
    assert isinstance(body, dict)
    assert (node, body["attempt"], body["fault"], body["reason"]) == ("node-0", 1, "node", "no space left on device")
    assert body["retry_at"]
    ((id_,),) = await site.fleet.rows("SELECT id FROM containers WHERE hostname = 'web'")
    explanation = await site.fleet.decision(id_)
    assert [(one["filter"], one["nodes"]) for one in explanation["rejections"]] == [("avoid", 1)]


async def test_a_node_whose_daemon_is_down_is_left_for_another(site: Site) -> None:
    """Its agent can still say so."""
    await site.start(workers.scheduler.run)
    (await site.node("node-0")).unreachable = True
    await site.fleet.ask("web")
    await site.happens("container.provision_failed")
    await site.node("node-1")

    await site.reaches("web", "PROVISIONED")

    assert await site.placed_on("web") == "node-1"


async def test_what_the_request_got_wrong_is_not_tried_again(site: Site) -> None:
    """An image that its server does not have is to be had on no other node either."""
    await site.start(workers.scheduler.run)
    await site.node("node-0")
    await site.node("node-1")

    await site.fleet.ask("web", image="ubuntu:missing")

    await site.reaches("web", "PROVISION_ERROR")
    assert [(generation, fault) for generation, _, fault in await site.attempts("web")] == [(1, "request")]
    assert await site.fleet.rows("SELECT retry_at FROM containers") == [(None,)]


async def test_an_image_of_the_nodes_own_store_is_looked_for_on_other_nodes(site: Site) -> None:
    """One that no node has ends the tries, with the reason."""
    await site.start(workers.scheduler.run)
    await site.node("node-0")
    await site.fleet.ask("nowhere", image="local:missing", max_attempts=2)
    await site.reaches("nowhere", "PROVISION_ERROR")
    ((words,),) = await site.fleet.rows("SELECT message FROM containers")
    assert str(words).startswith("Attempt 2 of 2 failed on node-0: Image 'local:missing' is")

    (await site.node("node-1"))._faults = Faults(missing_image="")
    await site.fleet.ask("web", image="local:missing")
    await site.reaches("web", "PROVISIONED")

    assert await site.placed_on("web") == "node-1"


async def test_the_limit_ends_the_tries_and_a_reschedule_starts_anew(site: Site) -> None:
    """Each node was tried once, and then the one that failed first again."""
    await site.start(workers.scheduler.run)
    machines = [await site.node("node-0", full=True), await site.node("node-1", full=True)]

    await site.fleet.ask("web", max_attempts=3)
    await site.reaches("web", "PROVISION_ERROR")

    nodes = [node for _, node, _ in await site.attempts("web")]
    assert len(nodes) == 3
    assert nodes[0] != nodes[1]
    assert nodes[2] == nodes[0]
    await site.fleet.assert_claims_add_up()

    for machine in machines:
        machine.full = False
    await site.reschedule("web")
    await site.reaches("web", "PROVISIONED")
    assert await site.fleet.rows("SELECT generation, attempts FROM containers") == [(4, 0)]


async def test_a_scheduler_that_starts_finds_what_is_due(site: Site) -> None:
    """The one that knew of it is gone."""
    await site.start(workers.scheduler.run)
    machine = await site.node("node-0", full=True)
    await site.fleet.ask("web")
    await site.happens("container.provision_failed")
    await site.stop(workers.scheduler.run)
    machine.full = False

    await site.start(workers.scheduler.run)

    await site.reaches("web", "PROVISIONED")


async def test_a_retry_that_is_far_away_can_be_had_at_once(site: Site) -> None:
    """`pfi reschedule`, for those who know that the node is well again; a container that waits for none is refused."""
    await site.start(workers.scheduler.run)
    machine = await site.node("node-0", full=True)
    await site.fleet.ask("web", max_attempts=100)

    async def put_off() -> bool:  # not while it is just being tried
        later = "UPDATE containers SET retry_at = now() + interval '1 h' WHERE status = 'PENDING' AND retry_at > now()"
        return await site.fleet.rows(f"{later} RETURNING id") != []

    await eventually(put_off)
    machine.full = False

    await site.reschedule("web")

    await site.reaches("web", "PROVISIONED")
    await site.stop()
    (id_,) = await site.fleet.ask("fresh")
    assert isinstance(id_, UUID)
    with pytest.raises(NotPlaced):
        await site.reschedule("fresh")

"""Deployments with everything at work: relay, scheduler, recorder, agents of simulated nodes, and who rolls out."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from simulated_site import ASKER, NODES, SECONDS, Site
from workbench import Fleet, eventually

import workers.scheduler
from pathfinder.bootstrap import Process
from pathfinder.domain.deployments import DeploymentSpec
from pathfinder.domain.messages import Command, Envelope, decode
from pathfinder.store import clusters, containers, deployments, requests, rollouts
from workers.agent.listing import Lister
from workers.agent.reporting import Reporter
from workers.agent.worklist import Worklist
from workers.deployments import Deployments

STRATEGY: dict[str, Any] = {"min_healthy_seconds": 0.2}


async def rolling_out(process: Process) -> None:
    """What the controller's leader does for deployments."""
    await process.broker("controller").run(lambda connection: Deployments(process, connection).run(), process.stopping)


class Service:
    """The deployment `web` of a site."""

    def __init__(self, site: Site) -> None:
        self.site, self.fleet = site, site.fleet

    async def apply(self, **changes: Any) -> None:
        """Declare it: three small ones, but for `changes`."""
        strategy = STRATEGY | changes.pop("strategy", {})
        usual = {"name": "web", "replicas": 3, "template": {"memory": "64MiB"}, "strategy": strategy}
        spec = DeploymentSpec.model_validate(usual | changes)
        async with self.fleet.process.database.begin() as tx:
            await deployments.apply(tx, await clusters.find(tx, "default"), spec, ASKER)

    async def ask(self, what: Any, *given: Any, name: str = "web") -> None:
        """Ask something of its rollout."""
        async with self.fleet.process.database.begin() as tx:
            await what(tx, await clusters.find(tx, "default"), name, *given, ASKER)

    async def replicas(self) -> dict[str, tuple[int, str]]:
        """Revision and status of the living ones, by their names."""
        rows = await self.fleet.rows("SELECT hostname, revision, status FROM containers WHERE status <> 'DELETED'")
        return {str(name): (int(str(revision)), str(status)) for name, revision, status in rows}

    async def becomes(self, revision: int, names: str = "web-01 web-02 web-03", status: str = "PROVISIONED") -> None:
        """Wait until these are its replicas, all of that revision and rolled out."""
        wanted = dict.fromkeys(names.split(), (revision, status))

        async def there() -> bool:
            done = await self.fleet.rows("SELECT stable FROM deployments WHERE rollout ->> 'phase' = 'done'")
            return await self.replicas() == wanted and done == [(revision,)]

        try:
            await eventually(there, SECONDS)
        except TimeoutError:
            state = await self.fleet.rows("SELECT rollout, message, wake_at FROM deployments")
            pytest.fail(f"{await self.replicas()} and {state}")

    async def says(self, kind: str) -> dict[str, Any]:
        """Wait for an event of that kind; the body of the last one."""
        await self.site.happens(kind)
        rows = await self.fleet.rows("SELECT body FROM events WHERE kind = :kind ORDER BY seq DESC LIMIT 1", kind=kind)
        body: dict[str, Any] = rows[0][0]  # type: ignore[assignment]
        return body


@pytest.fixture
async def service(site: Site) -> Service:
    """Three nodes, and everything at work."""
    for node in NODES:
        await site.node(node)
    await site.start(workers.scheduler.run, rolling_out)
    return Service(site)


async def test_a_deployment_is_applied_changed_and_deleted(service: Service) -> None:
    """Three appear; a change takes one after another, with two serving all the while; in the end nothing is left."""
    await service.apply(min_available_replicas=2)
    await service.becomes(1)
    # Whoever watches sees no moment with fewer than two: it is asked of the log, which has every change.
    await service.apply(min_available_replicas=2, template={"memory": "65MiB"})
    await service.becomes(2)
    assert await least_serving(service.fleet) >= 2
    kinds = [kind for kind in await service.fleet.kinds() if kind.startswith("deployment.")]
    assert kinds == ["deployment.applied", "deployment.rollout_started", "deployment.rolled_out"] * 2

    async with service.fleet.process.database.begin() as tx:
        await deployments.delete(tx, service.fleet.cluster_id, "web", ASKER)
    await service.says("deployment.deleted")
    assert await service.replicas() == {}
    assert await service.fleet.rows("SELECT name FROM deployments") == []


async def least_serving(fleet: Fleet) -> int:
    """The fewest replicas that served at once since the first rollout was done, by the event log."""
    rows = await fleet.rows("SELECT kind, subject_name, body ->> 'status' FROM events ORDER BY seq")
    serving: set[object] = set()
    least: int | None = None
    for kind, name, status in rows:
        if status == "PROVISIONED":
            serving.add(name)
        elif status is not None:
            serving.discard(name)
        if kind == "deployment.rolled_out" or least is not None:
            least = min(len(serving), least if least is not None else len(serving))
    assert least is not None
    return least


async def test_a_replica_that_was_deleted_comes_back(service: Service) -> None:
    """Under its name, as another container."""
    await service.apply()
    await service.becomes(1)
    before = await service.fleet.rows("SELECT id FROM containers WHERE hostname = 'web-02'")
    async with service.fleet.process.database.begin() as tx:
        await requests.delete(tx, service.fleet.cluster_id, "web-02", ASKER)
    await service.site.happens("container.deleted")
    await service.becomes(1)

    after = await service.fleet.rows("SELECT id FROM containers WHERE hostname = 'web-02' AND status <> 'DELETED'")
    assert after != before


async def test_a_deployment_is_scaled(service: Service) -> None:
    """Up by the next numbers, and down again."""
    await service.apply()
    await service.becomes(1)
    await service.ask(deployments.scale, 5)
    await service.becomes(1, "web-01 web-02 web-03 web-04 web-05")
    await service.ask(deployments.scale, 1)

    async def one_left() -> bool:
        return len(await service.replicas()) == 1

    await eventually(one_left, SECONDS)


async def test_who_reads_addresses_follows_when_they_change(service: Service) -> None:
    """Without anybody asking, and without another revision."""
    await service.apply(name="db", replicas=1)
    await service.site.passes("SELECT count(*) = 1 FROM containers WHERE status = 'PROVISIONED'")
    reads = "$pf-meta:deployment_ip_addresses?deployment_name=db"
    await service.apply(replicas=1, template={"environment": {"DB": reads}})
    await service.ask(deployments.scale, 2, name="db")

    await service.site.passes(
        "SELECT count(*) = 1 FROM containers WHERE hostname = 'web-01' AND status = 'PROVISIONED' "
        "AND spec -> 'environment' ->> 'DB' LIKE '%,%' AND revision = 1"
    )


async def test_other_bootstrappers_are_carried_out_one_replica_after_another(fleet: Fleet) -> None:
    """In place: the first is told to begin at once, and the others serve on."""
    node = await fleet.node("node-1")
    here = Service(Site(fleet, None, "", Path()))  # type: ignore[arg-type]  # nothing of it is started
    script = {"type": "script", "script": "true"}
    await here.apply(template={"bootstrappers": [script]})
    ((id_,),) = await fleet.rows("SELECT id FROM deployments")
    await looked_at(fleet, id_)
    await fleet.rows(
        "UPDATE containers SET status = 'BOOTSTRAPPED', node_id = :node, status_at = now() - interval '1 h' "
        "RETURNING id",
        node=node,
    )
    await looked_at(fleet, id_)
    await here.apply(template={"bootstrappers": [script, script]})
    await looked_at(fleet, id_)

    assert sorted((await here.replicas()).values()) == [(1, "BOOTSTRAPPED"), (1, "BOOTSTRAPPED"), (2, "PROVISIONED")]
    assert (await fleet.kinds()).count("container.rebootstrapped") == 1
    commands = await fleet.rows("SELECT body FROM outbox WHERE exchange = 'pathfinder.commands'")
    assert [one.kind for (body,) in commands for one in decode(bytes(body))] == ["bootstrap"]  # type: ignore[call-overload]


async def looked_at(fleet: Fleet, id_: object) -> None:
    """Look at a deployment."""
    async with fleet.process.database.begin() as tx:
        await rollouts.look(tx, UUID(str(id_)), "trace")


async def test_a_canary_that_cannot_be_made_goes_back(service: Service) -> None:
    """The other two are never touched, and revision 1 is what runs in the end."""
    await service.apply()
    await service.becomes(1)
    ids = await service.fleet.rows("SELECT id FROM containers WHERE hostname <> 'web-01'")
    broken = {"image": "local:missing", "max_attempts": 1}
    await service.apply(strategy={"type": "canary", "on_failure": "undo"}, template=broken)

    undone = await service.says("deployment.undone")
    assert (undone["from"], undone["to"]) == (2, 1)
    await service.becomes(1)
    assert await service.fleet.rows("SELECT id FROM containers WHERE hostname <> 'web-01'") == ids


async def test_canaries_wait_until_they_are_promoted(service: Service) -> None:
    """And say so."""
    await service.apply()
    await service.becomes(1)
    await service.apply(strategy={"type": "canary"}, template={"memory": "65MiB"})
    await service.site.passes("SELECT message LIKE 'Its canaries are well%' FROM deployments")
    assert {revision for revision, _ in (await service.replicas()).values()} == {1, 2}
    await service.ask(deployments.promote)
    await service.becomes(2)


async def test_labels_change_without_a_new_container(service: Service) -> None:
    """Every replica has them, and stays the container it was."""
    await service.apply()
    await service.becomes(1)
    ids = await service.fleet.rows("SELECT id FROM containers ORDER BY id")
    await service.apply(template={"memory": "64MiB", "labels": {"tier": "front"}})
    await service.becomes(2)

    assert await service.fleet.rows("SELECT id FROM containers ORDER BY id") == ids
    assert await service.fleet.rows("SELECT DISTINCT labels ->> 'tier' FROM containers") == [("front",)]


async def test_limits_and_checks_change_while_replicas_run(service: Service) -> None:
    """The nodes are told, and have the instances as the new revision says; none is made anew."""
    await service.apply()
    await service.becomes(1)
    before = await service.fleet.rows("SELECT id, generation FROM containers ORDER BY id")

    check = {"tcp": {"port": 80}, "interval_seconds": 0.2, "timeout_seconds": 0.1}
    await service.apply(template={"memory": "64MiB", "limits": {"memory": "96MiB"}, "checks": [check]})
    await service.becomes(2)
    await service.site.happens("container.updated", 3)

    assert await service.fleet.rows("SELECT id, generation FROM containers ORDER BY id") == before


async def test_a_change_that_was_lost_on_its_way_is_made_by_the_next_inventory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's list tells by its digest that the instance is as it was; it is told again, and has it so then."""
    lost: list[Worklist] = []
    carry_out = Worklist._carry_out

    async def losing(worklist: Worklist, reporter: Reporter, envelope: Envelope) -> None:
        if envelope.kind == Command.UPDATE and not lost:
            lost.append(worklist)
        else:
            await carry_out(worklist, reporter, envelope)

    monkeypatch.setattr(Worklist, "_carry_out", losing)
    machine = await site.node(NODES[0])
    await site.start(workers.scheduler.run, rolling_out)
    service = Service(site)
    await service.apply(replicas=1)
    await service.becomes(1, "web-01")
    await service.apply(replicas=1, template={"memory": "64MiB", "limits": {"memory": "96MiB"}})
    await service.becomes(2, "web-01")
    await eventually(lambda: asyncio.sleep(0, bool(lost)), SECONDS)
    # What changed within the grace may be under way yet.
    ((id_,),) = await site.fleet.rows("UPDATE containers SET status_at = status_at - interval '1 hour' RETURNING id")
    before = await machine.instance("web-01")

    (worklist,) = lost
    assert worklist.checking.reporter is not None
    listing = asyncio.create_task(Lister(worklist, worklist._membership, 3600).run(worklist.checking.reporter))
    await site.happens("container.updated")
    listing.cancel()

    after = await machine.instance("web-01")
    assert before is not None
    assert after is not None
    async with site.fleet.process.database.begin() as tx:
        (wanted,) = (await containers.lock(tx, {UUID(str(id_))})).values()
    assert before.digest != after.digest == wanted.digest
    assert (after.container_id, after.generation) == (before.container_id, before.generation)


async def test_a_deployment_that_cannot_be_looked_at_keeps_nobody_from_the_others(service: Service) -> None:
    """It stays due, and is put off."""
    await service.apply(name="odd", replicas=0)
    await service.fleet.rows('UPDATE deployments SET document = \'{"strategy": {"type": "odd"}}\' RETURNING id')
    await service.apply()
    await service.becomes(1)
    async with service.fleet.process.database.begin() as tx:
        ((odd,),) = await service.fleet.rows("SELECT id FROM deployments WHERE name = 'odd'")
        await deployments.touch(tx, [UUID(str(odd))])
    await service.ask(deployments.scale, 4)
    await service.becomes(1, "web-01 web-02 web-03 web-04")


async def test_who_has_a_name_that_a_replica_needs_is_told_of(service: Service) -> None:
    """The others are made, and the last one as soon as its name is free."""
    await service.apply(replicas=2)
    await service.becomes(1, "web-01 web-02")
    await service.fleet.ask("web-04")
    await service.fleet.rows("UPDATE deployments SET replicas = 5 RETURNING id")
    await touch(service)
    await service.site.passes("SELECT message LIKE 'web-04 could not be made: %' FROM deployments")
    await service.site.passes("SELECT count(*) = 5 FROM containers WHERE hostname <> 'web-04' OR deployment_id IS NULL")


async def test_what_a_replica_waits_for_is_said_of_its_deployment(service: Service) -> None:
    """Until there is room."""
    await service.apply(replicas=2, template={"memory": "5GiB"})
    await service.becomes(1, "web-01 web-02")
    await service.ask(deployments.scale, 4)
    await service.site.passes("SELECT message LIKE 'web-0_ waits: No node of 3 can take it now: %' FROM deployments")
    await service.ask(deployments.scale, 3)
    await service.site.passes("SELECT message IS NULL FROM deployments")
    await service.site.passes("SELECT count(*) = 3 FROM containers WHERE status = 'PROVISIONED'")


async def touch(service: Service) -> None:
    """Have everything looked at."""
    async with service.fleet.process.database.begin() as tx:
        await rollouts.touch_all(tx)

"""What is asked of a placement, down to the store: company, conditions, taints, pools, limits, gangs, policies."""

import asyncio
import contextlib
import random
from collections import Counter

import numpy as np
import pytest
from sqlalchemy import text
from workbench import Fleet, MakeProcess, whenever_looked_at

from pathfinder.bootstrap import Process
from pathfinder.domain.messages import SUPPLY, Kind
from pathfinder.domain.patches import NodePatch
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling import asking
from pathfinder.store import claims, clusters, containers, nodes, preemption, requests, tallies, upkeep
from pathfinder.store.requests import Asker
from pathfinder.store.states import snapshot
from pathfinder.store.tallies import Tallies
from workers.scheduler import ANYTHING, place_pending

ASKER = Asker("test", "trace")
WEB = {"labels": {"app": "web"}}
APART = {"affinity": [{"to": "app=web", "rule": "apart"}]}


async def where(fleet: Fleet) -> dict[str, str]:
    """The node of each container that has one."""
    rows = await fleet.rows("SELECT c.hostname, n.hostname FROM containers AS c JOIN nodes AS n ON n.id = c.node_id")
    return dict(rows)  # type: ignore[arg-type]


async def message(fleet: Fleet, hostname: str) -> str:
    """Why a container waits."""
    return str((await fleet.rows("SELECT message FROM containers WHERE hostname = :name", name=hostname))[0][0])


async def zones(fleet: Fleet, **sizes: int) -> None:
    """Zones of so many nodes."""
    for zone, size in sizes.items():
        for number in range(size):
            await fleet.node(f"{zone}-{number}", labels={"zone": zone})


async def patch(process: Process, fleet: Fleet, hostname: str, **changes: object) -> None:
    """Change a node."""
    async with process.database.begin() as tx:
        node = await nodes.find(tx, fleet.cluster_id, hostname)
        await upkeep.change(tx, node, NodePatch.model_validate(changes), "test", "")


async def test_containers_that_must_be_apart_are_and_one_too_many_waits(fleet: Fleet, process: Process) -> None:
    """Whether they come in one batch or one by one."""
    await zones(fleet, a=3)
    await fleet.ask("web-1", "web-2", **WEB, **APART)
    await place_pending(process, fleet.cluster_id)
    await fleet.ask("web-3", "web-4", **WEB, **APART)
    await place_pending(process, fleet.cluster_id)

    found = await where(fleet)
    assert len(found) == len(set(found.values())) == 3
    (left,) = {"web-3", "web-4"} - found.keys()
    assert "app=web" in await message(fleet, left)


async def test_who_wants_to_be_alone_is_left_alone_by_those_who_ask_nothing(fleet: Fleet, process: Process) -> None:
    """A rule to be apart binds both sides."""
    await zones(fleet, a=1, b=1)
    await fleet.ask("lonely", affinity=[{"to": "app=web", "rule": "apart", "over": "zone"}])
    await place_pending(process, fleet.cluster_id)
    await fleet.ask("web-1", "web-2", **WEB)
    await fleet.ask("db", labels={"app": "db"})
    await place_pending(process, fleet.cluster_id)

    found = await where(fleet)
    assert found["web-1"] == found["web-2"] != found["lonely"]


async def test_what_is_near_something_goes_where_that_is(fleet: Fleet, process: Process) -> None:
    """In its zone; where there is none of it, it waits, and goes with whoever places the first."""
    await zones(fleet, a=2, b=2)
    await fleet.ask("web", affinity=[{"to": "app=db", "over": "zone"}])
    await place_pending(process, fleet.cluster_id)
    assert "app=db" in await message(fleet, "web")

    await fleet.ask("db", labels={"app": "db"}, constraints=["node.name=b-1"])
    await place_pending(process, fleet.cluster_id)

    assert (await where(fleet))["web"].startswith("b-")


async def test_a_group_is_spread_evenly_over_zones_of_different_size(fleet: Fleet, process: Process) -> None:
    """Batch after batch."""
    await zones(fleet, a=5, b=1, c=2)
    for part in range(3):
        names = [f"web-{part}-{number}" for number in range(4)]
        await fleet.ask(*names, **WEB, spread=[{"of": "app=web", "over": "zone"}])
        await place_pending(process, fleet.cluster_id)

    assert Counter(node[0] for node in (await where(fleet)).values()) == {"a": 4, "b": 4, "c": 4}


@pytest.mark.parametrize("schedulers", [2, 4])
async def test_rules_over_zones_hold_however_many_schedulers_there_are(
    fleet: Fleet, make_process: MakeProcess, schedulers: int
) -> None:
    """Nodes guard themselves by their generation; zones are held by a lock."""
    await zones(fleet, a=4, b=4, c=4)
    for number in range(5):
        rule = [{"to": "app=web", "rule": "apart", "over": "zone"}]
        await fleet.ask(f"web-{number}", **WEB, affinity=rule)
        await fleet.ask(f"plain-{number}", labels={"app": "web"} if number == 4 else {})
    many = [make_process(scheduler_batch=2) for _ in range(schedulers)]

    await asyncio.gather(*(place_pending(one, fleet.cluster_id) for one in many))
    await place_pending(many[0], fleet.cluster_id, news=ANYTHING)

    found = await where(fleet)
    web = [node[0] for name, node in found.items() if name.startswith("web")]
    assert len(web) == len(set(web))
    if "plain-4" in found:
        assert found["plain-4"][0] not in web
    assert len(web) + ("plain-4" in found) == 3
    await fleet.assert_claims_add_up()


@pytest.mark.parametrize("over", ["node", "zone"])
async def test_those_who_want_to_be_together_are_however_many_schedulers_there_are(
    fleet: Fleet, make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch, over: str
) -> None:
    """The first of a kind may go anywhere, and there is only one first: whoever else decides has to see it."""
    await zones(fleet, a=2, b=2, c=2)
    await fleet.ask(*(f"web-{number}" for number in range(8)), **WEB, affinity=[{"to": "app=web", "over": over}])
    deciding, all_do = 0, asyncio.Event()

    async def when_all_do() -> None:
        """Two that may decide at once do."""
        nonlocal deciding
        deciding += 1
        if deciding == 2:
            all_do.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await all_do.wait()

    whenever_looked_at(monkeypatch, when_all_do)
    many = [make_process(scheduler_batch=2) for _ in range(3)]
    await asyncio.gather(*(place_pending(one, fleet.cluster_id) for one in many))

    found = await where(fleet)
    assert len(found) == 8
    assert len({node if over == "node" else node[0] for node in found.values()}) == 1


WAKING = {
    "a label it asks for": ({"constraints": ["ssd"]}, {"labels": {"ssd": ""}}),
    "another value": ({"constraints": ["zone not in (a)"]}, {"labels": {"zone": "b"}}),
    "a taint that goes": ({}, {"untaint": ["dedicated"]}),
    "its pool": ({"pool": "gpu", "tolerations": ["*"]}, {"pool": "gpu"}),
    "a higher limit": ({"tolerations": ["dedicated"], "type": "STATEFUL"}, {"max_stateful": 1}),
    "no limit any more": ({"tolerations": ["dedicated"], "labels": {"full": ""}}, {"max_containers": None}),
    "room that is promised": ({"tolerations": ["dedicated"], "cpu": 8}, {"overcommit": {"cpu": 2}}),
}


@pytest.mark.parametrize("case", WAKING)
async def test_each_change_of_a_node_lets_in_what_waits_for_it(fleet: Fleet, process: Process, case: str) -> None:
    """And nothing before."""
    wishes, change = WAKING[case]
    await fleet.node("node-01", labels={"zone": "a"})
    await fleet.ask("there", cpu=1)
    await place_pending(process, fleet.cluster_id)
    limit = 1 if "full" in wishes.get("labels", ()) else None
    taint = [] if case in ("a label it asks for", "another value") else ["dedicated=db:NoSchedule"]
    await patch(process, fleet, "node-01", taints=taint, max_stateful=0, max_containers=limit)
    await fleet.ask("waits", **wishes)
    await place_pending(process, fleet.cluster_id)
    assert (await fleet.statuses())["waits"] == "PENDING"

    await patch(process, fleet, "node-01", **change)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    assert (await fleet.statuses())["waits"] == "SCHEDULED", await message(fleet, "waits")


CLOSING = {
    Kind.NODE_CORDONED: "UPDATE nodes SET schedulable = false, generation = generation + 1 WHERE hostname = 'b-0'",
    Kind.NODE_DOWN: "UPDATE nodes SET status = 'DOWN', generation = generation + 1 WHERE hostname = 'b-0'",
    Kind.NODE_DELETED: "DELETE FROM nodes WHERE hostname = 'b-0'",
}


@pytest.mark.parametrize("kind", CLOSING)
async def test_who_waits_for_an_even_share_goes_on_when_a_zone_is_closed(
    fleet: Fleet, process: Process, kind: Kind
) -> None:
    """A zone that has no node for it any more need not be as full as the others."""
    await zones(fleet, a=1)
    await fleet.node("b-0", labels={"zone": "b"}, cpu_millicores=1000)
    await fleet.ask("web-1", "web-2", cpu=2, **WEB, spread=[{"of": "app=web", "over": "zone"}])
    await place_pending(process, fleet.cluster_id)
    assert list((await where(fleet)).values()) == ["a-0"]

    await fleet.rows(f"{CLOSING[kind]} RETURNING id")
    await place_pending(process, fleet.cluster_id, news={kind})

    assert kind in SUPPLY
    assert await where(fleet) == {"web-1": "a-0", "web-2": "a-0"}


@pytest.mark.parametrize("kind", [Kind.NODE_CORDONED, Kind.NODE_DOWN])
async def test_who_is_let_wait_at_the_very_moment_a_zone_is_closed_is_looked_at_again(
    fleet: Fleet, process: Process, make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """The hint of it finds nobody waiting yet, so whoever judged looks once more."""
    await zones(fleet, a=1)
    await fleet.node("b-0", labels={"zone": "b"}, cpu_millicores=1000)
    wishes = {"cpu": 2, **WEB, "spread": [{"of": "app=web", "over": "zone"}]}
    await fleet.ask("web-1", **wishes)
    await place_pending(process, fleet.cluster_id)
    await fleet.ask("web-2", **wishes)
    other = make_process()
    to_be_closed = True

    async def and_then_it_is_closed() -> None:
        nonlocal to_be_closed
        if to_be_closed:
            to_be_closed = False
            async with other.database.begin() as elsewhere:
                node = await nodes.find(elsewhere, fleet.cluster_id, "b-0")
                if kind == Kind.NODE_CORDONED:
                    await nodes.set_schedulable(elsewhere, node, False, "test", "")
                else:
                    await elsewhere.execute(text("UPDATE leases SET until = now() - interval '1 hour'"))
                    await nodes.mark_down(elsewhere, {node.id})

    whenever_looked_at(monkeypatch, and_then_it_is_closed)
    await place_pending(process, fleet.cluster_id)

    assert kind in await fleet.kinds()
    assert await where(fleet) == {"web-1": "a-0", "web-2": "a-0"}


async def test_who_wants_to_be_apart_goes_where_its_kind_gave_way(fleet: Fleet, process: Process) -> None:
    """What leaves is nobody's company from the moment it was told to."""
    await zones(fleet, a=1)
    (first,) = await fleet.ask("web-1", **WEB, **APART)
    await place_pending(process, fleet.cluster_id)
    await fleet.ask("web-2", **WEB, **APART, priority=5)
    await place_pending(process, fleet.cluster_id)
    async with process.database.begin() as tx:
        found = (await containers.lock(tx, [first]))[first]
        assert found.node_id is not None
        going = preemption.Going(found.node_id, found.generation, "other")
        assert await preemption.evict(tx, {first: going}) == 1

    await place_pending(process, fleet.cluster_id, news={Kind.CONTAINER_PREEMPTED})

    assert await where(fleet) == {"web-2": "a-0"}


async def test_who_wants_to_be_with_its_kind_goes_anywhere_once_that_has_left(fleet: Fleet, process: Process) -> None:
    """It is the first then."""
    await zones(fleet, a=2)
    near = {"affinity": [{"to": "app=web"}]}
    (first,) = await fleet.ask("web-1", **WEB, **near)
    await place_pending(process, fleet.cluster_id)
    async with process.database.begin() as tx:
        node = await nodes.find(tx, fleet.cluster_id, (await where(fleet))["web-1"])
        await nodes.set_schedulable(tx, node, False, "test", "")
    await fleet.ask("web-2", **WEB, **near)
    await place_pending(process, fleet.cluster_id)
    assert "web-2" not in await where(fleet)

    await fleet.rows("UPDATE containers SET status = 'DELETED', node_id = NULL WHERE id = :id RETURNING id", id=first)
    await fleet.rows("UPDATE nodes SET generation = generation + 1 RETURNING id")
    await place_pending(process, fleet.cluster_id, news={Kind.CONTAINER_DELETED})

    assert "web-2" in await where(fleet)


MEANWHILE = {
    "its label": {"labels": {"zone": "b"}},
    "a taint": {"taints": ["dedicated"]},
    "its pool": {"pool": "gpu"},
    "its limit": {"max_containers": 0},
    "its overcommit": {"overcommit": {"cpu": 0.1}},
}


@pytest.mark.parametrize("change", MEANWHILE)
async def test_a_node_that_changes_while_it_is_chosen_is_not_held_to_what_it_was(
    fleet: Fleet, process: Process, make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The change is committed after the look and before the claim: what was decided is decided again."""
    await fleet.node("node-01", labels={"zone": "a"})
    await fleet.ask("first", "second", cpu=1, constraints=["zone=a"])
    changed = False

    async def and_then_it_changes() -> None:
        nonlocal changed
        if not changed:
            changed = True
            await patch(make_process(), fleet, "node-01", **MEANWHILE[change])

    whenever_looked_at(monkeypatch, and_then_it_changes)
    await place_pending(process, fleet.cluster_id)

    assert set((await fleet.statuses()).values()) == {"PENDING"}
    await fleet.node("node-02", labels={"zone": "a"})
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    assert set((await where(fleet)).values()) == {"node-02"}
    await fleet.assert_claims_add_up()


async def test_rules_hold_while_nodes_join_leave_and_change_their_labels(
    fleet: Fleet, make_process: MakeProcess
) -> None:
    """Schedulers, users and operators at once: whoever is placed was allowed there, and nobody shares a node."""
    await zones(fleet, a=3, b=3)
    dice, other = random.Random(1), make_process()

    async def operate() -> None:
        for step in range(12):
            name = dice.choice(["a-0", "a-1", "b-0", "b-1"])
            await patch(other, fleet, name, labels={"zone": dice.choice("ab"), "step": str(step)})
            if step % 4 == 0:
                await fleet.node(f"a-{10 + step}", labels={"zone": "a"})
            async with other.database.begin() as tx:
                node = await nodes.find(tx, fleet.cluster_id, "b-2")
                await nodes.set_schedulable(tx, node, step % 2 == 0, "test", "")

    async def schedule(process: Process) -> None:
        for number in range(6):
            await fleet.ask(f"web-{id(process)}-{number}", cpu=1, **WEB, **APART, constraints=["zone in (a, b)"])
            await place_pending(process, fleet.cluster_id, news=ANYTHING)

    await asyncio.gather(operate(), *(schedule(make_process(scheduler_batch=3)) for _ in range(3)))
    await place_pending(other, fleet.cluster_id, news=ANYTHING)

    found = list((await where(fleet)).values())
    assert len(found) == len(set(found))
    assert len(found) >= 8
    await fleet.assert_claims_add_up()


async def test_a_condition_on_a_label_that_no_node_has_is_told_as_such(fleet: Fleet, process: Process) -> None:
    """It may be a typing mistake."""
    await fleet.node("node-01", labels={"zone": "a"})
    await fleet.ask("web", constraints=["zoen=a"])
    await place_pending(process, fleet.cluster_id)

    assert "no node has a label zoen" in await message(fleet, "web")


async def test_a_node_is_chosen_by_what_it_says_of_itself(fleet: Fleet, process: Process) -> None:
    """Name, architecture, storage, runtime, capabilities; labels cannot pretend to be those."""
    await fleet.node("node-01", architecture="aarch64", labels={"node.storage": "zfs"})
    await fleet.node("node-02", runtime="lxd", runtime_version="5.21.1", capabilities=["gpu_cdi"], pool_driver="zfs")

    await fleet.ask("arm", architecture="arm64")
    await fleet.ask("disk", constraints=["node.storage=zfs"])
    await fleet.ask("gpu", constraints=["lxd.gpu_cdi", "node.lxd>=5.3"])
    await fleet.ask("named", constraints=["node.name=node-01"])
    await place_pending(process, fleet.cluster_id)

    assert await where(fleet) == {"arm": "node-01", "disk": "node-02", "gpu": "node-02", "named": "node-01"}


async def test_an_agent_that_registers_again_keeps_what_an_operator_set(fleet: Fleet, process: Process) -> None:
    """Labels, taints, pool, limits, overcommit."""
    await fleet.node("node-01", labels={"zone": "a"})
    await patch(process, fleet, "node-01", labels={"zone": "b"}, taints=["x"], pool="gpu", max_containers=3)

    await fleet.node("node-01", labels={"zone": "c"})

    kept = await fleet.rows("SELECT labels, own_labels, taints, pool, max_containers FROM nodes")
    assert kept == [({"zone": "c"}, {"zone": "b"}, ["x:NoSchedule"], "gpu", 3)]


async def test_each_container_is_placed_by_its_own_policy(fleet: Fleet, process: Process) -> None:
    """The cluster's where it names none."""
    await zones(fleet, a=3)
    await fleet.ask("first", cpu=1)
    await place_pending(process, fleet.cluster_id)
    await fleet.ask("packed", cpu=1, policy="binpack")
    await fleet.ask("spread", cpu=1)
    await place_pending(process, fleet.cluster_id)

    found = await where(fleet)
    assert found["packed"] == found["first"] != found["spread"]
    policies = await fleet.rows(
        "SELECT hostname, d.policy FROM containers JOIN decisions AS d ON d.id = decision_id ORDER BY 1"
    )
    assert policies == [("first", "spread"), ("packed", "binpack"), ("spread", "spread")]


async def test_a_gang_is_placed_whole_or_waits_whole(fleet: Fleet, process: Process) -> None:
    """Until there is room for all of it."""
    await fleet.node("node-01", cpu_millicores=4000)
    async with process.database.begin() as tx:
        found = await clusters.find(tx, "default")
        specs = [ContainerSpec(hostname=f"g-{number}", cpu=2) for number in range(3)]
        await requests.create(tx, found, specs, ASKER, None, together=True)
    await place_pending(process, fleet.cluster_id)
    assert set((await fleet.statuses()).values()) == {"PENDING"}

    await fleet.node("node-02", cpu_millicores=2000)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    assert set((await fleet.statuses()).values()) == {"SCHEDULED"}
    await fleet.assert_claims_add_up()


async def test_gangs_stay_whole_while_schedulers_are_in_each_others_way(
    fleet: Fleet, make_process: MakeProcess
) -> None:
    """Where one of a gang lost its node to another scheduler, the rest gives its own back."""
    for number in range(6):
        await fleet.node(f"node-{number}", cpu_millicores=3000)
    for gang in range(5):
        async with make_process().database.begin() as tx:
            found = await clusters.find(tx, "default")
            specs = [ContainerSpec(hostname=f"g-{gang}-{number}", cpu=1) for number in range(4)]
            await requests.create(tx, found, specs, ASKER, None, together=True)
    many = [make_process(scheduler_batch=1) for _ in range(4)]

    await asyncio.gather(*(place_pending(one, fleet.cluster_id) for one in many))
    await place_pending(many[0], fleet.cluster_id, news=ANYTHING)

    placed = Counter(name[:3] for name, status in (await fleet.statuses()).items() if status == "SCHEDULED")
    assert list(placed.values()) == [4, 4, 4, 4]
    await fleet.assert_claims_add_up()


@pytest.mark.parametrize("seed", range(3))
async def test_counts_that_are_kept_are_what_counting_anew_gives(fleet: Fleet, process: Process, seed: int) -> None:
    """Whatever comes, goes, is moved or is set on nodes in between."""
    dice, kept = random.Random(seed), Tallies()
    await zones(fleet, a=3, b=3)
    for step in range(12):
        await _something(dice, step, fleet, process)
        async with process.database.begin() as tx:
            states = await snapshot(tx, fleet.cluster_id)
            asked = {
                asking.ask(*_ASKED, {"spread": [{"of": "app=web", "over": "zone"}]}),
                asking.ask(*_ASKED, {"affinity": [{"to": f"tier={step % 3}"}]}),
            }
            one = await kept.of(tx, fleet.cluster_id, states, asked, keep=dice.random() < 0.7)
            other = await Tallies().of(tx, fleet.cluster_id, states, asked, keep=False)
        assert one.tallies.keys() == other.tallies.keys()
        assert all(np.array_equal(counts, other.tallies[key]) for key, counts in one.tallies.items())
        assert {key for key, counts in one.averse.items() if counts.any()} == other.averse.keys()
        assert all(np.array_equal(one.averse[key], counts) for key, counts in other.averse.items())


async def test_only_dislikes_that_somebody_in_the_batch_may_meet_are_counted(fleet: Fleet, process: Process) -> None:
    """However many applications there are that want to be apart; a condition that lists no value may meet anybody."""
    await zones(fleet, a=3)
    for app in ("web", "db", "mail"):
        await fleet.ask(app, labels={"app": app}, affinity=[{"to": f"app={app}", "rule": "apart"}])
    await fleet.ask("shy", affinity=[{"to": "app!=db", "rule": "apart"}])
    await place_pending(process, fleet.cluster_id)

    async def told(*labels: dict[str, str]) -> set[str]:
        async with process.database.begin() as tx:
            states = await snapshot(tx, fleet.cluster_id)
            there = await Tallies().of(tx, fleet.cluster_id, states, (), keep=False, labels=labels)
        assert all(counts.sum() == 1 for counts in there.averse.values())
        return {str(selector) for selector, _ in there.averse}

    assert await told({"app": "web"}, {"app": "db", "own": "1"}) == {"app=web", "app=db", "app!=db"}
    assert await told({"app": "db"}) == {"app=db"}
    assert await told({}) == {"app!=db"}


async def test_labels_that_nobody_chooses_by_any_more_are_forgotten(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; the counts stay right."""
    monkeypatch.setattr(tallies, "UNUSED_BATCHES", 2)
    await zones(fleet, a=2)
    await fleet.ask("web", **WEB)
    await place_pending(process, fleet.cluster_id)
    kept, seen = Tallies(), []

    for key in ("app", "once", "app", "app", "app"):
        async with process.database.begin() as tx:
            states = await snapshot(tx, fleet.cluster_id)
            wanted = asking.ask(*_ASKED, {"affinity": [{"to": f"{key}=web"}]})
            there = await kept.of(tx, fleet.cluster_id, states, [wanted], keep=True)
        assert [int(counts.sum()) for counts in there.tallies.values()] == [key == "app"]
        seen.append(there.keys)

    assert seen == [{"app"}, {"app", "once"}, {"app", "once"}, {"app", "once"}, {"app"}]


async def _something(dice: random.Random, step: int, fleet: Fleet, process: Process) -> None:
    labels = {"app": dice.choice(["web", "db"]), "tier": str(dice.randrange(3)), "own": str(step)}
    rule = [{"to": dice.choice(["app=web", "own=3"]), "rule": "apart"}] if dice.random() < 0.4 else []
    await fleet.ask(f"c-{step}", f"d-{step}", labels=labels, affinity=rule)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    await fleet.rows("UPDATE containers SET status = 'PROVISIONED' WHERE status = 'SCHEDULED' RETURNING id")
    chosen = dice.choice(sorted(await where(fleet)))
    async with process.database.begin() as tx:
        await requests.reschedule(tx, fleet.cluster_id, chosen, ASKER)
    if dice.random() < 0.5:
        await patch(process, fleet, "a-0", labels={"step": str(step)})
    if dice.random() < 0.5:
        async with process.database.begin() as tx:
            open_ = await tx.execute(text("SELECT container_id, generation, node_id FROM departures"))
            gone = await claims.finish_departures(tx, [(row[0], row[1], row[2]) for row in open_])
            await claims.give_back(tx, claims.total((one.node_id, one.resources, one.stateful) for one in gone))


_PENDING = ContainerSpec(hostname="any", cpu=1)
_ASKED = (_PENDING.resources, _PENDING.type, "tiny")

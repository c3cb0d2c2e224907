"""Room for urgent containers, where the policy lets others give way: least harm, nothing lost, and nobody steals it."""

import asyncio
from typing import Any

import pytest
from simulated_site import Site
from sqlalchemy import text
from test_company import ASKER, where
from workbench import Fleet, MakeProcess, eventually

import workers.scheduler
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import REQUESTS, Command, Exchange, Kind, decode
from pathfinder.domain.policies import Preemption
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling.policy import POLICIES, compiled
from pathfinder.scheduling.preempt import Eviction, Leaving, preempt
from pathfinder.store import claims, clusters, outbox, policies, preemption, requests
from pathfinder.store.preemption import Going
from pathfinder.store.tallies import Tallies
from workers import preempting
from workers.scheduler import ANYTHING, place_pending

URGENT = POLICIES["spread"].document().model_copy(update={"name": "urgent", "preemption": Preemption(enabled=True)})


@pytest.fixture(autouse=True)
async def _preempting(process: Process) -> None:
    """The policy `urgent`, which preempts; those there are do not."""
    async with process.database.begin() as tx:
        await policies.apply(tx, URGENT, "test", "trace")


async def full(fleet: Fleet, process: Process, **wishes: object) -> None:
    """Two nodes of 4 cores, filled with four containers of 2 that run."""
    for number in (1, 2):
        await fleet.node(f"node-0{number}", cpu_millicores=4000)
    await fleet.ask(*(f"low-{number}" for number in range(4)), cpu=2, **wishes)
    await place_pending(process, fleet.cluster_id)
    await fleet.rows("UPDATE containers SET status = 'PROVISIONED' RETURNING id")


async def depart(fleet: Fleet, process: Process) -> None:
    """The nodes report the instances of former placements gone."""
    rows = await fleet.rows("SELECT container_id, generation, node_id FROM departures")
    async with process.database.begin() as tx:
        gone = await claims.finish_departures(tx, rows)  # type: ignore[arg-type]
        await claims.give_back(tx, claims.total((one.node_id, one.resources, one.stateful) for one in gone))


async def test_an_urgent_container_gets_the_room_of_the_least_that_must_go(fleet: Fleet, process: Process) -> None:
    """Its victim is placed anew elsewhere; until its instance is gone the room is nobody's."""
    await full(fleet, process)
    await fleet.ask("high", cpu=2, priority=10, policy="urgent")

    await place_pending(process, fleet.cluster_id)
    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 1
    ((victim, status, words),) = await fleet.rows(
        "SELECT hostname, status, message FROM containers WHERE message ~ 'gave'"
    )
    assert status == "PENDING"
    assert "high" in str(words)
    await fleet.assert_claims_add_up()
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 1  # what is on its way out is enough

    await fleet.ask("thief", cpu=2)
    await depart(fleet, process)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    statuses = await fleet.statuses()
    assert statuses["high"] == "SCHEDULED"
    assert statuses[str(victim)] == statuses["thief"] == "PENDING"
    await fleet.assert_claims_add_up()


async def test_a_victim_that_still_runs_is_placed_nowhere_else(fleet: Fleet, process: Process) -> None:
    """Although there is room by now; it is when its instance is gone."""
    await full(fleet, process)
    await fleet.ask("high", cpu=2, priority=10, policy="urgent")
    await place_pending(process, fleet.cluster_id)
    await fleet.node("node-03", cpu_millicores=4000)
    await fleet.rows("UPDATE nodes SET schedulable = hostname = 'node-03' RETURNING id")
    victims = "SELECT status, message FROM containers WHERE message ~ 'gave way'"

    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    ((status, message),) = await fleet.rows(victims)
    assert status == "PENDING"
    assert "runs on node-0" in str(message)

    await depart(fleet, process)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    assert "PENDING" not in (await fleet.statuses()).values()


async def test_the_node_of_a_victim_is_told_to_delete_it(fleet: Fleet, process: Process) -> None:
    """And a scheduler that it is to be placed."""
    await full(fleet, process)
    await fleet.rows("DELETE FROM outbox RETURNING id")
    await fleet.ask("high", cpu=4, priority=1, policy="urgent")
    await place_pending(process, fleet.cluster_id)

    async with process.database.begin() as tx:
        sent = [(one.exchange, one.routing_key, decode(one.body)) for one in await outbox.take(tx)]
    deletes = [
        key
        for exchange, key, told in sent
        if exchange == Exchange.COMMANDS
        for one in told
        if one.kind == Command.DELETE
    ]
    assert len(deletes) == 2
    assert len(set(deletes)) == 1
    assert Kind.CONTAINER_PREEMPTED in REQUESTS


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ({}, {"priority": 10}),
        ({"priority": 10}, {"priority": 10, "policy": "urgent"}),
        ({"priority": 11}, {"priority": 10, "policy": "urgent"}),
        ({"type": "STATEFUL"}, {"priority": 10, "policy": "urgent"}),
        ({}, {"priority": 10, "policy": "urgent", "constraints": ["node.name=other"]}),
        (
            {"labels": {"app": "web"}, "budget": {"of": "app=web", "max_unavailable": 0}},
            {"priority": 10, "policy": "urgent"},
        ),
    ],
    ids=["policy", "equal", "higher", "stateful", "in-vain", "budget"],
)
async def test_nobody_goes_who_need_not(
    fleet: Fleet, process: Process, low: dict[str, object], high: dict[str, object]
) -> None:
    """Without such a policy, for one that is not more urgent, with a disk, for nothing, or against a budget."""
    await full(fleet, process, **low)
    await fleet.ask("high", cpu=2, **high)

    await place_pending(process, fleet.cluster_id)

    assert Kind.CONTAINER_PREEMPTED not in await fleet.kinds()
    assert (await fleet.statuses())["high"] == "PENDING"


async def test_a_budget_counts_who_is_away_already(fleet: Fleet, process: Process) -> None:
    """One may be away at once, and one is: it has just given way."""
    await full(fleet, process, labels={"app": "web"}, budget={"of": "app=web"})
    await fleet.ask("high-1", "high-2", cpu=2, priority=10, policy="urgent")

    await place_pending(process, fleet.cluster_id)
    await depart(fleet, process)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 1
    assert sorted(name for name in await where(fleet) if name.startswith("high")) in (["high-1"], ["high-2"])


async def test_a_budget_binds_everybody_of_its_group_whoever_has_it(fleet: Fleet, process: Process) -> None:
    """One of four containers brought the budget, and is no victim itself; two would have to go."""
    await full(fleet, process, labels={"app": "web"})
    await fleet.rows("""
        UPDATE containers SET priority = 100, spec = '{"budget": {"of": "app=web", "max_unavailable": 1}}'
        WHERE hostname = 'low-0' RETURNING id
    """)
    await fleet.ask("high-1", "high-2", cpu=2, priority=10, policy="urgent")

    await place_pending(process, fleet.cluster_id)

    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 1


async def test_a_gang_longer_than_one_look_evicts_for_all_of_it_or_for_none(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three would fit if others went; a look takes one request, and a gang is one."""
    monkeypatch.setattr(preempting, "MOST_WAITING", 1)
    await full(fleet, process)
    async with process.database.begin() as tx:
        found = await clusters.find(tx, "default")
        specs = [ContainerSpec(hostname=f"gang-{n}", cpu=4, priority=10, policy="urgent") for n in range(3)]
        await requests.create(tx, found, specs, ASKER, None, together=True)

    await place_pending(process, fleet.cluster_id)
    assert Kind.CONTAINER_PREEMPTED not in await fleet.kinds()

    await fleet.node("node-03", cpu_millicores=4000)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)
    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 4


async def test_who_moved_since_it_was_chosen_is_not_evicted(fleet: Fleet, process: Process) -> None:
    """Its place was on another node, or it was placed anew since."""
    await full(fleet, process)
    ((id_, node_id, generation),) = await fleet.rows(
        "SELECT id, node_id, generation FROM containers WHERE hostname = 'low-0'"
    )
    ((other,),) = await fleet.rows(f"SELECT id FROM nodes WHERE id <> '{node_id}'")  # noqa: S608

    async with process.database.begin() as tx:
        for moved in (Going(other, generation, "high"), Going(node_id, generation + 1, "high")):  # type: ignore[arg-type, operator]
            assert await preemption.evict(tx, {id_: moved}) == 0  # type: ignore[dict-item]
        assert await preemption.evict(tx, {id_: Going(node_id, generation, "high")}) == 1  # type: ignore[arg-type, dict-item]


async def test_no_transaction_is_open_while_victims_are_chosen(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the loop held up; and nobody is evicted for a container that does not wait any more by then."""
    await full(fleet, process)
    await fleet.ask("high", cpu=2, priority=10, policy="urgent")
    loop, busy = asyncio.get_running_loop(), list[object]()

    async def meanwhile() -> None:
        busy.extend(await fleet.rows("SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"))
        await fleet.rows("UPDATE containers SET status = 'DELETED' WHERE hostname = 'high' RETURNING id")

    def thinking(*given: object) -> list[Eviction]:
        asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(10)
        return preempt(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(preempting, "preempt", thinking)
    await place_pending(process, fleet.cluster_id)

    assert busy == []
    assert (await fleet.statuses())["high"] == "DELETED"
    assert Kind.CONTAINER_PREEMPTED not in await fleet.kinds()


async def test_two_schedulers_evict_no_more_than_one_would(
    fleet: Fleet, process: Process, make_process: MakeProcess
) -> None:
    """One makes room at a time, and counts what is on its way out."""
    await full(fleet, process)
    await fleet.ask("high-1", "high-2", cpu=2, priority=10, policy="urgent")
    many = [make_process(scheduler_batch=1) for _ in range(4)]

    await asyncio.gather(*(place_pending(one, fleet.cluster_id, news=ANYTHING) for one in many))
    await depart(fleet, process)
    await place_pending(process, fleet.cluster_id, news=ANYTHING)

    statuses = await fleet.statuses()
    assert {statuses["high-1"], statuses["high-2"]} == {"SCHEDULED"}
    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 2
    await fleet.assert_claims_add_up()


async def test_a_victim_does_not_overtake_who_it_went_for(fleet: Fleet, process: Process) -> None:
    """Another scheduler has that one in hand when the room is free: this one leaves the victim for a later look."""
    await full(fleet, process)
    await fleet.ask("high", cpu=2, priority=10, policy="urgent")
    await place_pending(process, fleet.cluster_id)
    await depart(fleet, process)

    async with process.database.begin() as tx:
        await tx.execute(text("SELECT FROM containers WHERE hostname = 'high' FOR UPDATE"))
        left = await place_pending(process, fleet.cluster_id)
        assert left.unsure
    await place_pending(process, fleet.cluster_id)

    statuses = await fleet.statuses()
    assert statuses.pop("high") == "SCHEDULED"
    assert "PENDING" in statuses.values()
    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 1


async def test_room_that_comes_free_while_one_looks_is_counted(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on its way out, or free: were it neither for a moment, another one would go for nothing."""
    await full(fleet, process)
    await fleet.ask("high", cpu=2, priority=10, policy="urgent")
    await place_pending(process, fleet.cluster_id)
    leaving = preemption.leaving

    async def late(*given: Any) -> list[Leaving]:
        await depart(fleet, process)
        return await leaving(*given)

    monkeypatch.setattr(preemption, "leaving", late)
    await preempting.make_room(process, Tallies(), fleet.cluster_id, compiled(URGENT))

    assert (await fleet.kinds()).count(Kind.CONTAINER_PREEMPTED) == 1


async def test_a_scheduler_that_thinks_for_too_long_evicts_nobody(
    fleet: Fleet, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken to hang, and another makes room by then: PostgreSQL ended its session, and its lock with that."""
    await full(fleet, process)
    await fleet.ask("high", cpu=2, priority=10, policy="urgent")
    loop = asyncio.get_running_loop()

    async def session_ended() -> bool:
        return not await fleet.rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'pathfinder preemption'")

    def thinking(*given: object) -> list[Eviction]:
        asyncio.run_coroutine_threadsafe(eventually(session_ended), loop).result(60)
        return preempt(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(preempting, "preempt", thinking)
    monkeypatch.setattr(preemption, "WAIT_SECONDS", 1)
    with pytest.raises(Unavailable):
        await place_pending(process, fleet.cluster_id)

    assert Kind.CONTAINER_PREEMPTED not in await fleet.kinds()


async def test_an_urgent_container_runs_where_another_ran_which_then_runs_elsewhere(site: Site) -> None:
    """All the way: the victim's instance is deleted, the room is reported free, and nobody had to look twice."""
    await site.start(workers.scheduler.run, workers.scheduler.run)
    await site.node("node-0")
    await site.node("node-1")
    low = [f"low-{number}" for number in range(4)]
    await site.fleet.ask(*low, cpu=4)
    for name in low:
        await site.reaches(name, "PROVISIONED")

    await site.fleet.ask("high", cpu=4, priority=10, policy="urgent")

    await site.reaches("high", "PROVISIONED")
    await site.happens("container.preempted")
    statuses = await site.fleet.statuses()
    (victim,) = (name for name in low if statuses[name] != "PROVISIONED")
    await site.node("node-2")
    await site.reaches(victim, "PROVISIONED")
    assert await site.placed_on(victim) == "node-2"
    assert (await site.fleet.kinds()).count("container.preempted") == 1

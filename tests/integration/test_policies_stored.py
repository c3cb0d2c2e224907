"""Policies in the store: versions, and what the next placement heeds of them without a restart."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from workbench import Fleet, MakeProcess

from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Conflict, Invalid, NeverFits, NotFound
from pathfinder.domain.policies import Change, PolicyDocument
from pathfinder.domain.specs import ClusterPatch, ContainerSpec
from pathfinder.store import clusters, policies, requests
from workers.scheduler import place_pending


async def apply(process: Process, name: str = "mine", **changes: Any) -> Change:
    """Write a policy that packs, unless told otherwise."""
    document = PolicyDocument.model_validate({"name": name, "scorers": {"used-share": 1.0}} | changes)
    async with process.database.begin() as tx:
        return await policies.apply(tx, document, "test", "trace")


async def nodes_of(fleet: Fleet) -> list[object]:
    """The nodes of the placed containers, in the order of their names."""
    rows = await fleet.rows(
        "SELECT n.hostname FROM containers AS c JOIN nodes AS n ON n.id = c.node_id ORDER BY c.hostname"
    )
    return [row[0] for row in rows]


async def test_a_change_is_a_new_version_and_no_change_is_none(process: Process, fleet: Fleet) -> None:
    """Former versions stay as they were."""
    assert await apply(process) is Change.CREATED
    assert await apply(process) is Change.UNCHANGED
    assert await apply(process, wishes=3.0) is Change.CHANGED

    async with process.database.begin() as tx:
        assert (await policies.named(tx, "mine")).version == 2
        assert (await policies.named(tx, "mine", 1)).wishes == 2.0
        assert (await policies.named(tx, "mine", 2)).wishes == 3.0
        with pytest.raises(NotFound, match="mine@3"):
            await policies.named(tx, "mine", 3)
    assert (await fleet.kinds()).count("policy.applied") == 2


async def test_a_version_is_nobody_elses(process: Process, fleet: Fleet) -> None:
    """Ten at once make ten versions."""
    await asyncio.gather(*(apply(process, wishes=float(number)) for number in range(10)))

    assert [row[0] for row in await fleet.rows("SELECT version FROM policies ORDER BY version")] == [*range(1, 11)]


async def test_the_next_placement_goes_by_the_latest_version(process: Process, fleet: Fleet) -> None:
    """Without a restart; and a container goes by its own wish before its cluster's."""
    for number in range(3):
        await fleet.node(f"node-{number}", cpu_millicores=64_000)
    await fleet.ask("a-1", "a-2", "a-3", cpu=1, policy="spread")
    await place_pending(process, fleet.cluster_id)
    assert len(set(await nodes_of(fleet))) == 3

    await apply(process)
    await fleet.rows("UPDATE clusters SET policy = 'mine' RETURNING id")
    await fleet.ask("b-1", "b-2", "b-3", cpu=2)
    await place_pending(process, fleet.cluster_id)
    assert len(set((await nodes_of(fleet))[3:])) == 1

    await apply(process, scorers={"few-containers": 1.0})
    await fleet.ask("c-1", "c-2", cpu=2)
    await place_pending(process, fleet.cluster_id)
    assert len(set((await nodes_of(fleet))[6:])) == 2
    assert set(await fleet.rows("SELECT policy, policy_version FROM decisions")) == {
        ("spread", 0),
        ("mine", 1),
        ("mine", 2),
    }


async def test_the_more_urgent_go_first_whatever_their_policies_are(process: Process, fleet: Fleet) -> None:
    """Room for two: the least urgent waits, although another with its policy was the most urgent."""
    await fleet.node("node-01", cpu_millicores=2000)
    await fleet.ask("a", cpu=1, priority=1, policy="spread")
    await fleet.ask("b", cpu=1, priority=5, policy="binpack")
    await fleet.ask("c", cpu=1, priority=10, policy="spread")

    await place_pending(process, fleet.cluster_id)

    assert await fleet.statuses() == {"a": "PENDING", "b": "SCHEDULED", "c": "SCHEDULED"}


async def test_a_gang_whose_containers_name_several_policies_is_placed_whole(process: Process, fleet: Fleet) -> None:
    """By the policy of its first; with room for one of them, none is placed."""
    await fleet.node("node-01", cpu_millicores=1000)
    specs = [ContainerSpec(hostname=name, cpu=1, policy=policy) for name, policy in (("a", "binpack"), ("b", "random"))]
    async with process.database.begin() as tx:
        found = await clusters.find(tx, "default")
        await requests.create(tx, found, specs, requests.Asker("test", "trace"), None, together=True)

    await place_pending(process, fleet.cluster_id)
    assert set((await fleet.statuses()).values()) == {"PENDING"}

    await fleet.node("node-02", cpu_millicores=1000)
    await place_pending(process, fleet.cluster_id, news={"node.registered"})
    assert set((await fleet.statuses()).values()) == {"SCHEDULED"}


@pytest.mark.parametrize("what", ["its policy", "its cluster"])
async def test_who_is_let_wait_at_the_very_moment_its_rules_change_is_looked_at_again(
    process: Process, fleet: Fleet, make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """By the new version, or the cluster's new policy; the hint of it finds nobody waiting yet."""
    await apply(process, overcommit={"cpu": 1.0})
    await apply(process, "other", overcommit={"cpu": 2.0})
    await fleet.rows("UPDATE clusters SET policy = 'mine' RETURNING id")
    await fleet.node("node-1", cpu_millicores=1000)
    usable, other, to_change = policies.usable, make_process(), True

    async def and_then_it_changes(tx: AsyncConnection, *given: Any) -> Any:
        nonlocal to_change
        found = await usable(tx, *given)
        if to_change:
            to_change = False
            if what == "its policy":
                await apply(other, overcommit={"cpu": 2.0})
            else:
                async with other.database.begin() as elsewhere:
                    patch = ClusterPatch(policy="other")
                    await clusters.change(elsewhere, "default", patch, clusters.Rhythm(5, 15), "test", "")
        return found

    await fleet.ask("a", "b", cpu=1)
    monkeypatch.setattr(policies, "usable", and_then_it_changes)
    await place_pending(process, fleet.cluster_id)

    assert set((await fleet.statuses()).values()) == {"SCHEDULED"}


async def test_nothing_waits_for_a_policy_that_cannot_be_used(process: Process, fleet: Fleet) -> None:
    """It is placed by its cluster's, or at worst the usual one, and the decision says so."""
    await fleet.node("node-01")
    await fleet.ask("web")
    await apply(process)
    await fleet.rows("UPDATE clusters SET policy = 'mine' RETURNING id")
    await fleet.rows('UPDATE policies SET document = document || \'{"scorers": {"gone": 1.0}}\' RETURNING name')

    await place_pending(process, fleet.cluster_id)

    assert await nodes_of(fleet) == ["node-01"]
    ((used, skipped),) = await fleet.rows("SELECT policy, document -> 'skipped' ->> 0 FROM decisions")
    assert used == "spread"
    assert str(skipped).startswith("policy mine is not used")
    assert "'gone' is not a scorer" in str(skipped)


async def test_a_policy_in_use_stays(process: Process, fleet: Fleet) -> None:
    """By a cluster or by a living container; once it is free it can go, and its number is not used again."""
    await apply(process)
    (id_,) = await fleet.ask("web", policy="mine")

    async def delete(name: str) -> None:
        async with process.database.begin() as tx:
            await policies.delete(tx, name, "test", "trace")

    with pytest.raises(Conflict, match="1 container"):
        await delete("mine")
    await fleet.rows("UPDATE containers SET status = 'DELETED' WHERE id = :id RETURNING id", id=id_)
    await delete("mine")
    with pytest.raises(NotFound):
        await delete("mine")
    with pytest.raises(Conflict, match="built in"):
        await delete("spread")
    await apply(process)
    async with process.database.begin() as tx:
        assert (await policies.named(tx, "mine")).version == 3


async def test_what_a_policy_promises_is_what_may_be_asked_for(process: Process, fleet: Fleet) -> None:
    """Its overcommit counts where a container is accepted as where it is placed: by its own wish or its cluster's, and
    after what the cluster and the node say themselves.
    """
    await fleet.node("node-01")  # 8 GiB
    await apply(process, "double", overcommit={"memory": 2.0})
    await apply(process, "half", overcommit={"memory": 0.5})

    await fleet.ask("large", memory="12GiB", policy="double")
    with pytest.raises(NeverFits, match="the largest has 16GiB"):
        await fleet.ask("web", memory="17GiB", policy="double")
    with pytest.raises(NeverFits, match="the largest has 4GiB"):
        await fleet.ask("web", memory="5GiB", policy="half")
    with pytest.raises(NeverFits, match="the largest has 8GiB"):
        await fleet.ask("web", memory="12GiB")
    await place_pending(process, fleet.cluster_id)
    assert await fleet.statuses() == {"large": "SCHEDULED"}

    await fleet.rows("UPDATE clusters SET policy = 'half' RETURNING id")
    with pytest.raises(NeverFits, match="the largest has 4GiB"):
        await fleet.ask("web", memory="5GiB")
    await fleet.rows("UPDATE clusters SET overcommit = '{\"memory\": 1.0}' RETURNING id")
    await fleet.ask("web", memory="5GiB")
    await fleet.rows("UPDATE nodes SET overcommit = '{\"memory\": 0.25}' RETURNING id")
    with pytest.raises(NeverFits, match="the largest has 2GiB"):
        await fleet.ask("web-2", memory="3GiB", policy="double")


async def test_who_asks_for_an_unknown_policy_is_told_those_there_are(process: Process, fleet: Fleet) -> None:
    """People's own ones too."""
    await apply(process)

    with pytest.raises(Invalid, match="random, mine") as refused:
        await fleet.ask("web", policy="mein")

    assert [one.field for one in refused.value.problems] == ["policy"]

"""How revisions are rolled out: by the few, by canaries, all at once; and what stops them or takes them back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rollout_world import BEGINNING, COUNTING, World, deployment, settle

from pathfinder.controllers import rollout
from pathfinder.domain.deployed import Revision
from pathfinder.domain.lifecycle import Health, Status
from pathfinder.domain.rollouts import Change, Phase


def settled(change: Change = Change.REBUILD, **changes: Any) -> World:
    """A deployment whose replicas are of revision 1, well and rolled out; revision 2 takes `change`."""
    world = World(deployment(**changes), {1: Change.REBUILD, 2: change, 3: Change.REBUILD})
    settle(world)
    assert (world.deployment.stable, world.deployment.rollout["phase"]) == (1, Phase.DONE)
    return world


def want(world: World, **changes: Any) -> None:
    """Change what is wanted."""
    world.deployment = replace(world.deployment, **changes)


def revisions(world: World) -> list[int]:
    """Those of the living replicas, by their numbers."""
    return [one.revision for one in sorted(world.replicas.values(), key=lambda one: one.number)]


def numbered(world: World, number: int) -> Any:
    """The replica of that number."""
    return next(one for one in world.replicas.values() if one.number == number)


def test_a_new_deployment_gets_all_its_replicas_at_once() -> None:
    """None serves yet, so none has to be minded."""
    world = World(deployment(replicas=4), {})

    assert world.look().create == {1: 1, 2: 1, 3: 1, 4: 1}
    settle(world)
    assert (world.deployment.stable, world.deployment.rollout["phase"]) == (1, Phase.DONE)


def test_a_rolling_rollout_takes_one_after_another() -> None:
    """The next goes when its forerunner was well for min_healthy_seconds, not before, and comes back by its name."""
    world = settled()
    want(world, revision=2)
    first = numbered(world, 1)

    assert world.look().delete == {first.id: rollout.REBUILT}
    assert world.look().delete == {}
    world.heal()
    assert world.look().create == {1: 2}
    world.heal()
    plan = world.look()
    assert (plan.delete, plan.wake_at) == ({}, world.now + timedelta(seconds=5))
    world.now += timedelta(seconds=5)
    assert world.look().delete == {numbered(world, 2).id: rollout.REBUILT}
    settle(world)
    assert (revisions(world), world.deployment.stable) == ([2, 2, 2], 2)


def test_what_is_away_already_leaves_no_room_for_us() -> None:
    """A replica that is sick and cannot be helped by the rollout counts against max_unavailable."""
    world = settled()
    world.become(numbered(world, 3), Status.LOST)
    want(world, revision=2)

    assert world.look().delete == {}
    world.become(numbered(world, 3), Status.BOOTSTRAPPED)
    world.now += timedelta(seconds=5)
    assert len(world.look().delete) == 1


def test_sick_replicas_are_rebuilt_first() -> None:
    """What does not serve costs nobody anything: so a rollout repairs what the former revision broke."""
    world = settled()
    world.become(numbered(world, 2), Status.BOOTSTRAPPED, Health.UNHEALTHY)
    want(world, revision=2)

    assert list(world.look().delete) == [numbered(world, 2).id]


def test_a_rollout_says_what_waits_for_room() -> None:
    """Until then it goes on with the others as far as it may."""
    world = settled()
    want(world, revision=2)
    world.add(4, 2)
    full = "No node of 3 can take it now: 3 × cpu 1 wanted, at most 0.5 free."
    one = numbered(world, 4)
    world.replicas[one.id] = replace(one, waits=full)
    world.deployment = replace(world.deployment, replicas=4)

    plan = world.look()

    assert (plan.message, plan.rollout.phase) == (f"web-04 waits: {full}", Phase.ROLLING)
    world.heal()
    assert world.look().message is None


def test_no_rollout_goes_below_the_least_that_shall_serve() -> None:
    """It says what is in its way, and fails at its deadline."""
    world = settled(min_available_replicas=3)
    want(world, revision=2)

    plan = world.look()
    assert (plan.delete, plan.message) == (
        {},
        "min_available_replicas leaves none that may be away: lower it, or have more replicas.",
    )
    world.now += timedelta(seconds=600)
    assert world.look().rollout.phase is Phase.FAILED


@pytest.mark.parametrize("change", [Change.LIVE, Change.REBOOTSTRAP])
def test_what_needs_no_rebuild_is_done_in_place_one_after_another(change: Change) -> None:
    """Replicas keep their ids, and the next is not touched before the one before is well again."""
    world = settled(change)
    ids = set(world.replicas)
    want(world, revision=2)

    assert world.look().change == {numbered(world, 1).id: change}
    assert world.look().change == {}
    settle(world)
    assert (set(world.replicas), world.deployment.stable) == (ids, 2)


def test_what_nobody_runs_by_is_written_at_once() -> None:
    """Labels and the like touch nothing that runs."""
    world = settled(Change.RECORD)
    want(world, revision=2)

    assert set(world.look().change.values()) == {Change.RECORD}
    assert world.look().rollout.phase is Phase.DONE
    assert world.deployment.stable == 2


def test_canaries_wait_to_be_promoted() -> None:
    """One is of the new revision, the rest stay, however long; and nothing fails meanwhile."""
    world = settled(strategy={"type": "canary"})
    want(world, revision=2)
    settle(world)
    world.now += timedelta(days=1)
    plan = world.look()

    assert (revisions(world), plan.rollout.phase, world.deployment.stable) == ([2, 1, 1], Phase.CANARY, 1)
    assert plan.message == "Its canaries are well; `pfi rollout promote web` goes on to the rest."
    want(world, rollout={**world.deployment.rollout, "promoted": 2})
    settle(world)
    assert (revisions(world), world.deployment.stable) == ([2, 2, 2], 2)


def test_canaries_that_were_well_for_long_enough_are_promoted() -> None:
    """By themselves, where promote_after_seconds is given."""
    world = settled(strategy={"type": "canary", "canaries": 2, "promote_after_seconds": 90})
    want(world, revision=2)
    for _ in range(4):
        world.look()
        world.heal()
        world.now += timedelta(seconds=6)
    plan = world.look()
    assert (revisions(world), plan.rollout.promoted) == ([2, 2, 1], None)
    world.now += timedelta(seconds=90)
    assert world.look().rollout.promoted == 2


@pytest.mark.parametrize(("on_failure", "undo_to"), [("stop", None), ("undo", 1)])
def test_a_sick_canary_ends_the_rollout(on_failure: str, undo_to: int | None) -> None:
    """It stops there, and a replica that goes is made as it was before; or it goes back by itself, if asked to."""
    world = settled(strategy={"type": "canary", "on_failure": on_failure})
    want(world, revision=2)
    settle(world, 2)
    world.become(numbered(world, 1), Status.BOOTSTRAPPED, Health.UNHEALTHY)
    plan = world.look()

    assert (plan.rollout.phase, plan.undo_to) == (Phase.FAILED, undo_to)
    assert plan.message == "The canary web-01 is UNHEALTHY."
    del world.replicas[numbered(world, 2).id]
    if undo_to is None:
        assert world.look().create == {2: 1}
    settle(world)
    assert revisions(world) == ([2, 1, 1] if undo_to is None else [1, 1, 1])
    assert world.deployment.stable == 1


def test_a_rollout_without_progress_fails_at_its_deadline() -> None:
    """Each further replica that becomes ready starts the time anew."""
    world = settled()
    want(world, revision=2)
    world.look()
    world.now += timedelta(seconds=599)
    assert world.look().rollout.phase is Phase.ROLLING
    world.heal()
    world.look()
    world.heal()
    world.now += timedelta(seconds=0.5)
    world.look()
    world.now += timedelta(seconds=0.5)
    plan = world.look()

    assert plan.rollout.phase is Phase.FAILED
    assert plan.message == "Not one more replica became ready within 600 s."
    assert len(plan.delete) == 0


def test_recreate_ends_all_the_old_before_it_makes_the_first_new_one() -> None:
    """Old and new never run at once."""
    world = settled(strategy={"type": "recreate"})
    want(world, revision=2)

    assert len(world.look().delete) == 3
    del world.replicas[numbered(world, 1).id]
    assert world.look().create == {}
    world.heal()
    assert world.look().create == {1: 2, 2: 2, 3: 2}


def test_a_paused_rollout_goes_no_further_and_its_deadline_waits() -> None:
    """What goes meanwhile comes back as it was before; resumed, it goes on where it was."""
    world = settled()
    want(world, revision=2)
    settle(world, 2)
    want(world, paused=True)
    del world.replicas[numbered(world, 3).id]
    assert world.look().create == {3: 1}
    world.heal()
    assert world.look().create == {2: 1}
    world.heal()
    world.now += timedelta(days=1)
    plan = world.look()

    assert (plan.delete, plan.create, plan.rollout.phase) == ({}, {}, Phase.ROLLING)
    want(world, paused=False)
    assert len(world.look().delete) == 1
    settle(world)
    assert revisions(world) == [2, 2, 2]


def test_a_replica_that_goes_comes_back_under_its_name() -> None:
    """Whoever deleted it."""
    world = settled()
    del world.replicas[numbered(world, 2).id]

    assert world.look().create == {2: 1}


def test_a_deployment_shrinks_by_those_that_do_not_serve_first() -> None:
    """A gap is filled when it grows again."""
    world = settled()
    sick = numbered(world, 2)
    world.become(sick, Status.BOOTSTRAPPED, Health.UNHEALTHY)
    want(world, replicas=2)
    assert world.look().delete == {sick.id: rollout.SHRUNK}
    world.heal()

    want(world, replicas=4)
    assert world.look().create == {2: 1, 4: 1}


def test_a_deployment_that_counts_its_replicas_shrinks_from_the_end() -> None:
    """Whatever else speaks for another: those that are left are told of numbers without a gap."""
    first = Revision(1, COUNTING, "", "test", BEGINNING)
    world = settled(revisions={1: first})
    world.become(numbered(world, 1), Status.BOOTSTRAPPED, Health.UNHEALTHY)
    want(world, replicas=1)

    assert world.look().delete == {numbered(world, one).id: rollout.SHRUNK for one in (2, 3)}


def test_a_number_that_is_away_while_a_deployment_that_counts_shrinks_comes_back() -> None:
    """Instead of a higher one, which stays only as long as it is needed."""
    first = Revision(1, COUNTING, "", "test", BEGINNING)
    world = settled(revisions={1: first}, min_available_replicas=2)
    del world.replicas[numbered(world, 2).id]
    want(world, replicas=2)

    plan = world.look()
    assert (plan.delete, plan.create) == ({}, {2: 1})
    settle(world)
    assert sorted(one.number for one in world.replicas.values()) == [1, 2]


def test_what_could_not_be_made_is_tried_anew_after_a_while() -> None:
    """Also at rest."""
    world = settled()
    broken = numbered(world, 2)
    world.become(broken, Status.PROVISION_ERROR)

    plan = world.look()
    assert (plan.delete, plan.wake_at) == ({}, world.now + timedelta(seconds=rollout.ANEW_SECONDS))
    world.now += timedelta(seconds=rollout.ANEW_SECONDS)
    assert world.look().delete == {broken.id: rollout.ANEW}
    assert world.look().create == {2: 1}


def test_a_deployment_that_leaves_takes_its_replicas_along() -> None:
    """And is gone after the last."""
    world = settled()
    want(world, leaving=True)

    assert set(world.look().delete.values()) == {rollout.LEFT}
    assert world.look().gone is False
    world.heal()
    assert world.look().gone is True

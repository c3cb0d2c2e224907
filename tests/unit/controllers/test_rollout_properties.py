"""Rollouts in a world where anything may happen: budgets hold, ends are reached, and the same is decided twice."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_world import BEGINNING, COUNTING, SECONDS, World, deployment

from pathfinder.domain import meta
from pathfinder.domain.deployed import Revision
from pathfinder.domain.rollouts import Change, Phase


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A deployment of any kind, before its first replica."""
    replicas = draw(st.integers(0, 6))
    strategy = {
        "type": draw(st.sampled_from(["rolling", "canary", "recreate"])),
        "max_unavailable": draw(st.integers(1, 3)),
        "min_healthy_seconds": SECONDS,
        "progress_deadline_seconds": draw(st.sampled_from([20.0, 86_400.0])),
        "canaries": draw(st.integers(1, 2)),
        "promote_after_seconds": draw(st.sampled_from([None, 0.0, 10.0])),
        "on_failure": draw(st.sampled_from(["stop", "undo"])),
    }
    least = draw(st.integers(0, max(replicas - 1, 0)))
    kinds = st.sampled_from([Change.RECORD, Change.LIVE, Change.REBOOTSTRAP, Change.REBUILD])
    changes = {1: Change.RECORD, 2: draw(kinds), 3: draw(kinds)}
    template = draw(st.sampled_from([{}, COUNTING]))
    revisions = {one: Revision(one, template, "", "test", BEGINNING) for one in changes}
    made = deployment(replicas=replicas, strategy=strategy, min_available_replicas=least, revisions=revisions)
    return World(made, changes)


BEFALLS = ["good", "sick", "delete", "LOST", "PROVISION_ERROR", "BOOTSTRAP_ERROR"]
HAPPENINGS = st.tuples(
    st.integers(0, 20),
    st.sampled_from(["good", "good", "good", "later", "later", "change", "scale", "pause", "resume", *BEFALLS]),
)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.lists(HAPPENINGS, max_size=40))
def test_whatever_happens_the_budgets_hold_and_an_end_is_reached(
    world: World, happenings: list[tuple[int, str]]
) -> None:
    """Nothing that serves is touched where that would leave too few, and once nothing fails any more, all is done."""
    for index, event in happenings:
        world.look()
        world.happen(index, event)

    world.deployment = replace(world.deployment, paused=False)
    for _ in range(60):
        plan = world.look()
        if plan.rollout.phase is Phase.FAILED and plan.undo_to is None:
            # Somebody resumes what stopped.
            kept = {key: value for key, value in world.deployment.rollout.items() if key not in ("phase", "why")}
            world.deployment = replace(world.deployment, rollout=kept)
        elif plan.message and "promote" in plan.message:
            promoted = {**world.deployment.rollout, "promoted": world.deployment.revision}
            world.deployment = replace(world.deployment, rollout=promoted)
        world.heal()
        world.now += timedelta(seconds=SECONDS * 2)

    plan = world.look()
    assert (plan.delete, plan.change, plan.create) == ({}, {}, {})
    assert plan.rollout.phase is Phase.DONE
    numbers = sorted(one.number for one in world.replicas.values())
    assert numbers == sorted(set(numbers))
    assert len(numbers) == world.deployment.replicas
    if meta.counts(world.deployment.template):
        assert numbers == list(range(1, len(numbers) + 1))
    assert {one.revision for one in world.replicas.values()} <= {world.deployment.revision}


@settings(max_examples=60, deadline=None)
@given(worlds(), st.lists(HAPPENINGS, max_size=30))
def test_what_was_decided_is_not_decided_again_once_it_is_carried_out(
    world: World, happenings: list[tuple[int, str]]
) -> None:
    """Looks without anything happening in between come to rest, and what is written of the rollout stays."""
    for index, event in happenings:
        world.look()
        world.happen(index, event)

    for _ in range(4 + 2 * 6):
        plan = world.look()
    before = world.deployment.rollout
    plan = world.look()
    assert (plan.delete, plan.change, plan.create) == ({}, {}, {})
    assert plan.rollout.document() == before

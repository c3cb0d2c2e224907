"""The checker finds every fault that is planted in deployments, and finds nothing where nothing is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chaos.checker import check
from chaos.deployment_rules import RULES
from chaos.evidence import Amount, Container, Demand, Deployment, Event, Evidence, Instance, Node, Revision, Told
from chaos.owner import DOOMED_IMAGE

SIZE = Amount(50, 1 << 24, 1 << 30)
PEERS = {"user.peers": "$pf-meta:deployment_host_sequences?host=shop"}
FIRST = {"image": None, "labels": {"note": "1"}, "config": PEERS}
SECOND = {"image": "local:other", "labels": {"note": "1"}, "config": PEERS}
THIRD = {"image": "local:other", "labels": {"note": "2"}, "config": PEERS}
Plant = Callable[[Evidence], Evidence]


def sound() -> Evidence:
    """`shop` was declared, changed, scaled to 2, paused, resumed, undone and changed again; `old` was deleted."""
    told = [
        Told("D", 1, 1, 3, template=FIRST),
        Told("D", 2, 2, 3, template=SECOND),
        Told("D", 3, 2, 2, template=SECOND),
        Told("D", 4, 2, 2, paused=True, template=SECOND),
        Told("D", 5, 2, 2, template=SECOND),
        Told("D", 6, 1, 2, template=FIRST),
        Told("D", 7, 3, 2, template=THIRD),
    ]
    replicas = [
        Container(f"c{number}", f"shop-{number:02d}", "PROVISIONED", 1, "a", SIZE, deployment="D", revision=3)
        for number in (1, 2)
    ]
    former = Container("c3", "shop-03", "DELETED", 1, "a", SIZE, deployment="D", revision=2)
    left = Container("c4", "old-01", "DELETED", 1, "a", SIZE, deployment="O", revision=1)
    return Evidence(
        containers=[*replicas, former, left],
        nodes=[Node("n-a", "a", "READY", Amount(8000, 1 << 35, 1 << 39), SIZE.plus(SIZE)._replace(containers=2))],
        instances=[Instance("a", one.hostname, one.id, 1, True, "17") for one in replicas],
        deployments=[Deployment("D", "shop", 7, 3, 2, rolls=3, phase="done")],
        revisions=[Revision("D", number, one) for number, one in enumerate((FIRST, SECOND, THIRD), start=1)],
        demands=[
            Demand(1, "declare", "shop", 200, told[0], replicas=3, template=FIRST),
            Demand(2, "declare", "old", 200, Told("O", 1, 1, 1, template=FIRST), replicas=1, template=FIRST),
            Demand(3, "declare", "shop", 200, told[1], replicas=3, template=SECOND),
            Demand(4, "scale", "shop", 200, told[2], replicas=2),
            Demand(5, "pause", "shop", 202, told[3]),
            Demand(6, "resume", "shop", 202, told[4]),
            Demand(7, "undo", "shop", 202, told[5]),
            Demand(8, "declare", "shop", 200, told[6], replicas=2, template=THIRD),
            Demand(9, "retire", "old", 202, Told("O", 2, 1, 1, leaving=True, template=FIRST)),
        ],
        events=[*_replica_events(), *_deployment_events()],
    )


def _replica_events() -> list[Event]:
    facts = [("node.registered", "node", "n-a", "a", 0, "a", None), ("node.ready", "node", "n-a", "a", 0, "a", None)]
    for id_, name in (("c1", "shop-01"), ("c2", "shop-02"), ("c3", "shop-03"), ("c4", "old-01")):
        facts += [
            ("container.requested", "container", id_, name, 0, None, "PENDING"),
            ("container.scheduled", "container", id_, name, 1, "a", "SCHEDULED"),
            ("container.provisioned", "container", id_, name, 1, "a", "PROVISIONED"),
        ]
    for id_, name in (("c3", "shop-03"), ("c4", "old-01")):
        facts += [
            ("container.deletion_scheduled", "container", id_, name, 1, "a", "SCHEDULE_DELETION"),
            ("container.deleted", "container", id_, name, 1, "a", "DELETED"),
        ]
    return [
        Event(seq, kind, about, id_, name, generation, on, {"status": status} if status else {})
        for seq, (kind, about, id_, name, generation, on, status) in enumerate(facts, start=1)
    ]


def _deployment_events() -> list[Event]:
    facts: list[tuple[str, str, dict[str, Any]]] = [
        ("D", "applied", {"version": 1, "revision": 1, "replicas": 3}),
        ("O", "applied", {"version": 1, "revision": 1, "replicas": 1}),
        ("D", "applied", {"version": 2, "revision": 2, "replicas": 3}),
        ("D", "scaled", {"version": 3, "from": 3, "to": 2}),
        ("D", "paused", {"version": 4}),
        ("D", "resumed", {"version": 5}),
        ("D", "undone", {"version": 6, "from": 2, "to": 1}),
        ("D", "applied", {"version": 7, "revision": 3, "replicas": 2}),
        ("O", "deletion_scheduled", {"version": 2}),
        ("O", "deleted", {}),
        ("D", "rolled_out", {"revision": 3}),
    ]
    return [
        Event(seq, f"deployment.{kind}", "deployment", id_, {"D": "shop", "O": "old"}[id_], 0, None, body)
        for seq, (id_, kind, body) in enumerate(facts, start=100)
    ]


def row(**fields: Any) -> Plant:
    """The row of `shop` is another."""
    return lambda e: replace(e, deployments=[replace(e.deployments[0], **fields)])


def replica(id_: str, **fields: Any) -> Plant:
    """A replica's row is another."""
    return lambda e: replace(e, containers=[replace(c, **fields) if c.id == id_ else c for c in e.containers])


def asked(number: int, **fields: Any) -> Plant:
    """One demand went otherwise."""
    return lambda e: replace(e, demands=[replace(d, **fields) if d.number == number else d for d in e.demands])


def told(number: int, **fields: Any) -> Plant:
    """One demand was answered otherwise."""

    def plant(e: Evidence) -> Evidence:
        (answer,) = (d.told for d in e.demands if d.number == number and d.told)
        return asked(number, told=replace(answer, **fields))(e)

    return plant


def without(seq: int) -> Plant:
    """An event was never written."""
    return lambda e: replace(e, events=[one for one in e.events if one.seq != seq])


def event(seq: int, **body: Any) -> Plant:
    """An event says something else."""
    return lambda e: replace(
        e, events=[replace(one, body={**one.body, **body}) if one.seq == seq else one for one in e.events]
    )


def both(*plants: Plant) -> Plant:
    """One after the other."""

    def plant(e: Evidence) -> Evidence:
        for one in plants:
            e = one(e)
        return e

    return plant


def without_revision(number: int) -> Plant:
    """A revision is not kept."""
    return lambda e: replace(e, revisions=[one for one in e.revisions if one.number != number])


ACCEPTED, REPLICAS, ROLLOUT = (rule.__name__ for rule in RULES[:3])
LEFT, NUMBERS, LOG = (rule.__name__ for rule in RULES[3:])

PLANTED: dict[str, tuple[str, Plant]] = {
    "a deployment that was forgotten": (ACCEPTED, lambda e: replace(e, deployments=[])),
    "one that nobody declared": (
        ACCEPTED,
        lambda e: replace(e, deployments=[*e.deployments, Deployment("X", "other", 1, 1, 0)]),
    ),
    "one that was made twice": (ACCEPTED, told(4, id="X")),
    "a change that was lost": (ACCEPTED, row(version=6, revision=1)),
    "a change that nobody asked for": (ACCEPTED, row(version=8)),
    "a number nobody asked for": (ACCEPTED, row(replicas=3)),
    "a revision nobody asked for": (ACCEPTED, row(revision=2)),
    "a pause nobody asked for": (ACCEPTED, row(paused=True)),
    "a delete nobody asked for": (ACCEPTED, row(leaving=True)),
    "a scale that was not carried out": (ACCEPTED, told(4, replicas=3)),
    "a pause that was not carried out": (ACCEPTED, told(5, paused=False)),
    "a template that is another": (ACCEPTED, told(8, template=FIRST)),
    "a revision that was rewritten": (
        ACCEPTED,
        lambda e: replace(e, revisions=[*e.revisions[:2], Revision("D", 3, FIRST)]),
    ),
    "a demand without an answer": (ACCEPTED, asked(4, status=None, told=None)),
    "a demand that was refused": (ACCEPTED, asked(4, status=422, told=None)),
    "a deployment the API forgot": (ACCEPTED, asked(4, status=404, told=None)),
    "a replica too few": (REPLICAS, replica("c2", status="DELETED")),
    "a replica too many": (REPLICAS, replica("c3", status="PROVISIONED")),
    "a replica of another name": (REPLICAS, replica("c2", hostname="shop-2")),
    "two replicas of a name": (REPLICAS, replica("c2", hostname="shop-01")),
    "a number that is missing": (REPLICAS, replica("c2", hostname="shop-03")),
    "a replica that waits although there is room": (REPLICAS, replica("c2", status="PENDING", waiting=True, node=None)),
    "a replica that is stuck": (REPLICAS, replica("c2", status="SCHEDULED")),
    "a replica of a former revision": (ROLLOUT, replica("c2", revision=2)),
    "a rollout that never ended": (ROLLOUT, row(phase="rolling")),
    "a rollout that waits for room and does not say so": (
        ROLLOUT,
        both(row(phase="rolling"), replica("c2", status="PENDING", waiting=True, node=None, size=Amount(9000, 0, 0))),
    ),
    "a rollout that never began": (ROLLOUT, row(rolls=1)),
    "a failure without a reason": (ROLLOUT, row(phase="failed")),
    "a machine that was not told": (
        ROLLOUT,
        lambda e: replace(e, instances=[replace(e.instances[0], digest="4"), e.instances[1]]),
    ),
    "a delete that was forgotten": (
        LEFT,
        lambda e: replace(e, deployments=[*e.deployments, Deployment("O", "old", 2, 1, 1, leaving=True)]),
    ),
    "a replica that was left": (LEFT, replica("c4", status="PROVISIONED")),
    "a revision that was left": (LEFT, lambda e: replace(e, revisions=[*e.revisions, Revision("O", 1, FIRST)])),
    "a revision that is missing": (NUMBERS, without_revision(2)),
    "the wanted revision is missing": (NUMBERS, without_revision(3)),
    "a number that was left out": (NUMBERS, event(107, revision=4)),
    "a number that was given twice": (
        NUMBERS,
        lambda e: replace(
            e,
            events=[
                replace(o, kind="deployment.restarted") if o.seq == 102 else o for o in event(102, revision=1)(e).events
            ],
        ),
    ),
    "a number that stood for two templates": (NUMBERS, told(8, revision=2)),
    "no event of the declaration": (LOG, without(100)),
    "no event of the scaling": (LOG, without(103)),
    "no event of the pause": (LOG, without(104)),
    "no event of the last change": (LOG, without(107)),
    "no event of the rollout": (LOG, without(110)),
    "no event of the deletion": (LOG, without(109)),
    "no event of what deleted it": (LOG, without(108)),
    "an event that says another number": (LOG, event(103, to=1)),
    "an event that was written twice": (
        LOG,
        lambda e: replace(e, events=[*e.events, replace(e.events[-1], seq=111, body={"version": 7})]),
    ),
}


def test_where_nothing_is_wrong_with_deployments_nothing_is_found() -> None:
    """Undone revisions, a deleted deployment, and labels that no machine was told of included."""
    assert check(sound()) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_planted_in_a_deployment_is_found(name: str) -> None:
    """By the rule that is about it, in words that name who is concerned."""
    rule, plant = PLANTED[name]

    found = check(plant(sound()))

    assert rule in {one.rule for one in found}
    assert all(one.subject and one.words for one in found)


def test_every_rule_of_deployments_has_a_fault_that_is_planted() -> None:
    """A rule that never finds anything proves nothing."""
    assert {rule for rule, _ in PLANTED.values()} == {rule.__name__ for rule in RULES}


#: A scale to 3 whose first try got no answer, and was carried out after all else.
LATE = both(
    row(version=8, replicas=3),
    replica("c3", status="PROVISIONED", revision=3),
    lambda e: replace(
        e,
        events=[*e.events, replace(e.events[-1], seq=111, kind="deployment.scaled", body={"version": 8, "to": 3})],
        demands=[*e.demands, Demand(10, "scale", "shop", 409, None, 1, replicas=3)],
    ),
)


@pytest.mark.parametrize(
    "plant",
    [
        LATE,
        both(asked(9, status=404, told=None, unclear=1)),
        both(row(paused=True, phase="rolling"), replica("c2", revision=2), asked(5, unclear=1), row(version=8)),
        both(
            row(phase="failed", why="shop-02 is PROVISION_ERROR."),
            replica("c1", revision=2),
            replica("c2", status="PROVISION_ERROR"),
            lambda e: replace(e, revisions=[*e.revisions[:2], Revision("D", 3, {**THIRD, "image": DOOMED_IMAGE})]),
            asked(8, template={**THIRD, "image": DOOMED_IMAGE}),
            told(8, template={**THIRD, "image": DOOMED_IMAGE}),
        ),
        both(
            row(phase="rolling", message="shop-02 waits: No node can take it now."),
            replica("c2", status="PENDING", waiting=True, node=None, size=Amount(9000, 0, 0)),
        ),
    ],
    ids=[
        *("a late try", "a delete whose answer was lost", "a late pause", "a rollout that cannot succeed"),
        "a rollout that waits for room",
    ],
)
def test_what_has_a_good_reason_is_no_broken_promise_of_a_deployment(plant: Plant) -> None:
    """Tries without an answer may be carried out late, and an image that is nowhere fails its rollout."""
    found = check(plant(sound()))

    assert {one.rule for one in found} & {ACCEPTED, REPLICAS, ROLLOUT} == set()


def test_a_late_try_excuses_nothing_but_what_it_asked_for() -> None:
    """Another number than it asked for, more changes than there were tries, and what came before all others."""
    for other in (row(replicas=4), row(version=9), row(paused=True), row(revision=2), row(version=7)):
        assert ACCEPTED in {one.rule for one in check(both(LATE, other)(sound()))}

"""The checker finds every fault that is planted, says which promise it breaks, and finds nothing where nothing is."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chaos import deployment_rules
from chaos.checker import RULES, check
from chaos.evidence import (
    Amount,
    Answered,
    Change,
    Container,
    Departure,
    Event,
    Evidence,
    Instance,
    Node,
    Request,
)

SIZE = Amount(500, 1 << 28, 1 << 30)
CAPACITY = Amount(8000, 1 << 35, 1 << 39)
Plant = Callable[[Evidence], Evidence]


def sound() -> Evidence:
    """Two nodes; `web` runs on a, `db` was rescheduled from a to b, `old` was deleted."""
    web, db = Container("1", "web", "PROVISIONED", 1, "a", SIZE), Container("2", "db", "PROVISIONED", 2, "b", SIZE)
    old = Container("3", "old", "DELETED", 1, "a", SIZE)
    claimed = SIZE._replace(containers=1)
    facts = [
        ("node.registered", "node", "n-a", "a", 0, "a", None),
        ("node.registered", "node", "n-b", "b", 0, "b", None),
        ("node.ready", "node", "n-a", "a", 0, "a", None),
        ("node.ready", "node", "n-b", "b", 0, "b", None),
        ("node.down", "node", "n-b", "b", 0, "b", None),
        ("node.ready", "node", "n-b", "b", 0, "b", None),
        ("container.requested", "container", "1", "web", 0, None, "PENDING"),
        ("container.requested", "container", "2", "db", 0, None, "PENDING"),
        ("container.requested", "container", "3", "old", 0, None, "PENDING"),
        ("container.scheduled", "container", "1", "web", 1, "a", "SCHEDULED"),
        ("container.scheduled", "container", "2", "db", 1, "a", "SCHEDULED"),
        ("container.scheduled", "container", "3", "old", 1, "a", "SCHEDULED"),
        ("container.provisioned", "container", "1", "web", 1, "a", "PROVISIONED"),
        ("container.provisioned", "container", "2", "db", 1, "a", "PROVISIONED"),
        ("container.provisioned", "container", "3", "old", 1, "a", "PROVISIONED"),
        ("container.rescheduled", "container", "2", "db", 1, None, "PENDING"),
        ("container.scheduled", "container", "2", "db", 2, "b", "SCHEDULED"),
        ("container.departed", "container", "2", "db", 1, "a", None),
        ("container.provisioned", "container", "2", "db", 2, "b", "PROVISIONED"),
        ("container.deletion_scheduled", "container", "3", "old", 1, "a", "SCHEDULE_DELETION"),
        ("container.deleted", "container", "3", "old", 1, "a", "DELETED"),
    ]
    return Evidence(
        containers=[web, db, old],
        nodes=[Node("n-a", "a", "READY", CAPACITY, claimed), Node("n-b", "b", "READY", CAPACITY, claimed)],
        events=[
            Event(seq, kind, about, id_, name, generation, node, {"status": status} if status else {})
            for seq, (kind, about, id_, name, generation, node, status) in enumerate(facts, start=1)
        ],
        queues={"pathfinder.recorder": 0, "pathfinder.dead": 0},
        instances=[Instance("a", "web", "1", 1, True), Instance("b", "db", "2", 2, True)],
        history=[
            Change(1.0, "a", "1", 1, True),
            Change(1.0, "a", "2", 1, True),
            Change(1.0, "a", "3", 1, True),
            Change(3.0, "b", "2", 2, True),
            Change(3.5, "a", "2", 1, False),  # rescheduled by the user: the two may overlap
            Change(5.0, "a", "3", 1, False),
        ],
        requests=[
            Request(1, "create", 0.5, ("web",), 201, ((Answered("1", "web", 0),),) * 2),
            Request(2, "create", 0.5, ("db", "old"), 201, ((Answered("2", "db", 0), Answered("3", "old", 0)),)),
            Request(3, "reschedule", 2.0, ("db",), 202, ((Answered("2", "db", 1),),), target="2", until=2.1),
            Request(4, "delete", 4.0, ("old",), 202, ((Answered("3", "old", 1),),), target="3"),
        ],
    )


def changed(index: int, **fields: object) -> Plant:
    """One container's row is another."""
    return lambda e: replace(
        e, containers=[replace(c, **fields) if i == index else c for i, c in enumerate(e.containers)]
    )


def without_event(kind: str, name: str) -> Plant:
    """An event was never written."""
    return lambda e: replace(e, events=[one for one in e.events if (one.kind, one.subject_name) != (kind, name)])


def asked(number: int, **fields: object) -> Plant:
    """One request went otherwise."""
    return lambda e: replace(e, requests=[replace(r, **fields) if r.number == number else r for r in e.requests])


def node(**fields: object) -> Plant:
    """The first node's row is another."""
    return lambda e: replace(e, nodes=[replace(e.nodes[0], **fields), *e.nodes[1:]])


def instances(*found: Instance) -> Plant:
    """The machines have these instances besides or, where the name is the same, instead."""
    names = {(one.node, one.hostname) for one in found}
    return lambda e: replace(
        e, instances=[*(one for one in e.instances if (one.node, one.hostname) not in names), *found]
    )


PLANTED: dict[str, tuple[str, Plant]] = {
    "a doubled instance": ("each_runs_exactly_once", instances(Instance("b", "web", "1", 1, True))),
    "a lost instance": ("each_runs_exactly_once", lambda e: replace(e, instances=e.instances[1:])),
    "an instance on another node": (
        "each_runs_exactly_once",
        lambda e: replace(e, instances=[Instance("b", "web", "1", 1, True), e.instances[1]]),
    ),
    "an instance of an older generation": ("each_runs_exactly_once", instances(Instance("b", "db", "2", 1, True))),
    "an instance that stands still": ("each_runs_exactly_once", instances(Instance("a", "web", "1", 1, False))),
    "an instance of nobody": ("no_instance_is_unaccounted_for", instances(Instance("b", "ghost", "9", 1, True))),
    "an instance that outlived its delete": (
        "no_instance_is_unaccounted_for",
        instances(Instance("a", "old", "3", 1, True)),
    ),
    "a claim that was not given back": ("claims_add_up", node(claimed=SIZE._replace(cpu=1000, containers=2))),
    "a claim that was given back twice": ("claims_add_up", node(claimed=Amount())),
    "an overfull node": ("claims_add_up", node(capacity=Amount(100, 1 << 35, 1 << 39))),
    "two on a node that must be apart": (
        "those_who_must_be_apart_are",
        lambda e: replace(
            e, containers=[replace(one, node="a", apart="g") if one.id in ("1", "2") else one for one in e.containers]
        ),
    ),
    "a departure that never ends": (
        "nothing_is_left_to_do",
        lambda e: replace(
            e,
            departures=[Departure("2", 1, "a", SIZE)],
            nodes=[
                replace(e.nodes[0], claimed=SIZE.plus(SIZE)._replace(containers=2)),
                e.nodes[1],
            ],
        ),
    ),
    "an accepted create that is in no table": (
        "every_request_has_its_outcome",
        asked(1, answers=((Answered("7", "web", 0),),)),
    ),
    "an accepted create that was deleted by nobody": (
        "every_request_has_its_outcome",
        changed(0, status="DELETED"),
    ),
    "an accepted create that is stuck": ("every_request_has_its_outcome", changed(0, status="SCHEDULED")),
    "one that waits although there is room": (
        "every_request_has_its_outcome",
        changed(0, status="PENDING", waiting=True, node=None),
    ),
    "an accepted delete that was forgotten": ("every_request_has_its_outcome", changed(2, status="PROVISIONED")),
    "an accepted reschedule that was forgotten": ("every_request_has_its_outcome", changed(1, generation=1)),
    "a container the API forgot": ("every_request_has_its_outcome", asked(4, status=404, answers=())),
    "a request without an answer": ("every_request_has_its_outcome", asked(4, status=None, answers=())),
    "one key, two answers": (
        "every_request_has_its_outcome",
        asked(1, answers=((Answered("1", "web", 0),), (Answered("8", "web", 0),))),
    ),
    "a container made twice for one request": (
        "nothing_was_made_unasked",
        lambda e: replace(e, containers=[*e.containers, replace(e.containers[2], id="4")]),
    ),
    "two at once after a node was lost": (
        "none_ran_twice_at_once",
        lambda e: replace(
            e, history=[*e.history, Change(6.0, "b", "1", 2, True), Change(6.1, "b", "1", 2, False)]
        ),
    ),
    "two at once after a reschedule was long done": (
        "none_ran_twice_at_once",
        lambda e: replace(e, history=[*e.history, Change(6.0, "a", "2", 3, True), Change(6.1, "a", "2", 3, False)]),
    ),
    "a message left in the outbox": ("nothing_is_left_to_do", lambda e: replace(e, outbox=1)),
    "a message left in a queue": ("nothing_is_left_to_do", lambda e: replace(e, queues={"pathfinder.dead": 1})),
    "a node that is not back": ("nothing_is_left_to_do", node(status="DOWN")),
    "no event of the request": ("the_log_tells_the_state", without_event("container.requested", "web")),
    "no event of the placement": ("the_log_tells_the_state", without_event("container.scheduled", "web")),
    "no event of the provision": ("the_log_tells_the_state", without_event("container.provisioned", "web")),
    "no event of the deletion": ("the_log_tells_the_state", without_event("container.deleted", "old")),
    "no event of the node": ("the_log_tells_the_state", without_event("node.ready", "b")),
    "a row that no event explains": ("the_log_tells_the_state", changed(0, node="b")),
    "events of what is in no table": (
        "the_log_tells_the_state",
        lambda e: replace(e, containers=e.containers[:2]),
    ),
}  # fmt: skip


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    """Reschedules that overlap and deletes included."""
    assert check(sound()) == []


def test_a_reschedule_that_was_refused_until_the_container_ran_is_why_there_are_two() -> None:
    """It is asked for again and again while services are away, and done at any time until it is answered."""
    early = asked(3, at=0.6, until=2.5)(sound())

    assert check(early) == []


def test_a_reschedule_is_why_there_are_two_also_where_the_former_stood_still_meanwhile() -> None:
    """A node that could not be heard stops what it runs, and starts it again before it is told that it is to go."""
    sound_one = sound()
    stops = [Change(1.5, "a", "2", 1, False), Change(2.6, "a", "2", 1, True)]

    assert check(replace(sound_one, history=[*sound_one.history, *stops])) == []


def test_a_reschedule_is_why_there_are_two_also_where_the_former_began_later() -> None:
    """Its machine was off when the other was started, and it runs until its node is told that it is to go."""
    sound_one = sound()
    stops = [Change(1.5, "a", "2", 1, False), Change(3.2, "a", "2", 1, True)]

    assert check(replace(sound_one, history=[*sound_one.history, *stops])) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    """By the rule that is about it, in words that name who is concerned."""
    rule, plant = PLANTED[name]

    found = check(plant(sound()))

    assert rule in {one.rule for one in found}
    assert all(one.subject and one.words for one in found)


def test_every_rule_has_a_fault_that_only_it_is_about() -> None:
    """A rule that never finds anything proves nothing. Those of deployments have a file of their own."""
    others = [rule for rule in RULES if rule not in deployment_rules.RULES]
    assert {rule for rule, _ in PLANTED.values()} == {rule.__name__ for rule in others}


@pytest.mark.parametrize(
    "plant",
    [
        asked(4, status=404, answers=(), unclear=1),
        asked(1, doomed=True),
        changed(0, status="PENDING", waiting=True, node=None, size=Amount(9000, 0, 0)),
    ],
    ids=["a delete whose first answer was lost", "a doomed create", "one that nothing has room for"],
)
def test_what_has_a_good_reason_is_no_lost_request(plant: Plant) -> None:
    """The client's own faults, answers that were lost on the way, and a fleet that is full."""
    evidence = plant(sound())
    if any(request.doomed for request in evidence.requests):
        evidence = changed(0, status="PROVISION_ERROR")(evidence)

    assert "every_request_has_its_outcome" not in {one.rule for one in check(evidence)}


def test_one_for_whom_every_node_has_company_to_avoid_waits_with_a_good_reason() -> None:
    """There is room, but not for it; where a node is free of its group, there is none."""
    evidence = sound()
    rows = [replace(one, apart="g") for one in evidence.containers]
    rows[0] = replace(rows[0], status="PENDING", waiting=True, node=None)
    alone = replace(evidence, containers=rows, nodes=[one for one in evidence.nodes if one.hostname == "b"])

    assert "every_request_has_its_outcome" not in {one.rule for one in check(alone)}
    assert "every_request_has_its_outcome" in {one.rule for one in check(replace(evidence, containers=rows))}

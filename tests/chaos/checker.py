"""Whether everything is as it was promised: pure rules over the evidence, independent of Pathfinder's bookkeeping.

Each rule knows the promise in its own words: sums are added up again, the log is replayed from nothing, and what runs
is asked of the machines.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from chaos import deployment_rules
from chaos.evidence import Amount, Container, Evidence, Instance, Request
from chaos.replay import Placement, replay
from chaos.room import CLAIMING, has_room


class Violation(NamedTuple):
    """A promise that was not kept: which one, to whom, and what was found instead."""

    rule: str
    subject: str
    words: str


Rule = Callable[[Evidence], Iterator[tuple[str, str]]]


def check(evidence: Evidence) -> list[Violation]:
    """Every violation there is, rule by rule."""
    return [Violation(rule.__name__, *found) for rule in RULES for found in rule(evidence)]


# What was asked


def every_request_has_its_outcome(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What was accepted is there, or was deleted by a delete that was accepted; what was deleted is gone."""
    rows = {one.id: one for one in evidence.containers}
    deleted, maybe_deleted, moved = _ends(evidence.requests)
    for request in evidence.requests:
        name = f"request {request.number}"
        if request.status is None:
            yield name, f"{request.op} of {', '.join(request.hostnames)} never got an answer"
        if request.op in ("delete", "reschedule") and request.status == 404 and not request.unclear:
            yield name, f"{request.op} of {request.hostnames[0]}: the API knows nothing of a container it had accepted"
        if request.op != "create" or not request.accepted:
            continue
        if len({frozenset(one.id for one in answer) for answer in request.answers}) > 1:
            yield name, f"the same Idempotency-Key was answered with different containers: {request.answers}"
        for asked in request.answers[0]:
            row = rows.get(asked.id)
            if row is None:
                yield asked.hostname, f"was accepted as {asked.id} and is in no table"
            elif asked.id in deleted:
                if row.status != "DELETED":
                    yield asked.hostname, f"its delete was accepted, and it is {row.status}"
            elif not (asked.id in maybe_deleted and row.status == "DELETED"):
                yield from _outcome(evidence, row, request.doomed, moved.get(asked.id))


def _outcome(evidence: Evidence, row: Container, doomed: bool, moved: int | None) -> Iterator[tuple[str, str]]:
    wanted = "PROVISION_ERROR" if doomed else "PROVISIONED"
    if row.status == "PENDING" and row.waiting and not has_room(evidence, row):
        return
    if row.status != wanted:
        yield row.hostname, f"should be {wanted} and is {row.status} on {row.node}: {row.message or 'without a reason'}"
    elif moved is not None and row.generation <= moved:
        yield row.hostname, f"its reschedule of generation {moved} was accepted, and it is still of {row.generation}"


def _ends(requests: Sequence[Request]) -> tuple[set[str], set[str], dict[str, int]]:
    """Ids whose delete was accepted, those whose delete may have been, and the last generation that was to be left."""
    deleted, maybe, moved = set[str](), set[str](), dict[str, int]()
    for request in requests:
        if request.op == "delete" and request.target:
            # Not found after a try without an answer: that try was carried out.
            (deleted if request.accepted or request.status == 404 else maybe).add(request.target)
        if request.op == "reschedule" and request.accepted and request.target:
            moved[request.target] = max(moved.get(request.target, 0), request.answers[0][0].generation)
    return deleted, maybe, moved


def nothing_was_made_unasked(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every container in the tables was asked for, once; replicas by the declaration of their deployment."""
    asked = {
        one.id
        for request in evidence.requests
        if request.op == "create"
        for answer in request.answers
        for one in answer
    }
    open_names = {
        name for request in evidence.requests if request.op == "create" and request.status is None
        for name in request.hostnames
    }  # fmt: skip
    declared = {one.told.id for one in evidence.demands if one.told}
    for row in evidence.containers:
        if row.id not in asked and row.hostname not in open_names and row.deployment not in declared:
            yield row.hostname, f"{row.id} ({row.status}) is in the tables, and no client was ever told of it"


# What runs


def each_runs_exactly_once(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A living container has one instance: running, on the node the store names, of the generation it names."""
    found = _by_container(evidence.instances)
    for row in evidence.containers:
        if row.status != "PROVISIONED":
            continue
        mine = found.get(row.id, [])
        if not mine:
            yield row.hostname, f"is {row.status} on {row.node}, and no machine has an instance of it"
        elif len(mine) > 1:
            where = ", ".join(f"{one.node} (generation {one.generation})" for one in mine)
            yield row.hostname, f"has {len(mine)} instances: {where}; the store names {row.node}"
        elif (mine[0].node, mine[0].generation) != (row.node, row.generation):
            yield (
                row.hostname,
                f"is on {mine[0].node} of generation {mine[0].generation}; the store names {row.node} and "
                f"{row.generation}",
            )
        elif not mine[0].running:
            yield row.hostname, f"does not run on {row.node}, and the store says {row.status}"


def no_instance_is_unaccounted_for(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every instance belongs to a container that should have one."""
    wanted = {row.id for row in evidence.containers if row.status in CLAIMING}
    for one in evidence.instances:
        if one.container_id not in wanted:
            yield one.hostname, f"an instance of {one.container_id}, generation {one.generation}, is left on {one.node}"


def none_ran_twice_at_once(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """At no time two instances of a container ran, but while a user's reschedule was under way."""
    moves: dict[str, list[Request]] = defaultdict(list)
    for request in evidence.requests:
        if request.op == "reschedule" and request.target:
            moves[request.target].append(request)
    for container_id, spells in _spells(evidence).items():
        for one, other in combinations(sorted(spells), 2):
            together = min(one.end, other.end) - other.start
            moved = any(_moved(request, one, other) for request in moves[container_id])
            if (one.node, one.generation) != (other.node, other.generation) and together > 0 and not moved:
                yield (
                    container_id,
                    f"ran on {one.node} (generation {one.generation}) and on {other.node} (generation "
                    f"{other.generation}) at once, from {other.start:.3f} for {together:.3f} s",
                )


class _Spell(NamedTuple):
    start: float
    end: float
    node: str
    generation: int


def _moved(request: Request, one: _Spell, other: _Spell) -> bool:
    """Whether that reschedule may be why the other began. What it left may have stood still, or its machine may have
    been off, and it goes on until its node hears of it.
    """
    left = request.answers[0][0].generation if request.answers else None
    old, new = sorted((one.generation, other.generation))
    return request.at <= other.start and (one.start <= request.until or (left is not None and old <= left < new))


def _spells(evidence: Evidence) -> dict[str, list[_Spell]]:
    """From when to when each container's instances ran."""
    since: dict[tuple[str, str, int], float] = {}
    spells: dict[str, list[_Spell]] = defaultdict(list)
    for change in sorted(evidence.history, key=lambda one: one.at):
        key = (change.container_id, change.node, change.generation)
        if change.running:
            since.setdefault(key, change.at)
        elif key in since:
            spells[change.container_id].append(_Spell(since.pop(key), change.at, change.node, change.generation))
    for (container_id, node, generation), start in since.items():
        spells[container_id].append(_Spell(start, float("inf"), node, generation))
    return spells


def _by_container(instances: Sequence[Instance]) -> dict[str, list[Instance]]:
    found: dict[str, list[Instance]] = defaultdict(list)
    for one in instances:
        found[one.container_id].append(one)
    return found


# What the books say


def claims_add_up(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What a node says is claimed is the sum over its placements and departures, and no more than it has."""
    sums: dict[str | None, Amount] = defaultdict(Amount)
    placements = [
        (row.node, row.size._replace(stateful=int(row.type == "STATEFUL")))
        for row in evidence.containers
        if row.status in CLAIMING
    ]
    for where, size in [*placements, *((one.node, one.size) for one in evidence.departures)]:
        sums[where] = sums[where].plus(size._replace(containers=1))
    for node in evidence.nodes:
        if node.claimed != sums[node.hostname]:
            yield node.hostname, f"says that {_words(node.claimed)} are claimed; it is {_words(sums[node.hostname])}"
        if any(claimed > most for claimed, most in zip(node.claimed[:3], node.capacity[:3], strict=True)):
            yield node.hostname, f"{_words(node.claimed)} are claimed, and it has {node.capacity[:3]}"


def _words(amount: Amount) -> str:
    return f"{amount.cpu}m, {amount.memory} and {amount.disk} bytes for {amount.containers}, {amount.stateful} stateful"


def those_who_must_be_apart_are(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No node has two placements of one group."""
    first: dict[tuple[str | None, str], str] = {}
    for row in evidence.containers:
        if row.apart and row.status in CLAIMING:
            other = first.setdefault((row.node, row.apart), row.hostname)
            if other != row.hostname:
                yield row.hostname, f"is on {row.node} with {other}, and both are of {row.apart}"


def nothing_is_left_to_do(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No message waits anywhere, no former placement holds a claim, and every node is back."""
    if evidence.outbox:
        yield "outbox", f"{evidence.outbox} messages are still to be published"
    for queue, count in sorted(evidence.queues.items()):
        if count:
            yield queue, f"{count} messages wait in it"
    for one in evidence.departures:
        yield one.container_id, f"its generation {one.generation} still holds a claim on {one.node}"
    for node in evidence.nodes:
        if node.status != "READY":
            yield node.hostname, f"is {node.status}"


def the_log_tells_the_state(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Replayed from nothing, `events` give each container's status, node and generation, and each node's status."""
    told = replay(sorted(evidence.events, key=lambda one: one.seq))
    yield from told.contradictions
    for row in evidence.containers:
        mine = told.containers.get(row.id)
        kept = Placement(row.status, row.node, row.generation)
        if row.status == "DELETED" and mine is not None:
            kept = kept._replace(node=mine.node)  # where a deleted one was is history
        if mine != kept:
            yield row.hostname, f"is {kept} in the table; replaying the log gives {mine}"
    for id_ in told.containers.keys() - {row.id for row in evidence.containers}:
        yield id_, "is in the log, and in no table"
    for node in evidence.nodes:
        if told.nodes.get(node.id) != node.status:
            yield node.hostname, f"is {node.status} in the table; replaying the log gives {told.nodes.get(node.id)}"


RULES: Sequence[Rule] = (
    every_request_has_its_outcome,
    nothing_was_made_unasked,
    each_runs_exactly_once,
    no_instance_is_unaccounted_for,
    none_ran_twice_at_once,
    claims_add_up,
    those_who_must_be_apart_are,
    nothing_is_left_to_do,
    the_log_tells_the_state,
    *deployment_rules.RULES,
)

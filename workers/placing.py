"""One transaction of a scheduler: pending containers, decisions on them, claims, and what is told of it."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder import telemetry
from pathfinder.domain import commands
from pathfinder.domain.containers import Container
from pathfinder.domain.ids import uuid7
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import SUPPLY, Envelope, Kind
from pathfinder.failpoints import point
from pathfinder.scheduling import asking, explain
from pathfinder.scheduling.fleet import NodeState
from pathfinder.scheduling.place import Decision, decide
from pathfinder.scheduling.plugins import Fault
from pathfinder.scheduling.policy import BUILT_IN, Policy, Rules
from pathfinder.scheduling.turns import by_policy
from pathfinder.store import attempts, claims, containers, decisions, journal, policies
from pathfinder.store.ahead import Ahead
from pathfinder.store.fleets import KnownFleet

log = structlog.get_logger()

ACTOR = "scheduler"

#: PostgreSQL writes so many containers while the next are prepared, with a pause after so many of those.
PART = 1000
BREATH = 100

#: How often one batch is decided again because another scheduler was faster.
CONFLICT_TRIES = 5


@dataclass(slots=True)
class Outcome:
    """What one transaction did. `last` and `full` are of the page that it took; `conflicts` is how many of it are still
    to be decided, `claims_lost` how often one was to be decided again. `supply` is the fleet's before anything was
    looked at; `crowded` are the policies of those for which others may have to go.
    `held` are left for a later look, for they must not overtake. `failed` are the nodes where containers failed before.
    Once it is `holding` nodes, it must not wait for others. `faults` are those of plugins that were left out. As many
    of the `facts` as `appended` says are in the log already.
    """

    taken: int = 0
    last: Container | None = None
    full: bool = False
    conflicts: int = 0
    claims_lost: int = 0
    holding: bool = False
    supply: int | None = None
    unplaceable: int = 0
    held: int = 0
    crowded: set[Policy] = field(default_factory=set)
    failed: dict[UUID, tuple[str, ...]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    appended: int = 0
    facts: list[journal.Fact] = field(default_factory=list)
    commands: dict[str, list[Envelope]] = field(default_factory=lambda: defaultdict(list))

    @property
    def placed(self) -> int:
        """How many got a node."""
        return self.taken - self.unplaceable - self.conflicts

    def count(self) -> None:
        """In metrics, once it is committed; plugins that failed are told of in the log, too."""
        telemetry.PLACEMENTS.labels("placed").inc(self.placed)
        telemetry.PLACEMENTS.labels("unplaceable").inc(self.unplaceable)
        telemetry.PLACEMENTS.labels("conflict").inc(self.conflicts)
        telemetry.CLAIMS_LOST.inc(self.claims_lost)
        for fault in self.faults:
            telemetry.PLUGIN_FAILED.labels(fault.noun, fault.name).inc()
            log.warning("plugin left out", **{fault.noun: fault.name}, reason=fault.words)


async def place_batch(
    tx: AsyncConnection,
    known: KnownFleet,
    cluster_id: UUID,
    *,
    news: Collection[str],
    after: Container | None,
    limit: int,
    rules: Rules = BUILT_IN,
) -> Outcome:
    """Place the next PENDING containers, as of `containers.take_pending`. `known` is held by the caller.

    Where room came since the last time, those who wait for any are among them. Policies may name the filters and
    scorers of `rules`.
    """
    outcome = Outcome()
    if not await known.refresh(tx, cluster_id):
        return outcome
    usual, outcome.supply = known.policy, known.supply
    if outcome.supply != known.offered:
        # The hint of that room is still on its way: whoever is new must not take it before those who wait.
        news, known.offered = SUPPLY.union(news), outcome.supply
    page = await containers.take_pending(tx, cluster_id, news=news, after=after, limit=limit)
    outcome.last, outcome.full = page.last, page.full
    pending = await _in_turn(tx, cluster_id, page.containers, news, after)
    outcome.taken, outcome.held = len(pending), len(page.containers) - len(pending)
    if outcome.held:
        known.offered = None  # so that those who wait for room are among them again
    if not pending:
        return outcome
    outcome.failed = await attempts.failed_nodes(tx, pending)
    await known.company.hold(tx, cluster_id, pending)
    groups = by_policy(pending, lambda it: it.policy or usual, lambda it: it.priority, lambda it: it.gang)
    policy_of = await policies.usable(tx, {name for name, _ in groups}, usual, rules)
    async with Ahead() as ahead:
        for name, group in groups:
            for _ in range(CONFLICT_TRIES):
                group = await _decide(tx, ahead, known, cluster_id, group, *policy_of[name], outcome)
                outcome.claims_lost += len(group)
                if not group:
                    break
            outcome.conflicts += len(group)
        point("scheduler.claimed")
        await ahead.do(journal.record(tx, outcome.facts, outcome.commands, appended=outcome.appended))
    point("scheduler.written")
    return outcome


async def _in_turn(
    tx: AsyncConnection, cluster_id: UUID, page: list[Container], news: Collection[str], after: Container | None
) -> list[Container]:
    """Without those that ran before and would overtake somebody more urgent who is not on the page, for another
    scheduler has them or the room came only now: it may be for them that they had to go.
    """
    if not any(one.generation for one in page):
        return page
    urgent = await containers.before_page(tx, cluster_id, page, news=SUPPLY.union(news), after=after)
    return page if urgent is None else [one for one in page if not one.generation or one.priority >= urgent]


async def _decide(
    tx: AsyncConnection,
    ahead: Ahead,
    known: KnownFleet,
    cluster_id: UUID,
    pending: list[Container],
    chosen: Policy,
    instead: str | None,
    outcome: Outcome,
) -> list[Container]:
    """Place what can be placed and claim it; the containers whose node another scheduler changed meanwhile.

    `instead` says why the policy is not the one that was wished for. What is decided is written `ahead`.
    """
    first, outcome.holding = not outcome.holding, True
    await ahead.done()
    # Once more: only now others are held back, and what they did before may touch a rule over more than one node.
    await known.refresh(tx, cluster_id)
    states = known.states
    seed = pending[0].id.int & 0xFFFF_FFFF
    asks, labels = {asking.of(one) for one in pending}, (one.labels for one in pending)
    there = await known.company.of(tx, cluster_id, states, asks, keep=first, labels=labels, averse=known.averse)
    requests = asking.requests(pending, outcome.failed, there.keys)
    fleet = replace(known.fleet, tallies=there.tallies, averse=there.averse)
    decided, tried = decide(fleet, requests, chosen, seed)
    outcome.faults += tried.faults
    skipped = [*([instead] if instead else []), *map(str, tried.faults)]
    id_of = {row: UUID(states[row].id) for row in {one.index for one in decided if one.index is not None}}
    ids = [None if one.index is None else id_of[one.index] for one in decided]
    wanted = claims.total((id_, one.resources, one.stateful) for id_, one in zip(ids, pending, strict=True) if id_)
    generations = {id_: states[row].generation for row, id_ in id_of.items()}
    won = await claims.take(tx, wanted, generations, wait=first) if wanted else set()
    known.doubt(wanted.keys() - won)
    torn = {one.gang for one, node_id in zip(pending, ids, strict=True) if node_id and node_id not in won}
    settled = _Settled(cluster_id, tried.policy, seed, len(fleet), skipped, outcome)
    lost, returned = [], []
    for number, (container, decision, node_id) in enumerate(zip(pending, decided, ids, strict=True), start=1):
        if decision.index is None:
            settled.let_wait(container, decision)
            if chosen.preemption:
                outcome.crowded.add(chosen)
        elif node_id in won and (container.gang is None or container.gang not in torn):
            settled.schedule(container, decision, states[decision.index], node_id)
        else:
            lost.append(container)
            if node_id in won:  # the rest of its gang went elsewhere
                returned.append((node_id, container.resources, container.stateful))
        if number % PART == 0:
            await settled.write(tx, ahead)
        if number % BREATH == 0:
            await asyncio.sleep(0)
    # What is decided again for those who lost counts these where they are now.
    await settled.write_rest(tx, ahead)
    if returned:
        await ahead.done()
        await claims.give_back(tx, claims.total(returned))
    return lost


class _Settled:
    """The decisions of one round that stand; those of one kind are kept together."""

    def __init__(
        self, cluster_id: UUID, chosen: Policy, seed: int, nodes: int, skipped: Sequence[str], outcome: Outcome
    ) -> None:
        self._cluster_id, self._policy, self._seed, self._nodes = cluster_id, chosen, seed, nodes
        self._skipped, self._outcome = skipped, outcome
        self._changed: list[Container] = []
        self._kinds: dict[object, tuple[UUID, list[Decision]]] = {}

    def schedule(self, container: Container, decision: Decision, node: NodeState, node_id: UUID) -> None:
        """It goes there."""
        placed = container.to(
            Status.SCHEDULED,
            generation=container.generation + 1,
            node_id=node_id,
            node=node.hostname,
            waiting=False,
            message=None,
            retry_at=None,
            decision_id=self._kept(decision),
            decided=True,
        )
        self._changed.append(placed)
        body = {"policy": self._policy.name}
        self._outcome.facts.append(journal.about(placed, Kind.CONTAINER_SCHEDULED, ACTOR, body))
        self._outcome.commands[node.hostname].append(commands.provision(placed, node.epoch))

    def let_wait(self, container: Container, decision: Decision) -> None:
        """It goes nowhere now."""
        self._outcome.unplaceable += 1
        message = explain.sentence(decision, self._nodes)
        if not container.waiting:
            fact = journal.about(container, Kind.CONTAINER_UNPLACEABLE, ACTOR, {"reason": message})
            self._outcome.facts.append(fact)
        if not container.waiting or (container.message, container.wakes) != (message, decision.wakes):
            kept = replace(
                container,
                waiting=True,
                wakes=decision.wakes,
                message=message,
                decision_id=self._kept(decision),
                decided=True,
                retry_at=None,
            )
            self._changed.append(kept)

    def _kept(self, decision: Decision) -> UUID:
        kind = explain.kind(decision)
        if kind not in self._kinds:
            self._kinds[kind] = uuid7(), []
        id_, same = self._kinds[kind]
        same.append(decision)
        return id_

    async def write(self, tx: AsyncConnection, ahead: Ahead) -> None:
        """Write the containers that are not written yet, and their facts."""
        changed, self._changed = self._changed, []
        await ahead.do(containers.save(tx, changed))
        appended, self._outcome.appended = self._outcome.appended, len(self._outcome.facts)
        await ahead.do(journal.append(tx, self._outcome.facts[appended:]))

    async def write_rest(self, tx: AsyncConnection, ahead: Ahead) -> None:
        """Write the last of the containers, and why all are where they are."""
        await ahead.do(containers.save(tx, self._changed))
        kept = [
            decisions.Kept(
                *(id_, self._cluster_id, self._policy.name, self._seed),
                explain.document(same, self._policy, self._nodes, self._skipped),
                self._policy.version,
            )
            for id_, same in self._kinds.values()
        ]
        await ahead.do(decisions.keep(tx, kept))

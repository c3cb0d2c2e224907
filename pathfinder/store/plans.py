"""Plans on the fleet as it is stored now. Nothing is written."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import views
from pathfinder.domain.errors import AlreadyExists, FieldProblem, Invalid, NotFound
from pathfinder.domain.lifecycle import CLAIMING, RUNNING, ContainerType, Status
from pathfinder.domain.policies import PolicyDocument
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling import asking, explain, plan
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.plan import Crowd, Plan, Wanted
from pathfinder.scheduling.policy import BUILT_IN, Policy, Rules, compiled
from pathfinder.scheduling.preempt import keys_of, worth_a_look
from pathfinder.scheduling.request import Ask, Gang, Request
from pathfinder.scheduling.resilience import Resident
from pathfinder.store import listing, policies, preemption, quotas, requests
from pathfinder.store.clusters import Cluster
from pathfinder.store.resilience import ask_of
from pathfinder.store.states import snapshot
from pathfinder.store.tallies import Tallies

_WANTED = sorted(CLAIMING - {Status.SCHEDULE_DELETION})
_TAKEN = text("""
    SELECT hostname FROM containers
    WHERE cluster_id = :cluster_id AND hostname = ANY(:names) AND status <> 'DELETED' ORDER BY hostname
""")
_RESIDENTS = text("""
    SELECT id, hostname, node_id, type, image, cpu_millicores, memory_bytes, disk_bytes, spec, labels, priority, policy,
           status
    FROM containers
    WHERE cluster_id = :cluster_id AND node_id = ANY(:nodes) AND status = ANY(:statuses) ORDER BY -priority, id
""")
_NAMES = text("SELECT id, hostname, node_id FROM containers WHERE id = ANY(:ids)")


@dataclass(frozen=True, slots=True)
class _Ground:
    """The fleet a plan is made on, and the keys of the labels that company is chosen by."""

    states: list[NodeState]
    fleet: Fleet
    keys: Collection[str]


async def create(
    tx: AsyncConnection,
    cluster: Cluster,
    specs: Sequence[ContainerSpec],
    seed: int,
    *,
    together: bool = False,
    document: PolicyDocument | None = None,
    explained: bool = False,
    rules: Rules = BUILT_IN,
) -> views.Plan:
    """What would happen if these containers were asked for; all of them placed by `document`, if there is one. Raises
    what asking for them does. Policies may name the filters and scorers of `rules`, here and below.
    """
    await requests.check(tx, cluster, specs)
    if document is not None:
        by = dict.fromkeys((spec.policy for spec in specs), _tried(document, rules))
    else:
        by = await requests.policies_of(tx, cluster, specs, rules)
    await requests.check_sizes(tx, cluster, specs, by)
    taken = list((await tx.execute(_TAKEN, {"cluster_id": cluster.id, "names": [s.hostname for s in specs]})).scalars())
    if taken:
        raise AlreadyExists(f"{', '.join(taken[:5])}: a living container has that name already. Choose another.")
    asks = [_ask(cluster, spec) for spec in specs]
    ground = await _ground(tx, cluster.id, asks, (spec.labels for spec in specs))
    gang = Gang("planned", len(specs)) if together else None
    wanted = [
        Wanted(Request(spec.hostname, _ask(cluster, spec, ground.keys), gang=gang), by[spec.policy]) for spec in specs
    ]
    made = await asyncio.to_thread(plan.create, ground.fleet, wanted, seed)
    policy_of = {one.request.id: one.policy for one in wanted}
    crowd = await _crowd(tx, cluster.id, ground, made, policy_of)
    if crowd is not None:
        made = await asyncio.to_thread(plan.create, ground.fleet, wanted, seed, crowd)
    if cluster.quota is not None:  # last, since others wait for the cluster from here on
        await quotas.admit(tx, cluster.id, cluster.name, specs)
    view = _view(cluster, made, ground, seed, {}, await _names(tx, made), explained=explained)
    return await _labelled(tx, view)


def _tried(document: PolicyDocument, rules: Rules) -> Policy:
    try:
        return compiled(document, rules=rules)
    except Invalid as error:
        problems = [FieldProblem(f"document.{one.field}", one.message) for one in error.problems]
        raise Invalid(error.message, problems) from error


async def lose(
    tx: AsyncConnection,
    cluster: Cluster,
    hostnames: Sequence[str],
    zone: tuple[str, str] | None,
    seed: int,
    rules: Rules = BUILT_IN,
) -> views.Plan:
    """What would happen if these nodes died, or all of a zone (its label and value). Raises NotFound."""
    return await _without(tx, cluster, plan.lose, hostnames, zone, seed, rules)


async def drain(
    tx: AsyncConnection, cluster: Cluster, hostnames: Sequence[str], seed: int, rules: Rules = BUILT_IN
) -> views.Plan:
    """What would happen if these nodes were emptied. Raises NotFound."""
    return await _without(tx, cluster, plan.drain, hostnames, None, seed, rules)


async def _without(
    tx: AsyncConnection,
    cluster: Cluster,
    how: Callable[..., Plan],
    hostnames: Sequence[str],
    zone: tuple[str, str] | None,
    seed: int,
    rules: Rules,
) -> views.Plan:
    states = await snapshot(tx, cluster.id)
    rows = _rows(states, hostnames, zone)
    found = (
        await tx.execute(
            _RESIDENTS,
            {"cluster_id": cluster.id, "nodes": [UUID(states[row].id) for row in rows], "statuses": _WANTED},
        )
    ).all()
    asks = [ask_of(row) for row in found]
    ground = await _ground(tx, cluster.id, asks, (row.labels for row in found), states)
    residents = [
        Resident(
            str(row.node_id),
            Request(str(row.id), ask_of(row, ground.keys)),
            ask.stateful,
        )
        for row, ask in zip(found, asks, strict=True)
    ]
    chosen = await _policies(tx, {row.policy or cluster.policy for row in found}, cluster.policy, rules)
    by = {str(row.id): chosen[row.policy or cluster.policy] for row in found}
    made = await asyncio.to_thread(how, ground.fleet, rows, residents, by, seed)
    ran = [row for row in found if Status(row.status) in RUNNING]
    away = [row.labels for row in ran if how is plan.lose or row.type == ContainerType.STATELESS]
    crowd = await _crowd(tx, cluster.id, ground, made, by, away)
    if crowd is not None:
        made = await asyncio.to_thread(how, ground.fleet, rows, residents, by, seed, crowd)
    host_of = {one.id: one.hostname for one in states}
    origin = {str(row.id): (str(row.hostname), host_of[str(row.node_id)]) for row in found}
    return await _labelled(tx, _view(cluster, made, ground, seed, origin, await _names(tx, made)))


async def _labelled(tx: AsyncConnection, plan: views.Plan) -> views.Plan:
    moved = [*plan.placed, *plan.waiting, *plan.staying]
    named = {name for one in moved for name in (one.source, one.node) if name}
    named.update(one.node for one in plan.preempted)
    named.update(one.hostname for one in plan.nodes)
    named.update(str(best["node"]) for one in moved for best in one.candidates)
    return plan.model_copy(update={"simulated": await listing.simulated(tx, named)})


def _rows(states: Sequence[NodeState], hostnames: Sequence[str], zone: tuple[str, str] | None) -> list[int]:
    if zone is not None:
        label, value = zone
        rows = [row for row, one in enumerate(states) if one.labels.get(label) == value]
        if not rows:
            there = ", ".join(sorted({one.labels[label] for one in states if label in one.labels})) or "none"
            raise NotFound("zone", value, f"Zones are values of the nodes' label {label!r}; there are: {there}.")
        return rows
    row_of = {one.hostname: row for row, one in enumerate(states)}
    for name in hostnames:
        if name not in row_of:
            raise NotFound("node", name, "`pfi get nodes` lists those there are.")
    return sorted({row_of[name] for name in hostnames})


async def _ground(
    tx: AsyncConnection,
    cluster_id: UUID,
    asks: Sequence[Ask],
    labels: Iterable[Mapping[str, str]],
    states: list[NodeState] | None = None,
) -> _Ground:
    if states is None:
        states = await snapshot(tx, cluster_id)
    there = await Tallies().of(tx, cluster_id, states, set(asks), keep=False, labels=labels)
    return _Ground(states, Fleet.of(states, there.tallies, there.averse), there.keys)


async def _crowd(
    tx: AsyncConnection,
    cluster_id: UUID,
    ground: _Ground,
    made: Plan,
    policy_of: Mapping[str, Policy],
    away: Sequence[Mapping[str, str]] = (),
) -> Crowd | None:
    """Who might give way to those that would wait by this plan; None where nobody might. `away` are the labels of those
    that run, and would not any more.
    """
    waiting: dict[str, tuple[Policy, list[Request]]] = {}
    for one in made.decisions:
        policy = policy_of[one.request.id]
        if one.index is None and policy.preemption:
            waiting.setdefault(policy.name, (policy, []))[1].append(one.request)
    if not waiting:
        return None
    row_of = {one.id: row for row, one in enumerate(ground.states)}
    below = max(one.ask.priority for _, requests_ in waiting.values() for one in requests_)
    known = await preemption.budgets(tx, cluster_id)
    budgets = {of: left - sum(map(of.matches, away)) for of, left in known.items()}
    there = await preemption.lots(tx, cluster_id, below, row_of, budgets)
    leaving = await preemption.leaving(tx, cluster_id, row_of)
    rows: set[int] = set()
    for policy, requests_ in waiting.values():
        rows |= set(await asyncio.to_thread(worth_a_look, made.fleet, there, requests_, policy, leaving, budgets))
    looked_at = {ground.states[row].id: row for row in rows}
    keys = {*ground.keys, *keys_of(budgets)}
    return Crowd(await preemption.tenants(tx, cluster_id, below, looked_at, keys), leaving, budgets)


async def _policies(tx: AsyncConnection, names: Collection[str], usual: str, rules: Rules) -> dict[str, Policy]:
    """Those that a scheduler would use for these names."""
    return {name: chosen for name, (chosen, _) in (await policies.usable(tx, names, usual, rules)).items()}


def _ask(cluster: Cluster, spec: ContainerSpec, keys: Collection[str] = ()) -> Ask:
    image = spec.image or cluster.default_image
    return asking.ask(spec.resources, spec.type, image, spec.document(), spec.priority, spec.labels, keys)


async def _names(tx: AsyncConnection, made: Plan) -> dict[str, str]:
    """The hostnames of those who would give way, by id."""
    ids = [UUID(one.id) for eviction in made.evictions for one in eviction.victims]
    return {str(row.id): row.hostname for row in await tx.execute(_NAMES, {"ids": ids})} if ids else {}


def _view(
    cluster: Cluster,
    made: Plan,
    ground: _Ground,
    seed: int,
    origin: dict[str, tuple[str, str]],
    victims: dict[str, str],
    *,
    explained: bool = False,
) -> views.Plan:
    def planned(decision: Any) -> views.Planned:
        name, source = origin.get(decision.request.id, (decision.request.id, None))
        node = None if decision.index is None else ground.states[decision.index].hostname
        reason = explain.sentence(decision, len(ground.states)) if node is None else None
        why = explain.seen(decision) if explained else {}
        return views.Planned(hostname=name, source=source, node=node, reason=reason, **why)

    told = [planned(one) for one in made.decisions]
    staying = [
        views.Planned(hostname=name, source=node, node=None, reason=f"It is stateful: it waits for {node}.")
        for name, node in (origin[one] for one in made.staying)
    ]
    return views.Plan(
        cluster=cluster.name,
        seed=seed,
        fits=made.fits,
        placed=[one for one in told if one.node is not None],
        waiting=[one for one in told if one.node is None],
        staying=staying,
        skipped=[str(one) for one in made.faults],
        preempted=[
            views.Displaced(
                hostname=victims.get(victim.id, victim.id),
                node=ground.states[eviction.index].hostname,
                by=origin.get(eviction.request.id, (eviction.request.id,))[0],
            )
            for eviction in made.evictions
            for victim in eviction.victims
        ],
        nodes=[
            views.Filling(
                hostname=before.node,
                cpu_before=before.cpu,
                cpu_after=after.cpu,
                memory_before=before.memory,
                memory_after=after.memory,
                containers_before=before.containers,
                containers_after=after.containers,
            )
            for before, after in zip(made.before, made.after, strict=True)
        ],
    )

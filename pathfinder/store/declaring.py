"""Several deployments at once: declared whole or not at all, and what that would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import deployment_views as views
from pathfinder.domain import meta
from pathfinder.domain.deployed import Deployment, check_template, replica_spec
from pathfinder.domain.deployments import DeploymentSpec, replica_name
from pathfinder.domain.differences import differences
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.fields import field_path
from pathfinder.domain.policies import Change
from pathfinder.domain.specs import ContainerSpec
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.store import deployments, plans, quotas
from pathfinder.store.clusters import Cluster
from pathfinder.store.deployments import Applied
from pathfinder.store.requests import Asker


@dataclass(frozen=True, slots=True)
class Declared:
    """What declaring did, in the order that was written, and the names of those that were pruned."""

    applied: Sequence[Applied]
    pruned: Sequence[str]


async def apply(
    tx: AsyncConnection,
    cluster: Cluster,
    specs: Sequence[DeploymentSpec],
    asker: Asker,
    *,
    prune: Mapping[str, str] | None = None,
    cause: str = "",
    rules: Rules = BUILT_IN,
) -> Declared:
    """Declare these deployments, each after those whose addresses it reads; and with labels to `prune` delete all
    others that have them. Raises what one of them does; fields are within `deployments[index]`.
    """
    applied: dict[int, Applied] = {}
    for index in _in_order(specs):
        try:
            applied[index] = await deployments.apply(tx, cluster, specs[index], asker, cause=cause, rules=rules)
        except Invalid as error:
            raise _within(error, index) from error
    await _admit_all(tx, cluster, [one.deployment for one in applied.values() if one.grew])
    pruned = await _prune(tx, cluster, {one.name for one in specs}, prune, asker) if prune else []
    return Declared([applied[index] for index in range(len(specs))], pruned)


async def _admit_all(tx: AsyncConnection, cluster: Cluster, grown: Sequence[Deployment]) -> None:
    """See that the quota leaves room for them together, as there is for each. Raises QuotaExceeded."""
    if cluster.quota is not None and len(grown) > 1:
        asked = [[check_template(one.name, one.template, one.replicas)] * one.replicas for one in grown]
        specs = list(chain.from_iterable(asked))
        await quotas.admit(tx, cluster.id, cluster.name, specs, without=[one.id for one in grown])


async def plan(
    tx: AsyncConnection,
    cluster: Cluster,
    specs: Sequence[DeploymentSpec],
    asker: Asker,
    *,
    prune: Mapping[str, str] | None = None,
    rules: Rules = BUILT_IN,
) -> views.DeploymentPlan:
    """What `apply` would do, which is done and taken back. Raises what it does."""
    attempt = await tx.begin_nested()
    try:
        done = await apply(tx, cluster, specs, asker, prune=prune, rules=rules)
        planned, wanted = [], []
        for one in done.applied:
            new, living = await _missing(tx, one.deployment)
            wanted += new
            planned.append(_planned(one, new, living))
    finally:
        await attempt.rollback()
    return views.DeploymentPlan(
        deployments=planned,
        pruned=list(done.pruned),
        placements=await plans.create(tx, cluster, wanted, 0, rules=rules) if wanted else None,
    )


def _in_order(specs: Sequence[DeploymentSpec]) -> list[int]:
    """The indexes of these deployments, what is read before who reads it. Raises Invalid where that cannot be."""
    reads: dict[str, dict[str, list[meta.Call]]] = {}
    for index, spec in enumerate(specs):
        try:
            reads[spec.name] = meta.reads(spec.template)
        except Invalid as error:
            raise _within(error, index, "template.") from error
    edges = {name: frozenset(found) for name, found in reads.items()}
    for index, spec in enumerate(specs):
        if circle := meta.cycle(spec.name, edges):
            call = reads[spec.name][circle[1]][0]
            words = f"goes round in a circle: {' reads '.join(circle)}"
            field = field_path(("deployments", index, "template", *call.path))
            raise Invalid("Deployments may not depend on each other.", [FieldProblem(field, words)])
    place = {name: at for at, name in enumerate(meta.in_order(edges))}
    return sorted(range(len(specs)), key=lambda index: place[specs[index].name])


def _within(error: Invalid, index: int, prefix: str = "") -> Invalid:
    problems = [FieldProblem(f"deployments[{index}].{prefix}{one.field}", one.message) for one in error.problems]
    return type(error)(error.message, problems)


async def _prune(
    tx: AsyncConnection, cluster: Cluster, kept: set[str], labels: Mapping[str, str], asker: Asker
) -> list[str]:
    rows = await tx.execute(
        text("""
            SELECT name, ARRAY(SELECT jsonb_array_elements_text(document->'reads')) AS reads FROM deployments
            WHERE cluster_id = :cluster_id AND labels @> CAST(:labels AS jsonb) AND name <> ALL(:kept) AND NOT leaving
        """),
        {"cluster_id": cluster.id, "labels": orjson.dumps(labels).decode(), "kept": list(kept)},
    )
    order = reversed(meta.in_order({row.name: row.reads for row in rows}))
    return [(await deployments.delete(tx, cluster.id, name, asker)).name for name in order]


_LIVING = text("""
    SELECT hostname, revision FROM containers WHERE deployment_id = :id AND status <> 'DELETED' ORDER BY hostname
""")


async def _missing(tx: AsyncConnection, deployment: Deployment) -> tuple[list[ContainerSpec], dict[str, int]]:
    """The replicas that are to be made, and the revisions of those there are, by their names."""
    living = {row.hostname: row.revision for row in await tx.execute(_LIVING, {"id": deployment.id})}
    facts = await deployments.facts(tx, deployment)
    new = [
        replica_spec(deployment, deployment.revision, number, facts)
        for number in range(1, deployment.replicas + 1)
        if replica_name(deployment.name, number) not in living
    ]
    return new, living


def _planned(applied: Applied, new: Sequence[ContainerSpec], living: Mapping[str, int]) -> views.PlannedDeployment:
    deployment = applied.deployment
    stay = {replica_name(deployment.name, number) for number in range(1, deployment.replicas + 1)}
    return views.PlannedDeployment(
        name=deployment.name,
        change=applied.change,
        differences=_differences(applied),
        created=[spec.hostname for spec in new],
        changed=sum(revision != deployment.revision for name, revision in living.items() if name in stay),
        removed=[name for name in living if name not in stay],
    )


def _differences(applied: Applied) -> list[views.ChangedField]:
    before = applied.before.declared if applied.before else {}
    found = [] if applied.change is Change.UNCHANGED else differences(before, applied.deployment.declared)
    return [views.ChangedField(field=one.field, before=one.before, after=one.after) for one in found]

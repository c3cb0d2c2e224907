"""Deployments: declaring them, each change one transaction: the row under its lock, its revision, its event, and that
it is to be looked at. What follows is decided where replicas are reconciled.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import meta
from pathfinder.domain.deployed import RESTART, Deployment, Revision
from pathfinder.domain.deployments import DeploymentSpec, StrategyType, check_size
from pathfinder.domain.errors import Conflict, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.domain.meta import Facts
from pathfinder.domain.policies import Change
from pathfinder.domain.rollouts import Phase, Rollout
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.store import admission
from pathfinder.store.clusters import Cluster
from pathfinder.store.journal import Fact, record
from pathfinder.store.requests import Asker

#: So many of the newest revisions are kept, and older ones as long as a replica is of one.
KEPT_REVISIONS = 20

_STATE = """
    SELECT d.id, d.cluster_id, k.name AS cluster, d.name, d.labels, d.document, d.replicas, d.version, d.revision,
           d.stable, d.paused, d.leaving, d.rollout, d.message, d.wake_at, d.created_at, d.changed_at
    FROM deployments AS d JOIN clusters AS k ON k.id = d.cluster_id
"""
_REVISIONS = text("""
    SELECT deployment_id, revision, template, cause, actor, created_at FROM revisions
    WHERE deployment_id = ANY(:ids) ORDER BY deployment_id, revision
""")


async def lock(tx: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Deployment]:
    """Lock these deployments, in the order of their ids so that two writers cannot wait for each other."""
    return {one.id: one for one in await _found(tx, "d.id = ANY(:ids) ORDER BY d.id FOR UPDATE OF d", ids=list(ids))}


async def lock_named(tx: AsyncConnection, cluster_id: UUID, name: str) -> Deployment | None:
    """Lock the deployment of that name, if there is one."""
    where = "d.cluster_id = :cluster_id AND d.name = :name FOR UPDATE OF d"
    return next(iter(await _found(tx, where, cluster_id=cluster_id, name=name)), None)


async def load(tx: AsyncConnection, cluster_id: UUID, name: str) -> Deployment:
    """The deployment of that name, not locked. Raises NotFound."""
    found = await _found(tx, "d.cluster_id = :cluster_id AND d.name = :name", cluster_id=cluster_id, name=name)
    if not found:
        raise _absent(name)
    return found[0]


async def _found(tx: AsyncConnection, where: str, **given: Any) -> list[Deployment]:
    rows = (await tx.execute(text(f"{_STATE} WHERE {where}"), given)).all()
    if not rows:
        return []
    revisions: dict[UUID, dict[int, Revision]] = {row.id: {} for row in rows}
    for row in await tx.execute(_REVISIONS, {"ids": list(revisions)}):
        revisions[row.deployment_id][row.revision] = Revision(*row[1:])
    return [Deployment(**row._mapping, revisions=revisions[row.id]) for row in rows]


def _absent(name: str) -> NotFound:
    return NotFound("deployment", name, "`pfi get deployments` lists those there are.")


@dataclass(frozen=True, slots=True)
class Applied:
    """What writing a deployment did to it, and as it was before; None: it was not there."""

    change: Change
    before: Deployment | None
    deployment: Deployment

    @property
    def grew(self) -> bool:
        """Whether it may ask for more than before."""
        before, after = self.before, self.deployment
        return before is None or before.template != after.template or before.replicas < after.replicas


async def apply(
    tx: AsyncConnection,
    cluster: Cluster,
    spec: DeploymentSpec,
    asker: Asker,
    *,
    cause: str = "",
    expected: int | None = None,
    rules: Rules = BUILT_IN,
) -> Applied:
    """Have the deployment be as `spec` says; a new revision if the template is another. `replicas` that were left out
    stay as they are, and so do those that autoscaling looks after. `expected` is the version that was changed, 0 where
    there was none; another one is no matter where nothing would change.

    Raises Invalid, NeverFits, QuotaExceeded, AlreadyExists, and Conflict where another version is there or it is being
    deleted.
    """
    await _alone(tx, cluster.id)
    before = await lock_named(tx, cluster.id, spec.name)
    if before is not None:
        _stays(before)
    reads = await admission.check_reads(tx, cluster, spec.name, spec.template)
    document = _document(spec, reads)
    replicas = _replicas(spec, before)
    same_template = before is not None and before.template == spec.template
    if before is not None and same_template and _same(before, spec, document, replicas):
        return Applied(Change.UNCHANGED, before, before)
    _require_version(spec.name, before, expected)
    check_size(spec.name, replicas, 0 if spec.autoscaling is not None else spec.min_available_replicas)
    if spec.autoscaling is not None:
        await admission.check_secrets(tx, cluster.id, spec.autoscaling)
    grows = not same_template or replicas > (before.replicas if before else 0)
    await admission.check(
        tx, cluster, spec.name, spec.template, replicas, id_=before.id if before else None, grows=grows, rules=rules
    )
    id_ = uuid7() if before is None else before.id
    if before is None:
        await tx.execute(
            text("INSERT INTO deployments (id, cluster_id, name) VALUES (:id, :cluster_id, :name)"),
            {"id": id_, "cluster_id": cluster.id, "name": spec.name},
        )
    revision = before.revision if before and same_template else await _append(tx, id_, spec.template, cause, asker)
    await _write(tx, id_, {"labels": spec.labels, "document": document, "replicas": replicas, "revision": revision})
    (after,) = (await lock(tx, [id_])).values()
    change = Change.CREATED if before is None else Change.CHANGED
    body = {"change": change, "version": after.version, "replicas": replicas, "revision": revision}
    await _tell(tx, after, Kind.DEPLOYMENT_APPLIED, asker, body)
    return Applied(change, before, after)


async def scale(
    tx: AsyncConnection,
    cluster: Cluster,
    name: str,
    replicas: int,
    asker: Asker,
    *,
    reason: str = "",
    rules: Rules = BUILT_IN,
) -> Deployment:
    """Have so many replicas. Asking for as many as there shall be changes nothing.

    Raises NotFound, Invalid, NeverFits, QuotaExceeded, AlreadyExists, Conflict.
    """
    before = _stays(await _locked(tx, cluster.id, name))
    if replicas == before.replicas:
        return before
    check_size(name, replicas, before.min_available_replicas)
    if replicas > before.replicas:
        await admission.check(tx, cluster, name, before.template, replicas, id_=before.id, grows=True, rules=rules)
    body = {"from": before.replicas, "to": replicas} | ({"reason": reason} if reason else {})
    return await _changed(tx, before, {"replicas": replicas}, Kind.DEPLOYMENT_SCALED, asker, body)


async def delete(tx: AsyncConnection, cluster_id: UUID, name: str, asker: Asker) -> Deployment:
    """Have a deployment deleted, with its replicas. Asking again changes nothing.

    Raises NotFound, and Conflict while another one reads its addresses.
    """
    await _alone(tx, cluster_id)
    before = await _locked(tx, cluster_id, name)
    if before.leaving:
        return before
    readers = [one for one in await admission.readers(tx, cluster_id, name) if one != name]
    if readers:
        raise Conflict(
            f"The deployment {name!r} cannot be deleted: the template of {', '.join(readers[:5])} reads its addresses. "
            "Delete that one first, or apply a template that does not."
        )
    return await _changed(tx, before, {"leaving": True}, Kind.DEPLOYMENT_DELETION_SCHEDULED, asker)


async def undo(
    tx: AsyncConnection, cluster: Cluster, name: str, asker: Asker, *, to: int | None = None, rules: Rules = BUILT_IN
) -> Deployment:
    """Want an earlier revision again: `to`, or the last that was rolled out whole, or the one before the present one.
    It is rolled out at once, whether the present rollout was paused or not.

    Raises NotFound, Invalid, NeverFits, Conflict.
    """
    await _alone(tx, cluster.id)
    before = _stays(await _locked(tx, cluster.id, name))
    revision = earlier(before) if to is None else to
    if revision is None:
        raise Conflict(f"The deployment {name!r} has no earlier revision to go back to.")
    if revision not in before.revisions:
        raise NotFound("revision", f"{name}@{revision}", f"`pfi rollout history {name}` lists those there are.")
    if revision == before.revision:
        return before
    template = before.revisions[revision].template
    reads = await admission.check_reads(tx, cluster, name, template)
    await admission.check(tx, cluster, name, template, before.replicas, id_=before.id, grows=True, rules=rules)
    changes = {"revision": revision, "document": {**before.document, "reads": reads}, "paused": False}
    body = {"from": before.revision, "to": revision}
    return await _changed(tx, before, changes, Kind.DEPLOYMENT_UNDONE, asker, body)


async def go_back(tx: AsyncConnection, before: Deployment, to: int, actor: str, why: str) -> Deployment:
    """Want a revision again that was rolled out before; the deployment is locked. Nothing is asked: it was there."""
    reads = sorted(meta.reads(before.revisions[to].template))
    changes = {"revision": to, "document": {**before.document, "reads": reads}}
    body = {"from": before.revision, "to": to, "why": why}
    return await _changed(tx, before, changes, Kind.DEPLOYMENT_UNDONE, Asker(actor, ""), body)


def earlier(deployment: Deployment) -> int | None:
    """The revision that undoing goes back to; None if there is none."""
    if deployment.stable not in (None, deployment.revision) and deployment.stable in deployment.revisions:
        return deployment.stable
    return max((one for one in deployment.revisions if one < deployment.revision), default=None)


async def pause(tx: AsyncConnection, cluster: Cluster, name: str, asker: Asker) -> Deployment:
    """Have its rollout go no further, until it is resumed. Raises NotFound, Conflict."""
    before = _stays(await _locked(tx, cluster.id, name))
    return before if before.paused else await _changed(tx, before, {"paused": True}, Kind.DEPLOYMENT_PAUSED, asker)


async def resume(tx: AsyncConnection, cluster: Cluster, name: str, asker: Asker) -> Deployment:
    """Have its rollout go on, be it paused or failed. Raises NotFound, Conflict."""
    before = _stays(await _locked(tx, cluster.id, name))
    rollout = Rollout.read(before.rollout)
    if not before.paused and rollout.phase is not Phase.FAILED:
        return before
    fresh = replace(rollout, phase=Phase.ROLLING, why=None) if rollout.phase is Phase.FAILED else rollout
    changes = {"paused": False, "rollout": fresh.document()}
    return await _changed(tx, before, changes, Kind.DEPLOYMENT_RESUMED, asker)


async def promote(tx: AsyncConnection, cluster: Cluster, name: str, asker: Asker) -> Deployment:
    """Have the revision that runs in canaries only go on to the rest: `promoted` in its rollout names it.

    Raises NotFound, and Conflict where there are no canaries.
    """
    before = _stays(await _locked(tx, cluster.id, name))
    if before.strategy.type != StrategyType.CANARY:
        raise Conflict(f"The deployment {name!r} has no canaries: its strategy is {before.strategy.type}.")
    if before.stable in (None, before.revision):
        raise Conflict(f"The deployment {name!r} has no canaries now: its revision {before.revision} is rolled out.")
    if before.rollout.get("promoted") == before.revision:
        return before
    changes = {"rollout": {**before.rollout, "promoted": before.revision}}
    return await _changed(tx, before, changes, Kind.DEPLOYMENT_PROMOTED, asker, {"revision": before.revision})


async def restart(tx: AsyncConnection, cluster: Cluster, name: str, asker: Asker) -> Deployment:
    """Have every replica made anew, as its strategy says: by a revision with the same template.

    Raises NotFound, Conflict.
    """
    before = _stays(await _locked(tx, cluster.id, name))
    revision = await _append(tx, before.id, before.template, RESTART, asker)
    return await _changed(tx, before, {"revision": revision}, Kind.DEPLOYMENT_RESTARTED, asker, {"revision": revision})


async def facts(tx: AsyncConnection, deployment: Deployment) -> Facts:
    """What the functions of its wanted template read now."""
    return Facts(deployment.replicas, await admission.addresses(tx, deployment.cluster_id, deployment.reads))


async def save(tx: AsyncConnection, deployment: Deployment) -> None:
    """Write how far the rollout of a deployment is that was locked in this transaction. What is wanted stays."""
    await tx.execute(
        text("""
            UPDATE deployments SET stable = :stable, rollout = CAST(:rollout AS jsonb), message = :message,
                                   wake_at = :wake_at
            WHERE id = :id
        """),
        {
            "id": deployment.id,
            "stable": deployment.stable,
            "rollout": orjson.dumps(deployment.rollout).decode(),
            "message": deployment.message,
            "wake_at": deployment.wake_at,
        },
    )


async def touch(tx: AsyncConnection, ids: Collection[UUID]) -> None:
    """Have these deployments looked at."""
    await tx.execute(
        text("INSERT INTO touches (deployment_id) SELECT unnest(CAST(:ids AS uuid[]))"), {"ids": list(ids)}
    )


async def touch_readers(tx: AsyncConnection, deployment: Deployment) -> None:
    """Have those looked at that read the addresses of this one: these have changed."""
    await tx.execute(
        text("""
            INSERT INTO touches (deployment_id)
            SELECT id FROM deployments WHERE cluster_id = :cluster_id AND document->'reads' ? :name
        """),
        {"cluster_id": deployment.cluster_id, "name": deployment.name},
    )


async def forget(tx: AsyncConnection, id_: UUID) -> None:
    """Remove a deployment that has no replicas any more."""
    await tx.execute(text("DELETE FROM deployments WHERE id = :id"), {"id": id_})


async def _alone(tx: AsyncConnection, cluster_id: UUID) -> None:
    """Nobody else declares deployments of this cluster until the transaction ends: who reads whom is of them all."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('pathfinder.deployments.' || :id, 0))"),
        {"id": str(cluster_id)},
    )


async def _locked(tx: AsyncConnection, cluster_id: UUID, name: str) -> Deployment:
    found = await lock_named(tx, cluster_id, name)
    if found is None:
        raise _absent(name)
    return found


def _stays(deployment: Deployment) -> Deployment:
    if deployment.leaving:
        raise Conflict(f"The deployment {deployment.name!r} is being deleted; wait until it is gone.")
    return deployment


def _require_version(name: str, before: Deployment | None, expected: int | None) -> None:
    now = 0 if before is None else before.version
    if expected is not None and expected != now:
        there = f"is version {now} by now" if now else "is not there"
        raise Conflict(
            f"The deployment {name!r} {there}, not version {expected}. See what changed "
            f"(`pfi describe deployment {name}`), and write yours anew."
        )


def _document(spec: DeploymentSpec, reads: Collection[str]) -> dict[str, Any]:
    """What is kept beside the columns; `reads` are the deployments whose addresses its template reads."""
    kept = spec.model_dump(mode="json", include={"min_available_replicas", "strategy", "autoscaling"})
    return {**kept, "reads": list(reads)}


def _replicas(spec: DeploymentSpec, before: Deployment | None) -> int:
    if before is None or ("replicas" in spec.model_fields_set and spec.autoscaling is None):
        return spec.replicas
    return before.replicas


def _same(before: Deployment, spec: DeploymentSpec, document: Mapping[str, Any], replicas: int) -> bool:
    return (before.labels, before.document, before.replicas) == (spec.labels, document, replicas)


async def _append(tx: AsyncConnection, id_: UUID, template: Mapping[str, Any], cause: str, asker: Asker) -> int:
    """A new revision; the oldest ones are forgotten."""
    await tx.execute(
        text("""
            DELETE FROM revisions AS r WHERE r.deployment_id = :id AND r.revision < (
                SELECT LEAST(
                    d.revision, d.stable,
                    (SELECT max(revision) - :kept FROM revisions WHERE deployment_id = :id),
                    (SELECT min(revision) FROM containers WHERE deployment_id = :id AND status <> 'DELETED'))
                FROM deployments AS d WHERE d.id = :id)
        """),
        {"id": id_, "kept": KEPT_REVISIONS - 2},
    )
    result = await tx.execute(
        text("""
            INSERT INTO revisions (deployment_id, revision, template, cause, actor)
            SELECT :id, COALESCE(max(revision), 0) + 1, CAST(:template AS jsonb), :cause, :actor
            FROM revisions WHERE deployment_id = :id RETURNING revision
        """),
        {
            "id": id_,
            "template": orjson.dumps(template).decode(),
            "cause": cause,
            "actor": asker.actor,
        },
    )
    return int(result.scalar_one())


_JSON = frozenset({"labels", "document", "rollout"})


async def _write(tx: AsyncConnection, id_: UUID, changes: Mapping[str, Any]) -> None:
    """Change what is wanted: the columns of `changes`, which are ours."""
    sets = [f"{name} = CAST(:{name} AS jsonb)" if name in _JSON else f"{name} = :{name}" for name in changes]
    given = {name: orjson.dumps(one).decode() if name in _JSON else one for name, one in changes.items()}
    await tx.execute(
        text(f"UPDATE deployments SET {', '.join(sets)}, version = version + 1, changed_at = now() WHERE id = :id"),  # noqa: S608 - only names of columns are put into the text
        {**given, "id": id_},
    )


async def _changed(
    tx: AsyncConnection,
    before: Deployment,
    changes: Mapping[str, Any],
    kind: Kind,
    asker: Asker,
    body: Mapping[str, Any] | None = None,
) -> Deployment:
    await _write(tx, before.id, changes)
    (after,) = (await lock(tx, [before.id])).values()
    await _tell(tx, after, kind, asker, {"version": after.version, **(body or {})})
    return after


async def _tell(tx: AsyncConnection, deployment: Deployment, kind: Kind, asker: Asker, body: Mapping[str, Any]) -> None:
    """Record it, and have the deployment looked at."""
    await touch(tx, [deployment.id])
    fact = Fact(
        kind=kind,
        cluster_id=deployment.cluster_id,
        subject_type="deployment",
        subject_id=deployment.id,
        subject_name=deployment.name,
        actor=asker.actor,
        trace_id=asker.trace_id,
        body=dict(body),
    )
    await record(tx, [fact])

"""Clusters."""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import commands, views
from pathfinder.domain.errors import AlreadyExists, FieldProblem, Invalid, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.domain.specs import ClusterPatch
from pathfinder.store import nodes, quotas
from pathfinder.store.journal import Fact, record


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster."""

    id: UUID
    name: str
    policy: str
    default_image: str
    heartbeat_seconds: float | None
    lease_seconds: float | None
    quota: dict[str, int] | None


#: A lease must outlast a heartbeat that is lost and one that is late.
LEAST_HEARTBEATS = 2


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often nodes say that they live, and how long that counts, in seconds."""

    heartbeat_seconds: float
    lease_seconds: float

    def check(self) -> None:
        """Raise Invalid where one lost heartbeat would end a lease."""
        if self.lease_seconds < LEAST_HEARTBEATS * self.heartbeat_seconds:
            words = (
                f"A lease of {self.lease_seconds:g} s is shorter than {LEAST_HEARTBEATS} heartbeats of "
                f"{self.heartbeat_seconds:g} s: nodes would be DOWN for one lost message. Make the lease longer."
            )
            raise Invalid(words, [FieldProblem("lease_seconds", "shorter than two heartbeats")])


_FIND = text("""
    SELECT id, name, policy, default_image, heartbeat_seconds, lease_seconds, quota FROM clusters WHERE name = :name
""")

_VIEW = """
    SELECT k.id, k.name, k.policy, k.default_image, k.heartbeat_seconds, k.lease_seconds, k.quota, k.overcommit,
           k.created_at,
           (SELECT count(*) FROM nodes AS n WHERE n.cluster_id = k.id) AS nodes,
           (SELECT count(*) FROM containers AS c WHERE c.cluster_id = k.id AND c.status <> 'DELETED') AS containers
    FROM clusters AS k
"""


async def find(tx: AsyncConnection, name: str) -> Cluster:
    """The cluster of that name. Raises NotFound."""
    row = (await tx.execute(_FIND, {"name": name})).one_or_none()
    if row is None:
        raise NotFound("cluster", name, "`pfi get clusters` lists those there are.")
    return Cluster(*row)


async def ids(tx: AsyncConnection, names: Collection[str] | None) -> list[UUID] | None:
    """The clusters of these names; None is all. Raises NotFound."""
    return None if names is None else [(await find(tx, name)).id for name in dict.fromkeys(names)]


async def all_ids(tx: AsyncConnection) -> list[UUID]:
    """Every cluster."""
    return list((await tx.execute(text("SELECT id FROM clusters ORDER BY id"))).scalars())


async def page(
    tx: AsyncConnection, after: str, limit: int, within: Collection[str] | None = None
) -> list[views.Cluster]:
    """Clusters by name, those after `after`; only those of these names, if some are given."""
    among = "" if within is None else " AND k.name = ANY(:within)"
    rows = await tx.execute(
        text(f"{_VIEW} WHERE k.name > :after{among} ORDER BY k.name LIMIT :limit"),
        {"after": after, "limit": limit, **({} if within is None else {"within": list(within)})},
    )
    return [views.Cluster.model_validate(dict(row)) for row in rows.mappings()]


async def view(tx: AsyncConnection, name: str) -> views.Cluster:
    """One cluster as clients see it. Raises NotFound."""
    row = (await tx.execute(text(f"{_VIEW} WHERE k.name = :name"), {"name": name})).mappings().one_or_none()
    if row is None:
        raise NotFound("cluster", name, "`pfi get clusters` lists those there are.")
    used = await quotas.used(tx, row["id"]) if row["quota"] else None
    return views.Cluster.model_validate({**row, "used": used})


# A key is kept in the cluster it made: there is none yet that it could be looked up in.
_KEEP_KEY = text("INSERT INTO idempotency_keys (cluster_id, key, request_sha256) VALUES (:id, :key, :digest)")
_MADE_BY = text("""
    SELECT EXISTS (
        SELECT FROM idempotency_keys AS i JOIN clusters AS k ON k.id = i.cluster_id
        WHERE k.name = :name AND i.key = :key AND i.request_sha256 = :digest)
""")


async def _made_by(tx: AsyncConnection, name: str, key: str, digest: str) -> bool:
    given = {"name": name, "key": key, "digest": digest}
    return bool((await tx.execute(_MADE_BY, given)).scalar_one())


async def create(
    tx: AsyncConnection,
    name: str,
    policy: str,
    default_image: str,
    actor: str,
    trace_id: str,
    key: str | None = None,
) -> None:
    """A new cluster. With an idempotency `key`, the same request is accepted once. Raises AlreadyExists."""
    cluster_id = uuid7()
    result = await tx.execute(
        text("""
            INSERT INTO clusters (id, name, policy, default_image) VALUES (:id, :name, :policy, :default_image)
            ON CONFLICT (name) DO NOTHING RETURNING id
        """),
        {"id": cluster_id, "name": name, "policy": policy, "default_image": default_image},
    )
    digest = sha256(orjson.dumps([name, policy, default_image])).hexdigest()
    if result.scalar_one_or_none() is None:
        if key is not None and await _made_by(tx, name, key, digest):
            return
        raise AlreadyExists(f"There is a cluster named {name!r} already; choose another name.")
    if key is not None:
        await tx.execute(_KEEP_KEY, {"id": cluster_id, "key": key, "digest": digest})
    body = {"policy": policy, "default_image": default_image}
    await record(tx, [_fact(Kind.CLUSTER_CREATED, cluster_id, name, actor, trace_id, body)])


_CHANGE = text("""
    UPDATE clusters SET policy = COALESCE(:policy, policy), default_image = COALESCE(:default_image, default_image),
                        heartbeat_seconds = COALESCE(:heartbeat_seconds, heartbeat_seconds),
                        lease_seconds = COALESCE(:lease_seconds, lease_seconds),
                        quota = NULLIF(jsonb_strip_nulls(COALESCE(quota, '{}') || CAST(:quota AS jsonb)), '{}'),
                        overcommit = jsonb_strip_nulls(overcommit || CAST(:overcommit AS jsonb))
    WHERE name = :name RETURNING id, policy, default_image, heartbeat_seconds, lease_seconds
""")


async def change(tx: AsyncConnection, name: str, patch: ClusterPatch, usual: Rhythm, actor: str, trace_id: str) -> None:
    """Change what is given. `usual` holds where a cluster has no rhythm of its own. Raises NotFound, Invalid."""
    overcommit = patch.overcommit.model_dump(include=patch.overcommit.model_fields_set)
    merged = {"quota": patch.quota.amounts(), "overcommit": overcommit}
    given = {**patch.model_dump(), **{part: orjson.dumps(value).decode() for part, value in merged.items()}}
    row = (await tx.execute(_CHANGE, {"name": name, **given})).one_or_none()
    if row is None:
        raise NotFound("cluster", name, "`pfi get clusters` lists those there are.")
    rhythm = Rhythm(
        row.heartbeat_seconds or usual.heartbeat_seconds,
        row.lease_seconds or usual.lease_seconds,
    )
    rhythm.check()
    told = {}
    if patch.heartbeat_seconds is not None or patch.lease_seconds is not None:
        members = await nodes.of_cluster(tx, row.id)
        told = {node.hostname: [commands.rejoin(str(row.id), str(node.id))] for node in members}
    if overcommit or patch.policy is not None:
        await nodes.touch(tx, [row.id])
    plain = patch.model_dump(exclude_none=True, exclude=set(merged))
    body = {**plain, **{part: value for part, value in merged.items() if value}}
    body |= {"policy": row.policy, "default_image": row.default_image}
    await record(tx, [_fact(Kind.CLUSTER_UPDATED, row.id, name, actor, trace_id, body)], told)


def _fact(kind: Kind, cluster_id: UUID, name: str, actor: str, trace_id: str, body: dict[str, Any]) -> Fact:
    return Fact(kind, cluster_id, "cluster", cluster_id, name, actor, trace_id=trace_id, body=body)

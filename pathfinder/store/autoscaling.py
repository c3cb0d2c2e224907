"""What scaling looks at and what it keeps: deployments that scale themselves, their replicas, decisions and history."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.forecasting import SLOT_SECONDS
from pathfinder.domain.ids import uuid7
from pathfinder.store import bulk
from pathfinder.store.deployment_listing import WELL

#: Names of what is recorded of each deployment's busiest replica; no metric can be called so.
REPLICA_CPU, REPLICA_MEMORY = "replica:cpu_millicores", "replica:memory_bytes"


@dataclass(frozen=True, slots=True)
class Scaled:
    """A deployment that scales itself, as it is wanted."""

    id: UUID
    cluster_id: UUID
    cluster: str
    name: str
    version: int
    replicas: int
    min_available_replicas: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that stays: the node it is on, what it asked for (0: nothing), and whether it serves."""

    id: str
    deployment_id: UUID
    node_id: str | None
    cpu_millicores: int
    memory_bytes: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision of the past."""

    at: datetime
    before: int
    after: int
    document: dict[str, Any]


async def scaled(tx: AsyncConnection) -> list[Scaled]:
    """Every deployment that scales itself and stays."""
    rows = await tx.execute(
        text("""
            SELECT d.id, k.id AS cluster_id, k.name AS cluster, d.name, d.version, d.replicas,
                   COALESCE(CAST(d.document ->> 'min_available_replicas' AS int), 0), d.document -> 'autoscaling'
            FROM deployments AS d JOIN clusters AS k ON k.id = d.cluster_id
            WHERE jsonb_typeof(d.document -> 'autoscaling') = 'object' AND NOT d.leaving
            ORDER BY d.id
        """)
    )
    return [Scaled(*row) for row in rows]


async def replicas(tx: AsyncConnection, ids: Collection[UUID] | None) -> list[Replica]:
    """The replicas of these deployments, or of all, but for those that leave."""
    rows = await tx.execute(
        text(f"""
            SELECT CAST(c.id AS text), c.deployment_id, CAST(c.node_id AS text), c.cpu_millicores, c.memory_bytes,
                   {WELL} AND c.node_id IS NOT NULL
            FROM containers AS c
            WHERE {"c.deployment_id = ANY(:ids)" if ids is not None else "c.deployment_id IS NOT NULL"}
                  AND c.status NOT IN ('DELETED', 'SCHEDULE_DELETION')
        """),  # noqa: S608 - only constants are put into the text
        {"ids": list(ids)} if ids is not None else {},
    )
    return [Replica(*row) for row in rows]


async def loads(tx: AsyncConnection, node_ids: Collection[str]) -> dict[str, float]:
    """The load average over a minute for each core of these nodes, where it is known."""
    rows = await tx.execute(
        text("""
            SELECT CAST(n.id AS text), CAST(l.usage ->> 'load_1m' AS float8) * 1000 / NULLIF(n.cpu_millicores, 0)
            FROM nodes AS n JOIN leases AS l ON l.node_id = n.id
            WHERE n.id = ANY(CAST(:ids AS uuid[])) AND l.until > now()
        """),
        {"ids": list(node_ids)},
    )
    return {row[0]: float(row[1]) for row in rows if row[1] is not None}


async def changes(tx: AsyncConnection, id_: UUID, seconds: float) -> list[tuple[float, int]]:
    """What was changed within the last seconds: (how many seconds ago, by how many replicas)."""
    rows = await tx.execute(
        text("""
            SELECT extract(epoch FROM now() - at), after - before FROM scalings
            WHERE deployment_id = :id AND at > now() - make_interval(secs => :seconds) AND after <> before ORDER BY at
        """),
        {"id": id_, "seconds": seconds},
    )
    return [(float(row[0]), row[1]) for row in rows]


async def keep(tx: AsyncConnection, id_: UUID, before: int, after: int, document: Mapping[str, Any]) -> None:
    """Keep a decision."""
    await tx.execute(
        text("""
            INSERT INTO scalings (id, deployment_id, before, after, document)
            SELECT :id, d.id, :before, :after, CAST(:document AS jsonb) FROM deployments AS d WHERE d.id = :deployment
        """),
        {
            "id": uuid7(),
            "deployment": id_,
            "before": before,
            "after": after,
            "document": orjson.dumps(document).decode(),
        },
    )


async def kept(tx: AsyncConnection, id_: UUID, limit: int) -> list[Kept]:
    """The newest decisions, the last first."""
    rows = await tx.execute(
        text("""
            SELECT at, before, after, document FROM scalings WHERE deployment_id = :id ORDER BY at DESC, id DESC
            LIMIT :limit
        """),
        {"id": id_, "limit": limit},
    )
    return [Kept(*row) for row in rows]


_MEASURED: bulk.Columns = {"deployment_id": "uuid", "metric": "text", "at": "double precision", "value": "float8"}

_MEASURE = text(f"""
    INSERT INTO measurements (deployment_id, metric, at, value)
    SELECT m.deployment_id, m.metric, to_timestamp(floor(m.at / {SLOT_SECONDS}) * {SLOT_SECONDS}), m.value
    FROM {bulk.rows(_MEASURED, "m")} JOIN deployments AS d ON d.id = m.deployment_id
    ON CONFLICT (deployment_id, metric, at) DO UPDATE SET value = EXCLUDED.value
    WHERE measurements.value < EXCLUDED.value
""")  # noqa: S608 - only constants are put into the text


async def measure(tx: AsyncConnection, found: Sequence[tuple[UUID, str, float, float]]) -> None:
    """Record (deployment, metric, seconds since 1970, value): of each slot the greatest is kept. No slot twice."""
    items = [dict(zip(_MEASURED, one, strict=True)) for one in found]
    await tx.execute(_MEASURE, bulk.parameters(_MEASURED, items))


async def history(tx: AsyncConnection, id_: UUID, metric: str, days: float) -> list[tuple[float, float]]:
    """What was recorded within the last days: (seconds since 1970, value)."""
    rows = await tx.execute(
        text("""
            SELECT extract(epoch FROM at), value FROM measurements
            WHERE deployment_id = :id AND metric = :metric AND at > now() - make_interval(secs => :days * 86400)
            ORDER BY at
        """),
        {"id": id_, "metric": metric, "days": days},
    )
    return [(float(row[0]), row[1]) for row in rows]


@dataclass(frozen=True, slots=True)
class Latest:
    """What was recorded of a metric last."""

    metric: str
    at: datetime
    value: float


async def latest(tx: AsyncConnection, id_: UUID, metrics: Collection[str]) -> list[Latest]:
    """The newest record of each of these metrics that has one."""
    rows = await tx.execute(
        text("""
            SELECT m.metric, n.at, n.value FROM unnest(CAST(:metrics AS text[])) AS m(metric)
            CROSS JOIN LATERAL (
                SELECT at, value FROM measurements WHERE deployment_id = :id AND metric = m.metric
                ORDER BY at DESC LIMIT 1
            ) AS n
        """),
        {"id": id_, "metrics": list(metrics)},
    )
    return [Latest(*row) for row in rows]


async def asked(tx: AsyncConnection, id_: UUID) -> tuple[int, int]:
    """The most that any of its replicas asks for: millicores, and bytes of memory; 0 for nothing."""
    rows = await tx.execute(
        text("""
            SELECT COALESCE(max(cpu_millicores), 0), COALESCE(max(memory_bytes), 0) FROM containers
            WHERE deployment_id = :id AND status NOT IN ('DELETED', 'SCHEDULE_DELETION')
        """),
        {"id": id_},
    )
    cpu, memory = rows.one()
    return int(cpu), int(memory)

"""Deployments as clients see them: one or a page, ordered by name, and their revisions."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import deployment_views as views
from pathfinder.domain.deployed import Deployment, declared
from pathfinder.domain.errors import NotFound

# Well: fit to serve. One with bootstrappers is once they were carried out, one with checks once they say so.
WELL = """
    (c.status = 'BOOTSTRAPPED' OR c.status = 'PROVISIONED' AND NOT c.spec ? 'bootstrappers')
    AND (c.health = 'HEALTHY' OR c.health = 'UNKNOWN' AND NOT c.spec ? 'checks')
"""
_VIEW = f"""
    SELECT d.*, k.name AS cluster, r.template, n.existing, n.available, n.updated
    FROM deployments AS d
    JOIN clusters AS k ON k.id = d.cluster_id
    JOIN revisions AS r ON r.deployment_id = d.id AND r.revision = d.revision
    CROSS JOIN LATERAL (
        SELECT count(*) AS existing, count(*) FILTER (WHERE {WELL}) AS available,
               count(*) FILTER (WHERE c.revision = d.revision) AS updated
        FROM containers AS c WHERE c.deployment_id = d.id AND c.status <> 'DELETED'
    ) AS n
    WHERE d.cluster_id = :cluster_id
"""  # noqa: S608 - only constants are put into the text


async def page(
    tx: AsyncConnection,
    cluster_id: UUID,
    *,
    prefix: str = "",
    labels: Mapping[str, str] | None = None,
    after: str = "",
    limit: int = 200,
) -> list[views.Deployment]:
    """Deployments of a cluster by name, those after `after`; only those with these labels."""
    rows = await tx.execute(
        text(f"""
            {_VIEW} AND d.name > :after AND starts_with(d.name, :prefix) AND d.labels @> CAST(:labels AS jsonb)
            ORDER BY d.name LIMIT :limit
        """),
        {
            "cluster_id": cluster_id,
            "prefix": prefix,
            "labels": orjson.dumps(labels or {}).decode(),
            "after": after,
            "limit": limit,
        },
    )
    return [_view(row) for row in rows]


async def one(tx: AsyncConnection, cluster_id: UUID, name: str) -> views.Deployment:
    """The deployment of that name. Raises NotFound."""
    found = await named(tx, cluster_id, [name])
    if not found:
        raise NotFound("deployment", name, "`pfi get deployments` lists those there are.")
    return found[0]


async def named(tx: AsyncConnection, cluster_id: UUID, names: Collection[str]) -> list[views.Deployment]:
    """Those of these names that there are."""
    rows = await tx.execute(text(f"{_VIEW} AND d.name = ANY(:names)"), {"cluster_id": cluster_id, "names": list(names)})
    return [_view(row) for row in rows]


def revisions(deployment: Deployment) -> list[views.Revision]:
    """Its revisions that are kept, the latest first."""
    return [
        views.Revision(
            revision=one.revision,
            wanted=one.revision == deployment.revision,
            stable=one.revision == deployment.stable,
            cause=one.cause,
            actor=one.actor,
            created_at=one.created_at,
            template=one.template,
        )
        for _, one in sorted(deployment.revisions.items(), reverse=True)
    ]


def _view(row: Any) -> views.Deployment:
    return views.Deployment(
        id=row.id,
        name=row.name,
        cluster=row.cluster,
        labels=row.labels,
        replicas=row.replicas,
        counts=views.Counts(existing=row.existing, available=row.available, updated=row.updated),
        image=row.template.get("image"),
        version=row.version,
        revision=row.revision,
        stable=row.stable,
        paused=row.paused,
        leaving=row.leaving,
        rollout=row.rollout,
        message=row.message,
        document=declared(row.name, row.labels, row.replicas, row.document, row.template),
        created_at=row.created_at,
        changed_at=row.changed_at,
    )

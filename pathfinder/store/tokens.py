"""Bearer tokens: random, opaque, and kept only as their SHA-256."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.access import both, least
from pathfinder.domain.ids import uuid7
from pathfinder.store.sessions import digest
from pathfinder.store.users import SCOPE, scope


@dataclass(frozen=True, slots=True)
class Token:
    """Who a bearer is. A node's or a join token is of `cluster_id`; others are for `clusters`, None: all. One of a
    `user` may no more than they.
    """

    id: UUID
    name: str
    role: str
    cluster_id: UUID | None
    node_id: UUID | None
    clusters: frozenset[str] | None
    user: str | None
    expires_at: datetime | None


_FIND = text(f"""
    SELECT t.id, t.name, t.role, t.cluster_id, t.node_id, t.expires_at, {SCOPE.format("t.clusters")} AS clusters,
           u.name AS user, u.role AS user_role, {SCOPE.format("u.clusters")} AS user_clusters
    FROM tokens AS t LEFT JOIN users AS u ON u.id = t.user_id
    WHERE t.sha256 = :sha256 AND (t.expires_at IS NULL OR t.expires_at > now())
""")  # noqa: S608 - the text is put together from the constant


async def find(tx: AsyncConnection, secret: str) -> Token | None:
    """The token whose secret this is, unless it has expired."""
    row = (await tx.execute(_FIND, {"sha256": digest(secret)})).one_or_none()
    if row is None:
        return None
    role = row.role if row.user is None else least(row.role, row.user_role)
    clusters = both(scope(row.clusters), scope(row.user_clusters))
    return Token(row.id, row.name, role, row.cluster_id, row.node_id, clusters, row.user, row.expires_at)


_CREATE = text("""
    INSERT INTO tokens (id, name, sha256, role, cluster_id, node_id, user_id, clusters)
    VALUES (:id, :name, :sha256, :role, :cluster_id, :node_id, :user_id, CAST(:clusters AS uuid[]))
""")


async def create(
    tx: AsyncConnection,
    name: str,
    role: str,
    cluster_id: UUID | None = None,
    node_id: UUID | None = None,
    *,
    user_id: UUID | None = None,
    clusters: Sequence[UUID] | None = None,
) -> str:
    """Make a token and return its secret, which is never shown again."""
    secret = f"pf_{secrets.token_urlsafe(32)}"
    given = {"name": name, "role": role, "cluster_id": cluster_id, "node_id": node_id, "user_id": user_id}
    await tx.execute(_CREATE, {**given, "id": uuid7(), "sha256": digest(secret), "clusters": clusters})
    return secret


async def revoke_node(tx: AsyncConnection, node_id: UUID, used: UUID | None) -> None:
    """Void a node's credentials: those it had before the one it used now, or all if it used none of them.

    The one it used stays until a later one is: the answer that has the next one may be lost. So do later ones, which
    another registration with the same credential may have been answered with.
    """
    await tx.execute(
        text("""
            DELETE FROM tokens WHERE node_id = :node_id AND (
                CAST(:used AS uuid) IS NULL OR created_at < (SELECT created_at FROM tokens WHERE id = :used)
            )
        """),
        {"node_id": node_id, "used": used},
    )

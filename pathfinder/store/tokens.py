"""Bearer tokens: random, opaque, and kept only as their SHA-256."""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.ids import uuid7


@dataclass(frozen=True, slots=True)
class Token:
    """Who a bearer is. `role` is operator, join or node."""

    id: UUID
    name: str
    role: str
    cluster_id: UUID | None
    node_id: UUID | None


_FIND = text("""
    SELECT id, name, role, cluster_id, node_id FROM tokens
    WHERE sha256 = :sha256 AND (expires_at IS NULL OR expires_at > now())
""")


async def find(tx: AsyncConnection, secret: str) -> Token | None:
    """The token whose secret this is, unless it has expired."""
    row = (await tx.execute(_FIND, {"sha256": _digest(secret)})).one_or_none()
    return None if row is None else Token(*row)


async def create(
    tx: AsyncConnection, name: str, role: str, cluster_id: UUID | None = None, node_id: UUID | None = None
) -> str:
    """Make a token and return its secret, which is never shown again."""
    secret = f"pf_{secrets.token_urlsafe(32)}"
    await tx.execute(
        text("""
            INSERT INTO tokens (id, name, sha256, role, cluster_id, node_id)
            VALUES (:id, :name, :sha256, :role, :cluster_id, :node_id)
        """),
        {
            "id": uuid7(),
            "name": name,
            "sha256": _digest(secret),
            "role": role,
            "cluster_id": cluster_id,
            "node_id": node_id,
        },
    )
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


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()

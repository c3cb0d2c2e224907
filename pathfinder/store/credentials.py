"""Credentials of nodes: tokens of the role `node`. A node has one, or two while the next takes the place of the former.

Neither ends before a later one was used: whatever was lost on the way to the node, it has one that is good.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import Conflict
from pathfinder.domain.ids import uuid7
from pathfinder.store.sessions import digest


@dataclass(frozen=True, slots=True)
class Holder:
    """The node whose credential was shown."""

    node_id: UUID
    hostname: str


_HOLDER = text("""
    SELECT n.id, n.hostname FROM tokens AS t JOIN nodes AS n ON n.id = t.node_id
    WHERE t.sha256 = :sha256 AND t.role = 'node' AND (t.expires_at IS NULL OR t.expires_at > now())
""")


async def holder(tx: AsyncConnection, secret: str) -> Holder | None:
    """The node whose credential this is: its present one, or the one before, until the present one was used."""
    row = (await tx.execute(_HOLDER, {"sha256": digest(secret)})).one_or_none()
    return None if row is None else Holder(*row)


_PROPOSE = text("""
    INSERT INTO tokens (id, name, sha256, role, cluster_id, node_id)
    SELECT :id, hostname, :sha256, 'node', cluster_id, id FROM nodes WHERE id = :node_id ON CONFLICT (sha256) DO NOTHING
""")
_PROPOSED = text("SELECT 1 FROM tokens WHERE sha256 = :sha256 AND node_id = :node_id")


async def propose(tx: AsyncConnection, node_id: UUID, used: UUID, sha256: str) -> None:
    """A node that used one of its credentials wants another, too; again does nothing more. Those before the one it used
    end. Raises Conflict where the other one is somebody else's.
    """
    given = {"id": uuid7(), "node_id": node_id, "sha256": sha256}
    await revoke(tx, node_id, used)
    await tx.execute(_PROPOSE, given)
    if (await tx.execute(_PROPOSED, given)).first() is None:
        raise Conflict("This credential cannot be had; make another one.")


async def revoke(tx: AsyncConnection, node_id: UUID, used: UUID | None) -> None:
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

"""Users: who may log in, and what for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.access import Role
from pathfinder.domain.errors import AlreadyExists
from pathfinder.domain.ids import uuid7


@dataclass(frozen=True, slots=True)
class User:
    """A user, with the hash of the password."""

    id: UUID
    name: str
    password: str
    role: str
    clusters: frozenset[str] | None


#: The names of `clusters`, an array of ids; None stays None. One that is gone is left out.
SCOPE = """
    CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT k.name FROM clusters AS k WHERE k.id = ANY({0}) ORDER BY k.name) END
"""

_FIND = text(f"SELECT id, name, password, role, {SCOPE.format('clusters')} AS clusters FROM users WHERE name = :name")  # noqa: S608


async def find(tx: AsyncConnection, name: str) -> User | None:
    """The user of that name."""
    row = (await tx.execute(_FIND, {"name": name})).one_or_none()
    return None if row is None else User(row.id, row.name, row.password, row.role, scope(row.clusters))


async def create(
    tx: AsyncConnection, name: str, password: str, role: Role, clusters: Sequence[UUID] | None = None
) -> None:
    """A new user; `password` is a hash. Raises AlreadyExists."""
    result = await tx.execute(
        text("""
            INSERT INTO users (id, name, password, role, clusters)
            VALUES (:id, :name, :password, :role, CAST(:clusters AS uuid[])) ON CONFLICT (name) DO NOTHING
        """),
        {"id": uuid7(), "name": name, "password": password, "role": role, "clusters": clusters},
    )
    if not result.rowcount:
        raise AlreadyExists(f"There is a user named {name!r} already; choose another name.")


_END_SESSIONS = text("DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM CAST(:kept AS uuid)")


async def set_password(tx: AsyncConnection, name: str, password: str, kept: UUID | None = None) -> bool:
    """Give a user another password (a hash), and end what was begun with the former one: every session but `kept`,
    every device and token. False if there is no such user.
    """
    result = await tx.execute(
        text("UPDATE users SET password = :password WHERE name = :name RETURNING id"),
        {"name": name, "password": password},
    )
    user_id = result.scalar_one_or_none()
    await tx.execute(_END_SESSIONS, {"user_id": user_id, "kept": kept})
    await tx.execute(text("DELETE FROM devices WHERE user_id = :user_id"), {"user_id": user_id})
    await tx.execute(text("DELETE FROM tokens WHERE user_id = :user_id"), {"user_id": user_id})
    return user_id is not None


def scope(names: Sequence[str] | None) -> frozenset[str] | None:
    """The clusters somebody is bound to; None: all, those to come too."""
    return None if names is None else frozenset(names)

"""Users: who may log in, and what for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import identity
from pathfinder.domain.access import Role
from pathfinder.domain.errors import AlreadyExists, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.store.audit import tell


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

_NAMES = SCOPE.format("u.clusters")
_FIND = text(f"SELECT id, name, password, role, {_NAMES} AS clusters FROM users AS u WHERE name = :name")  # noqa: S608
_VIEW = f"SELECT name, role, {_NAMES} AS clusters, created_at FROM users AS u"  # noqa: S608 - as above


async def find(tx: AsyncConnection, name: str) -> User | None:
    """The user of that name."""
    row = (await tx.execute(_FIND, {"name": name})).one_or_none()
    return None if row is None else User(row.id, row.name, row.password, row.role, scope(row.clusters))


async def view(tx: AsyncConnection, name: str) -> identity.User:
    """A user as clients see it, who is there."""
    row = (await tx.execute(text(f"{_VIEW} WHERE name = :name"), {"name": name})).mappings().one()
    return identity.User.model_validate(dict(row))


async def page(tx: AsyncConnection, after: str, limit: int) -> list[identity.User]:
    """Users by name, those after `after`."""
    rows = await tx.execute(
        text(f"{_VIEW} WHERE name > :after ORDER BY name LIMIT :limit"), {"after": after, "limit": limit}
    )
    return [identity.User.model_validate(dict(row)) for row in rows.mappings()]


_CREATE = text("""
    INSERT INTO users (id, name, password, role, clusters)
    VALUES (:id, :name, :password, :role, CAST(:clusters AS uuid[])) ON CONFLICT (name) DO NOTHING
""")


async def create(
    tx: AsyncConnection,
    name: str,
    password: str,
    role: Role,
    clusters: Sequence[UUID] | None = None,
    *,
    actor: str,
    trace_id: str = "",
) -> None:
    """A new user; `password` is a hash. Raises AlreadyExists."""
    id_ = uuid7()
    given = {"id": id_, "name": name, "password": password, "role": role, "clusters": clusters}
    if not (await tx.execute(_CREATE, given)).rowcount:
        raise AlreadyExists(f"There is a user named {name!r} already; choose another name.")
    body = {"role": role, "clusters": None if clusters is None else [str(one) for one in clusters]}
    await tell(tx, Kind.USER_CREATED, id_, name, actor, trace_id, body)


_END_SESSIONS = text("DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM CAST(:kept AS uuid)")


async def set_password(
    tx: AsyncConnection, name: str, password: str, kept: UUID | None = None, *, actor: str, trace_id: str = ""
) -> None:
    """Give a user another password (a hash), and end what was begun with the former one: every session but `kept`,
    every device and token. Raises NotFound.
    """
    result = await tx.execute(
        text("UPDATE users SET password = :password WHERE name = :name RETURNING id"),
        {"name": name, "password": password},
    )
    if (user_id := result.scalar_one_or_none()) is None:
        raise NotFound("user", name, "`pfi user list` lists those there are.")
    await tx.execute(_END_SESSIONS, {"user_id": user_id, "kept": kept})
    await tx.execute(text("DELETE FROM devices WHERE user_id = :user_id"), {"user_id": user_id})
    await tx.execute(text("DELETE FROM tokens WHERE user_id = :user_id"), {"user_id": user_id})
    await tell(tx, Kind.USER_PASSWORD_SET, user_id, name, actor, trace_id)


async def delete(tx: AsyncConnection, name: str, actor: str, trace_id: str) -> None:
    """Forget a user, with all sessions, devices and tokens. Raises NotFound."""
    result = await tx.execute(text("DELETE FROM users WHERE name = :name RETURNING id"), {"name": name})
    if (user_id := result.scalar_one_or_none()) is None:
        raise NotFound("user", name, "`pfi user list` lists those there are.")
    await tell(tx, Kind.USER_DELETED, user_id, name, actor, trace_id)


def scope(names: Sequence[str] | None) -> frozenset[str] | None:
    """The clusters somebody is bound to; None: all, those to come too."""
    return None if names is None else frozenset(names)

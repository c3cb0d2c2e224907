"""Users: who may log in, and what for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import identity
from pathfinder.domain.access import Role
from pathfinder.domain.errors import AlreadyExists, Conflict, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.store.audit import tell


@dataclass(frozen=True, slots=True)
class User:
    """A user, with the hash of the password; None: they have none, for they sign in elsewhere."""

    id: UUID
    name: str
    password: str | None
    role: str
    clusters: frozenset[str] | None


#: The names of `clusters`, an array of ids; None stays None. One that is gone is left out.
SCOPE = """
    CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT k.name FROM clusters AS k WHERE k.id = ANY({0}) ORDER BY k.name) END
"""

_NAMES = SCOPE.format("u.clusters")
_HASH = "CASE WHEN issuer IS NULL THEN password END AS password"
_FIND = text(f"SELECT id, name, {_HASH}, role, {_NAMES} AS clusters FROM users AS u WHERE name = :name")  # noqa: S608
_VIEW = f"SELECT name, role, {_NAMES} AS clusters, issuer IS NOT NULL AS external, created_at FROM users AS u"  # noqa: S608 - as above


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
    every device and token. Raises NotFound, and Conflict for who has none.
    """
    result = await tx.execute(
        text("""
            UPDATE users SET password = CASE WHEN issuer IS NULL THEN :password ELSE password END
            WHERE name = :name RETURNING id, issuer
        """),
        {"name": name, "password": password},
    )
    if (row := result.one_or_none()) is None:
        raise NotFound("user", name, "`pfi user list` lists those there are.")
    user_id, issuer = row
    if issuer is not None:
        raise Conflict(f"{name!r} signs in at {issuer} and has no password here.")
    await _end(tx, user_id, kept)
    await tell(tx, Kind.USER_PASSWORD_SET, user_id, name, actor, trace_id)


async def _end(tx: AsyncConnection, user_id: UUID, kept: UUID | None = None) -> None:
    await tx.execute(_END_SESSIONS, {"user_id": user_id, "kept": kept})
    await tx.execute(text("DELETE FROM devices WHERE user_id = :user_id"), {"user_id": user_id})
    await tx.execute(text("DELETE FROM tokens WHERE user_id = :user_id"), {"user_id": user_id})


_VOUCHED = text("""
    SELECT id, name, role, clusters FROM users WHERE issuer = :issuer AND subject = :subject FOR UPDATE
""")
# "!" is the hash of no password.
_FIRST = text("""
    INSERT INTO users (id, name, password, role, clusters, issuer, subject)
    VALUES (:id, :name, '!', :role, CAST(:clusters AS uuid[]), :issuer, :subject) ON CONFLICT DO NOTHING
""")
_CHANGE = text("UPDATE users SET role = :role, clusters = CAST(:clusters AS uuid[]) WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody whom an identity provider vouches for: what it knows them by, and what they are to be called here."""

    issuer: str
    subject: str
    name: str


async def vouched(
    tx: AsyncConnection, who: Vouched, role: Role, clusters: Sequence[UUID] | None, trace_id: str
) -> tuple[UUID, str]:
    """The id and name of that user, new or known, who from now on has this role. A known one keeps the name.

    Raises AlreadyExists where the name of a new one is somebody else's.
    """
    key = {"issuer": who.issuer, "subject": who.subject}
    given = {**key, "id": uuid7(), "name": who.name, "role": role, "clusters": clusters}
    made = bool((await tx.execute(_FIRST, given)).rowcount)
    row = (await tx.execute(_VOUCHED, key)).one_or_none()
    if row is None:
        raise AlreadyExists(
            f"There is another user named {who.name!r} here already. An admin can delete that one; or the identity "
            "provider can call you by another name."
        )
    body = {"role": role, "clusters": None if clusters is None else [str(one) for one in clusters]}
    if made:
        await tell(tx, Kind.USER_CREATED, row.id, row.name, f"user:{row.name}", trace_id, body)
    elif (row.role, row.clusters) != (role, clusters):
        await tx.execute(_CHANGE, {"id": row.id, "role": role, "clusters": clusters})
        await tell(tx, Kind.USER_UPDATED, row.id, row.name, f"user:{row.name}", trace_id, body)
    return row.id, row.name


async def bar(tx: AsyncConnection, issuer: str, subject: str) -> None:
    """End whatever somebody began here whom the provider knows, and who may nothing any more."""
    row = (await tx.execute(_VOUCHED, {"issuer": issuer, "subject": subject})).one_or_none()
    if row is not None:
        await _end(tx, row.id)


async def delete(tx: AsyncConnection, name: str, actor: str, trace_id: str) -> None:
    """Forget a user, with all sessions, devices and tokens. Raises NotFound."""
    result = await tx.execute(text("DELETE FROM users WHERE name = :name RETURNING id"), {"name": name})
    if (user_id := result.scalar_one_or_none()) is None:
        raise NotFound("user", name, "`pfi user list` lists those there are.")
    await tell(tx, Kind.USER_DELETED, user_id, name, actor, trace_id)


def scope(names: Sequence[str] | None) -> frozenset[str] | None:
    """The clusters somebody is bound to; None: all, those to come too."""
    return None if names is None else frozenset(names)

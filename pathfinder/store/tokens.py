"""Bearer tokens: random, opaque, and kept only as their SHA-256."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import identity
from pathfinder.domain.access import Role, both, covers, least
from pathfinder.domain.errors import AlreadyExists, Forbidden, NotFound
from pathfinder.domain.ids import uuid7
from pathfinder.domain.messages import Kind
from pathfinder.store.audit import tell
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
    user_id: UUID | None
    user: str | None
    expires_at: datetime | None


_FIND = text(f"""
    SELECT t.id, t.name, t.role, t.cluster_id, t.node_id, t.expires_at, {SCOPE.format("t.clusters")} AS clusters,
           t.user_id, u.name AS user, u.role AS user_role, {SCOPE.format("u.clusters")} AS user_clusters
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
    return Token(row.id, row.name, role, row.cluster_id, row.node_id, clusters, row.user_id, row.user, row.expires_at)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new token is for. `seconds`: how long it lasts; None: until it is revoked."""

    name: str
    role: str
    cluster_id: UUID | None = None
    node_id: UUID | None = None
    user_id: UUID | None = None
    clusters: Sequence[UUID] | None = None
    seconds: float | None = None
    uses: int | None = None


_CREATE = text("""
    INSERT INTO tokens (id, name, sha256, role, cluster_id, node_id, user_id, clusters, uses, actor, expires_at)
    VALUES (:id, :name, :sha256, :role, :cluster_id, :node_id, :user_id, CAST(:clusters AS uuid[]), :uses, :actor,
            now() + make_interval(secs => CAST(:seconds AS float8)))
    ON CONFLICT (name) WHERE actor IS NOT NULL DO NOTHING
""")


async def create(
    tx: AsyncConnection, name: str, role: str, cluster_id: UUID | None = None, node_id: UUID | None = None
) -> str:
    """Make a token and return its secret, which is never shown again. Nobody is told of it."""
    return (await _insert(tx, Grant(name, role, cluster_id, node_id), None))[1]


async def issue(
    tx: AsyncConnection, grant: Grant, actor: str, trace_id: str, *, named: bool = True
) -> tuple[UUID, str]:
    """Make a token on somebody's behalf: its id, and its secret, which is never shown again.

    `named`: its name has to be its own. Raises AlreadyExists.
    """
    if named:
        await tx.execute(text("DELETE FROM tokens WHERE name = :name AND expires_at < now()"), {"name": grant.name})
    id_, secret = await _insert(tx, grant, actor if named else None)
    clusters = None if grant.clusters is None else [str(one) for one in grant.clusters]
    body = {"role": grant.role, "clusters": clusters, "uses": grant.uses, "seconds": grant.seconds}
    await tell(tx, Kind.TOKEN_CREATED, id_, grant.name, actor, trace_id, body)
    return id_, secret


async def _insert(tx: AsyncConnection, grant: Grant, actor: str | None) -> tuple[UUID, str]:
    id_, secret = uuid7(), f"pf_{secrets.token_urlsafe(32)}"
    given = {**asdict(grant), "id": id_, "sha256": digest(secret), "actor": actor}
    if not (await tx.execute(_CREATE, given)).rowcount:
        raise AlreadyExists(f"There is a token named {grant.name!r} already; choose another name, or revoke that one.")
    return id_, secret


@dataclass(frozen=True, slots=True)
class Eyes:
    """Who looks at tokens: a user (or a token itself), of this role in these clusters; None: all."""

    role: str
    clusters: frozenset[str] | None
    user_id: UUID | None
    token_id: UUID | None


# Admins of all clusters see all; everybody what is theirs; who runs a cluster, the join tokens for it; its admins, what
# is for nothing else. Nodes' own credentials are nobody's to look at.
_VISIBLE = """
    t.role <> 'node' AND (
        :all OR t.user_id = :user_id OR t.id = :token_id
        OR (t.role = 'join' AND :operates AND (:everywhere OR t.cluster_id = ANY(s.ids)))
        OR (:administers AND t.clusters <@ s.ids)
    )
"""
_THEIRS = "(SELECT ARRAY(SELECT id FROM clusters WHERE name = ANY(CAST(:names AS text[]))) AS ids) AS s"
_PAGE = text(f"""
    SELECT t.id, t.name, t.role, u.name AS user, t.actor, t.uses, t.created_at, t.used_at, t.expires_at,
           CASE WHEN t.cluster_id IS NOT NULL THEN ARRAY(SELECT k.name FROM clusters AS k WHERE k.id = t.cluster_id)
                ELSE {SCOPE.format("t.clusters")} END AS clusters,
           (SELECT count(*) FROM joins AS j WHERE j.token_id = t.id) AS machines
    FROM tokens AS t LEFT JOIN users AS u ON u.id = t.user_id CROSS JOIN {_THEIRS}
    WHERE {_VISIBLE} AND (CAST(:id AS uuid) IS NULL OR t.id = :id) AND (CAST(:after AS uuid) IS NULL OR t.id > :after)
    ORDER BY t.id LIMIT :limit
""")  # noqa: S608 - the text is put together from the constants above
_REVOKE = text(f"""
    DELETE FROM tokens USING tokens AS t CROSS JOIN {_THEIRS}
    WHERE tokens.id = t.id AND t.id = :id AND {_VISIBLE} RETURNING t.name
""")  # noqa: S608 - the text is put together from the constants above


def _seen(eyes: Eyes) -> dict[str, object]:
    everywhere = eyes.clusters is None
    return {
        "all": everywhere and covers(eyes.role, Role.ADMIN),
        "administers": covers(eyes.role, Role.ADMIN),
        "operates": covers(eyes.role, Role.OPERATOR),
        "everywhere": everywhere,
        "names": sorted(eyes.clusters or ()),
        "user_id": eyes.user_id,
        "token_id": eyes.token_id,
    }


async def page(tx: AsyncConnection, eyes: Eyes, after: UUID | None, limit: int) -> list[identity.Token]:
    """The tokens somebody may see, oldest first, those after `after`; nodes' own are left out."""
    rows = await tx.execute(_PAGE, {**_seen(eyes), "id": None, "after": after, "limit": limit})
    return [identity.Token.model_validate(dict(row)) for row in rows.mappings()]


async def view(tx: AsyncConnection, eyes: Eyes, id_: UUID) -> identity.Token:
    """One token, which is there."""
    rows = await tx.execute(_PAGE, {**_seen(eyes), "id": id_, "after": None, "limit": 1})
    return identity.Token.model_validate(dict(rows.mappings().one()))


async def revoke(tx: AsyncConnection, eyes: Eyes, id_: UUID, actor: str, trace_id: str) -> None:
    """Void a token that somebody may see. Raises NotFound."""
    name = (await tx.execute(_REVOKE, {**_seen(eyes), "id": id_})).scalar_one_or_none()
    if name is None:
        raise NotFound("token", str(id_), "`pfi token list` lists those you may revoke.")
    await tell(tx, Kind.TOKEN_REVOKED, id_, name, actor, trace_id)


async def revoke_own(tx: AsyncConnection, name: str, user_id: UUID, actor: str, trace_id: str) -> None:
    """Void a user's own token of that name, if there is one."""
    result = await tx.execute(
        text("DELETE FROM tokens WHERE name = :name AND user_id = :user_id RETURNING id"),
        {"name": name, "user_id": user_id},
    )
    for id_ in result.scalars().all():
        await tell(tx, Kind.TOKEN_REVOKED, id_, name, actor, trace_id)


async def note_use(tx: AsyncConnection, ids: Collection[UUID]) -> None:
    """Remember that these tokens and sessions were used just now."""
    for table in ("tokens", "sessions"):
        await tx.execute(
            text(f"UPDATE {table} SET used_at = now() WHERE id = ANY(:ids)"),  # noqa: S608 - a name from above
            {"ids": sorted(ids)},
        )


_STANDS = text("""
    SELECT EXISTS (SELECT FROM tokens WHERE id = :id AND (expires_at IS NULL OR expires_at > now()))
        OR EXISTS (SELECT FROM sessions WHERE id = :id AND expires_at > now())
""")


async def stands(tx: AsyncConnection, id_: UUID) -> bool:
    """Whether a token or a session of this id is still good."""
    return bool((await tx.execute(_STANDS, {"id": id_})).scalar_one())


async def admit(tx: AsyncConnection, token_id: UUID, machine_id: str) -> None:
    """Note that a join token admitted a machine: one that it admitted before may come again. Raises Forbidden once it
    has admitted as many as it may.
    """
    given = {"id": token_id, "machine_id": machine_id}
    uses = (await tx.execute(text("SELECT uses FROM tokens WHERE id = :id"), given)).scalar_one_or_none()
    if uses is not None:  # one after the other, so that none slips in between; others need not wait
        await tx.execute(text("SELECT FROM tokens WHERE id = :id FOR UPDATE"), given)
        if (await tx.execute(_OTHERS, given)).scalar_one() >= uses:
            words = f"This join token has admitted the {uses} machine(s) it is for; `pfi node token` makes another."
            raise Forbidden(words)
    await tx.execute(_ADMIT, given)


_OTHERS = text("SELECT count(*) FROM joins WHERE token_id = :id AND machine_id <> :machine_id")
_ADMIT = text("""
    INSERT INTO joins (token_id, machine_id) SELECT id, :machine_id FROM tokens WHERE id = :id ON CONFLICT DO NOTHING
""")

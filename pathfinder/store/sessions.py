"""Sessions of users, and the devices they are known from: random secrets, of which only the SHA-256 is kept."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import NotFound
from pathfinder.domain.identity import KnownSession
from pathfinder.domain.ids import uuid7
from pathfinder.store.users import SCOPE, scope


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has not ended, and whose it is."""

    id: UUID
    user_id: UUID
    user: str
    role: str
    expires_at: datetime
    clusters: frozenset[str] | None


_FIND = text(f"""
    SELECT s.id, s.user_id, u.name, u.role, s.expires_at, {SCOPE.format("u.clusters")} AS clusters
    FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE s.sha256 = :sha256 AND s.expires_at > now()
""")  # noqa: S608 - the text is put together from the constant


async def find(tx: AsyncConnection, secret: str) -> Session | None:
    """The session whose secret this is, unless it has ended."""
    row = (await tx.execute(_FIND, {"sha256": digest(secret)})).one_or_none()
    if row is None:
        return None
    return Session(row.id, row.user_id, row.name, row.role, row.expires_at, scope(row.clusters))


_BEGIN = text("""
    INSERT INTO sessions (id, user_id, sha256, source, agent, expires_at)
    VALUES (:id, :user_id, :sha256, :source, :agent, now() + make_interval(secs => :seconds)) RETURNING expires_at
""")


async def begin(tx: AsyncConnection, user_id: UUID, source: str, agent: str, seconds: float) -> tuple[str, datetime]:
    """A new session's secret, which is never shown again, and when it ends."""
    secret = secrets.token_urlsafe(32)
    given = {"id": uuid7(), "user_id": user_id, "sha256": digest(secret), "source": source, "agent": agent}
    return secret, (await tx.execute(_BEGIN, {**given, "seconds": seconds})).scalar_one()


#: How long a program has to come for the session that a browser began for it.
HANDOVER_SECONDS = 60.0


async def hand_over(tx: AsyncConnection, user_id: UUID, source: str, agent: str, challenge: str) -> str:
    """A code for which whoever knows the verifier of that challenge gets a session, once, within HANDOVER_SECONDS."""
    code = secrets.token_urlsafe(32)
    given = {"id": uuid7(), "user_id": user_id, "sha256": _waiting(code, challenge), "source": source, "agent": agent}
    await tx.execute(_BEGIN, {**given, "seconds": HANDOVER_SECONDS})
    return code


_TAKE_OVER = text("""
    UPDATE sessions SET sha256 = :sha256, expires_at = now() + make_interval(secs => :seconds)
    WHERE sha256 = :waiting AND expires_at > now()
""")


async def take_over(tx: AsyncConnection, code: str, challenge: str, seconds: float) -> str | None:
    """The session's secret, for its code; None where there is none, or somebody has it already."""
    secret = secrets.token_urlsafe(32)
    given = {"sha256": digest(secret), "waiting": _waiting(code, challenge), "seconds": seconds}
    return secret if (await tx.execute(_TAKE_OVER, given)).rowcount else None


def _waiting(code: str, challenge: str) -> str:
    """What is kept until then: no cookie has this digest, for it is none."""
    return f"waiting {digest(f'{code} {challenge}')}"


_PAGE = text("""
    SELECT s.id, u.name AS user, s.source, s.agent, s.created_at, s.used_at, s.expires_at
    FROM sessions AS s JOIN users AS u ON u.id = s.user_id
    WHERE s.expires_at > now() AND (CAST(:user_id AS uuid) IS NULL OR s.user_id = :user_id)
          AND (CAST(:after AS uuid) IS NULL OR s.id > :after)
    ORDER BY s.id LIMIT :limit
""")


async def page(tx: AsyncConnection, user_id: UUID | None, after: UUID | None, limit: int) -> list[KnownSession]:
    """Sessions that have not ended, oldest first, those after `after`: of one user, or of all."""
    rows = await tx.execute(_PAGE, {"user_id": user_id, "after": after, "limit": limit})
    return [KnownSession.model_validate(dict(row)) for row in rows.mappings()]


async def revoke(tx: AsyncConnection, id_: UUID, user_id: UUID | None) -> None:
    """End a session: of this user, or anybody's. Raises NotFound."""
    result = await tx.execute(
        text("DELETE FROM sessions WHERE id = :id AND (CAST(:user_id AS uuid) IS NULL OR user_id = :user_id)"),
        {"id": id_, "user_id": user_id},
    )
    if not result.rowcount:
        raise NotFound("session", str(id_), "`pfi session list` lists those you may end.")


async def end(tx: AsyncConnection, id_: UUID) -> None:
    """End a session; one that has ended is none."""
    await tx.execute(text("DELETE FROM sessions WHERE id = :id"), {"id": id_})


async def is_known(tx: AsyncConnection, device: str, user_id: UUID) -> bool:
    """Whether that user logged in from this device before."""
    found = await tx.execute(
        text("SELECT 1 FROM devices WHERE sha256 = :sha256 AND user_id = :user_id"),
        {"sha256": digest(device), "user_id": user_id},
    )
    return found.first() is not None


async def remember(tx: AsyncConnection, device: str | None, user_id: UUID) -> str:
    """Note that the user logged in from this device; its secret, a new one where it was somebody else's or nobody's."""
    if device is not None and await is_known(tx, device, user_id):
        await tx.execute(text("UPDATE devices SET used_at = now() WHERE sha256 = :sha256"), {"sha256": digest(device)})
        return device
    made = secrets.token_urlsafe(32)
    await tx.execute(
        text("INSERT INTO devices (sha256, user_id) VALUES (:sha256, :user_id)"),
        {"sha256": digest(made), "user_id": user_id},
    )
    return made


def csrf_token(secret: str) -> str:
    """What a page that may read the answer of the session's API can send along, and no other page knows."""
    return digest(f"csrf {secret}")


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return sha256(secret.encode()).hexdigest()

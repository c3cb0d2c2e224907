"""Removing rows that are no longer needed: oldest first and few at a time, so that no lock is long."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.settings import Settings

#: Most rows one transaction removes.
BATCH = 2000

#: How long a role that was not heard of is remembered.
ROLE_DAYS = 1.0

#: How long a browser is known that nobody logs in from any more.
DEVICE_DAYS = 180.0

Prune = Callable[[AsyncConnection], Awaitable[int]]


def steps(settings: Settings) -> Mapping[str, Prune]:
    """What is removed, by table: each removes at most `BATCH` rows and says how many."""
    history = settings.keep_history_days
    found: dict[str, Prune] = {
        "containers": partial(_run, _CONTAINERS, days=settings.keep_deleted_days),
        "idempotency_keys": partial(_run, _KEYS, days=settings.keep_keys_days),
        "decisions": partial(_run, _DECISIONS, days=settings.keep_decisions_days),
        "attempts": partial(_run, _ATTEMPTS, days=history),
        "scalings": partial(_run, _SCALINGS, days=history),
        "measurements": partial(_run, _MEASUREMENTS, days=settings.keep_measurements_days),
        "problems": partial(_run, _PROBLEMS, days=history),
        "roles": partial(_run, _ROLES, days=ROLE_DAYS),
        "sessions": partial(_run, _SESSIONS, days=0),
        "devices": partial(_run, _DEVICES, days=DEVICE_DAYS),
        "tokens": partial(_run, _TOKENS, days=history),
        "dead_letters": partial(_run, _DEAD_LETTERS, days=settings.keep_dead_days),
        "dead_letters beyond the bound": partial(_run, _DEAD_LETTERS_BEYOND, rows=settings.keep_dead_rows),
    }
    if settings.keep_events_days:
        found["events"] = partial(_run, _EVENTS, days=settings.keep_events_days)
    return found


async def hurry(tx: AsyncConnection) -> None:
    """Have this transaction give up rather than wait for anybody, or make anybody wait."""
    await tx.execute(
        text("SELECT set_config('lock_timeout', '500ms', true), set_config('statement_timeout', '5s', true)")
    )


async def _run(statement: str, tx: AsyncConnection, **given: float) -> int:
    result = await tx.execute(text(statement), {"batch": BATCH, **given})
    return int(result.rowcount)


#: Events are written about in the order of `seq`: the oldest of them are looked at, however many there are.
_EVENTS = """
    DELETE FROM events WHERE seq IN (
        SELECT seq FROM (SELECT seq, at FROM events ORDER BY seq LIMIT :batch) AS oldest
        WHERE at < now() - make_interval(secs => CAST(:days AS float8) * 86400)
    )
"""

#: Their ids are written in the order of time, too. A container that lives longer than its decision is kept stays.
_DECISIONS = """
    DELETE FROM decisions WHERE id IN (
        SELECT id FROM (SELECT id, at FROM decisions ORDER BY id LIMIT :batch) AS oldest
        WHERE at < now() - make_interval(secs => CAST(:days AS float8) * 86400)
    )
"""

#: A hostname goes on counting generations where it stopped. The number that was reached is kept for the whole cluster,
#: so that late messages about what is forgotten here are older than everything to come, whatever its name.
#: A former placement that is not yet reported gone keeps its container's row.
_CONTAINERS = """
    WITH old AS MATERIALIZED (
        SELECT id, cluster_id, generation FROM containers AS c
        WHERE status = 'DELETED' AND status_at < now() - make_interval(secs => CAST(:days AS float8) * 86400)
              AND NOT EXISTS (SELECT FROM departures AS d WHERE d.container_id = c.id)
        ORDER BY status_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), floors AS (
        UPDATE clusters AS k SET generation_floor = o.generation
        FROM (SELECT cluster_id, max(generation) AS generation FROM old GROUP BY cluster_id) AS o
        WHERE k.id = o.cluster_id AND o.generation > k.generation_floor
    ), tried AS (
        DELETE FROM attempts WHERE container_id IN (SELECT id FROM old)
    )
    DELETE FROM containers WHERE id IN (SELECT id FROM old)
"""
_KEYS = """
    DELETE FROM idempotency_keys WHERE (cluster_id, key) IN (
        SELECT cluster_id, key FROM idempotency_keys
        WHERE created_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY created_at LIMIT :batch
    )
"""
_ATTEMPTS = """
    DELETE FROM attempts WHERE (container_id, generation) IN (
        SELECT container_id, generation FROM attempts
        WHERE at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY at LIMIT :batch
    )
"""

_SCALINGS = """
    DELETE FROM scalings WHERE id IN (
        SELECT id FROM scalings
        WHERE at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY at LIMIT :batch
    )
"""
_MEASUREMENTS = """
    DELETE FROM measurements WHERE (deployment_id, metric, at) IN (
        SELECT deployment_id, metric, at FROM measurements
        WHERE at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY at LIMIT :batch
    )
"""

#: Their notices go with them.
_PROBLEMS = """
    DELETE FROM problems WHERE id IN (
        SELECT id FROM problems
        WHERE closed_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY closed_at LIMIT :batch
    )
"""
_ROLES = """
    DELETE FROM roles WHERE id IN (
        SELECT id FROM roles WHERE seen_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) LIMIT :batch
    )
"""
_SESSIONS = """
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions
        WHERE expires_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY expires_at LIMIT :batch
    )
"""
_DEVICES = """
    DELETE FROM devices WHERE sha256 IN (
        SELECT sha256 FROM devices
        WHERE used_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY used_at LIMIT :batch
    )
"""
_TOKENS = """
    DELETE FROM tokens WHERE id IN (
        SELECT id FROM tokens
        WHERE expires_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY expires_at LIMIT :batch
    )
"""
_DEAD_LETTERS = """
    DELETE FROM dead_letters WHERE id IN (
        SELECT id FROM dead_letters
        WHERE created_at < now() - make_interval(secs => CAST(:days AS float8) * 86400) ORDER BY created_at LIMIT :batch
    )
"""
_DEAD_LETTERS_BEYOND = """
    DELETE FROM dead_letters WHERE id IN (
        SELECT id FROM dead_letters
        WHERE id <= (SELECT id FROM dead_letters ORDER BY id DESC OFFSET :rows LIMIT 1) ORDER BY id LIMIT :batch
    )
"""

"""What PostgreSQL tells of the situation: each question is cheap however large the fleet is."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers.overview import current
from pathfinder.controllers.situation import (
    Claimed,
    ClusterRef,
    Failing,
    NodeRef,
    NodeSeen,
    PluginFailing,
    RoleSeen,
    Situation,
    Standby,
    Stuck,
    Survival,
    Waiting,
)
from pathfinder.domain.messages import RUNTIME_DOWN
from pathfinder.store.roles import lately
from pathfinder.store.states import promised

#: How far back instances that vanished are counted.
MISSING_MINUTES = 10

#: How far back decisions are looked at for plugins that failed in them.
PLUGIN_MINUTES = 10

#: A node that is DOWN for no longer since it registered for the first time is only about to show its first list.
JOINING_SECONDS = 30

#: A container that waited so long for a node did not just come at a bad moment.
WAITING_SECONDS = 60

#: A node takes seconds for a container, minutes where the image comes from afar; this is neither.
STUCK_SECONDS = 600

#: How many containers are named where many are told of together.
EXAMPLES = 3

_LITTLE = text("""
    SELECT COALESCE((SELECT EXTRACT(epoch FROM now() - created_at) FROM outbox WHERE NOT held ORDER BY id LIMIT 1), 0)
               ::float8 AS oldest,
           (SELECT count(*) FROM dead_letters) AS dead
""")
_NODES = text("""
    SELECT n.id, n.hostname, k.id AS cluster_id, k.name AS cluster, n.status = 'DOWN' AS down,
           COALESCE(n.reboot_until > now(), false)
               OR n.down_at IS NULL AND n.created_at > now() - make_interval(secs => :joining) AS expected,
           n.aside_until, n.aside_reason, COALESCE(l.until > now(), false) AS alive, n.held_back,
           (SELECT count(*) FROM containers AS c WHERE c.node_id = n.id AND c.status = 'LOST') AS lost
    FROM nodes AS n JOIN clusters AS k ON k.id = n.cluster_id LEFT JOIN leases AS l ON l.node_id = n.id
    WHERE n.status = 'DOWN' OR n.aside_until IS NOT NULL ORDER BY n.hostname
""")
_READY_NODES = """
    SELECT n.id, n.hostname, k.id AS cluster_id, k.name AS cluster
    FROM nodes AS n JOIN clusters AS k ON k.id = n.cluster_id
"""
_DEAF = text(f"{_READY_NODES} WHERE n.status = 'READY' AND n.hostname = ANY(:deaf) ORDER BY n.hostname")
_MUTE = text(f"""
    {_READY_NODES} JOIN leases AS l ON l.node_id = n.id
    WHERE n.status = 'READY' AND jsonb_exists(l.usage, '{RUNTIME_DOWN}') ORDER BY n.hostname
""")
# The one question that reads every container; it is asked seldom. A download that goes on tells so in events.
_STUCK = text("""
    SELECT n.id, n.hostname, k.id AS cluster_id, k.name AS cluster, count(*) AS many,
           (array_agg(c.hostname ORDER BY c.status_at, c.hostname))[1:CAST(:examples AS int)] AS examples
    FROM containers AS c JOIN nodes AS n ON n.id = c.node_id JOIN clusters AS k ON k.id = n.cluster_id
    WHERE c.status IN ('SCHEDULED', 'SCHEDULE_DELETION') AND c.status_at < now() - make_interval(secs => :seconds)
        AND n.status = 'READY' AND NOT EXISTS (
            SELECT FROM events AS e WHERE e.subject_id = c.id AND e.kind = 'container.progress'
                AND e.at > now() - make_interval(secs => :seconds))
    GROUP BY n.id, k.id ORDER BY n.hostname
""")
# The partial indexes ix_containers_troubled, ix_containers_restarted and ix_events_missing make these cheap.
_FAILING = text("""
    WITH missing AS (
        SELECT subject_id AS id, count(*) AS times FROM events
        WHERE kind = 'container.missing' AND at > now() - make_interval(mins => :minutes)
        GROUP BY subject_id HAVING count(*) > 1
    ), failed AS (
        SELECT id, attempts FROM containers
        WHERE (status = 'LOST' OR attempts > 0) AND status IN ('PENDING', 'SCHEDULED', 'PROVISION_ERROR')
    ), restarted AS (
        SELECT id FROM containers WHERE restarts > 0 AND status <> 'DELETED'
    )
    SELECT c.id, c.hostname, COALESCE(c.health_message, c.message) AS message, k.id AS cluster_id, k.name AS cluster,
           COALESCE(m.times, 0) AS missing, COALESCE(f.attempts, 0) AS attempts, c.restarts
    FROM (SELECT id FROM missing UNION SELECT id FROM failed UNION SELECT id FROM restarted) AS i
    JOIN containers AS c ON c.id = i.id AND c.status <> 'DELETED'
    LEFT JOIN missing AS m ON m.id = i.id LEFT JOIN failed AS f ON f.id = i.id
    JOIN clusters AS k ON k.id = c.cluster_id ORDER BY c.id
""")
_UNPLACEABLE = text("""
    SELECT k.id AS cluster_id, k.name AS cluster, count(*) AS count,
           (array_agg(c.hostname ORDER BY c.status_at, c.hostname))[1:CAST(:examples AS int)] AS examples,
           (array_agg(c.message ORDER BY c.status_at, c.hostname))[1] AS reason
    FROM containers AS c JOIN clusters AS k ON k.id = c.cluster_id
    WHERE c.status = 'PENDING' AND c.waiting AND c.status_at < now() - make_interval(secs => :seconds)
    GROUP BY k.id ORDER BY k.name
""")
_LOST = text("""
    SELECT k.id AS cluster_id, k.name AS cluster, count(*) AS count,
           (array_agg(c.hostname ORDER BY c.status_at, c.hostname))[1:CAST(:examples AS int)] AS examples, '' AS reason
    FROM containers AS c JOIN clusters AS k ON k.id = c.cluster_id
    WHERE c.status = 'LOST' AND (c.status = 'LOST' OR c.attempts > 0) GROUP BY k.id ORDER BY k.name
""")


def _sums(column: str, part: str) -> str:
    most = promised(column, part, f"COALESCE((p.usual ->> '{part}')::float8, 1)")
    return f"sum(n.{part}_claimed)::bigint AS {part}_claimed, sum({most})::bigint AS {part}"


# What may be claimed is by the policy of the cluster; containers that chose another one are few.
_CLAIMED = text(f"""
    SELECT k.id AS cluster_id, k.name AS cluster, {_sums("cpu_millicores", "cpu")}, {_sums("memory_bytes", "memory")},
           {_sums("disk_bytes", "disk")}
    FROM clusters AS k LEFT JOIN LATERAL (
        SELECT document -> 'overcommit' AS usual FROM policies WHERE name = k.policy ORDER BY version DESC LIMIT 1
    ) AS p ON true JOIN nodes AS n ON n.cluster_id = k.id
    WHERE n.status = 'READY' AND n.schedulable GROUP BY k.id ORDER BY k.name
""")  # noqa: S608 - the text is put together from constants
# The partial index ix_decisions_skipped makes this cheap; where many failed, the latest are enough to tell.
_PLUGINS = text("""
    WITH lately AS (
        SELECT cluster_id, at, document -> 'skipped' AS skipped FROM decisions
        WHERE at > now() - make_interval(mins => :minutes) AND document -> 'skipped' <> '[]'::jsonb
        ORDER BY at DESC LIMIT 200
    )
    SELECT DISTINCT ON (k.name, plugin) k.id AS cluster_id, k.name AS cluster, split_part(one, ': ', 1) AS plugin,
           substr(one, strpos(one, ': ') + 2) AS words
    FROM lately JOIN clusters AS k ON k.id = lately.cluster_id, jsonb_array_elements_text(lately.skipped) AS one
    WHERE one ~ '^(filter|scorer) ' ORDER BY k.name, plugin, lately.at DESC
""")
# Who may not see the figures gets nulls, and nothing is concluded from those.
_STANDBYS = text("""
    SELECT application_name AS name, true AS connected,
           COALESCE(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::float8 AS bytes,
           COALESCE(EXTRACT(epoch FROM replay_lag), 0)::float8 AS seconds
    FROM pg_stat_replication WHERE state = 'streaming' OR state = 'catchup'
    UNION ALL
    SELECT slot_name, false, 0, 0 FROM pg_replication_slots
    WHERE slot_type = 'physical' AND NOT active AND NOT temporary
""")


async def ready(tx: AsyncConnection) -> list[str]:
    """The hostnames of the nodes that are READY."""
    return list(
        (await tx.execute(text("SELECT hostname FROM nodes WHERE status = 'READY' ORDER BY hostname"))).scalars()
    )


async def read(
    tx: AsyncConnection,
    queues: Mapping[str, int] | None,
    broker_silent: float,
    survivals: tuple[Survival, ...] | None,
    deaf: Collection[str] | None = None,
    *,
    thorough: bool = True,
) -> Situation:
    """The situation now, with what is known already of RabbitMQ, of the nodes whose queue nobody reads (`deaf`), and of
    the clusters' resilience. Only a `thorough` look tells of containers that are stuck.
    """
    little = (await tx.execute(_LITTLE)).one()
    seconds = {"seconds": WAITING_SECONDS, "examples": EXAMPLES}
    return Situation(
        roles=tuple(RoleSeen(one.role, one.host, one.silent, _wrong(one.parts)) for one in current(await lately(tx))),
        broker_silent=broker_silent,
        queues=queues,
        outbox_oldest=little.oldest,
        dead_letters=little.dead,
        nodes=tuple(map(_node, await tx.execute(_NODES, {"joining": JOINING_SECONDS}))),
        deaf=None if deaf is None else tuple(map(_ref, await tx.execute(_DEAF, {"deaf": list(deaf)}))),
        mute=tuple(map(_ref, await tx.execute(_MUTE))),
        failing=tuple(map(_failing, await tx.execute(_FAILING, {"minutes": MISSING_MINUTES}))),
        unplaceable=tuple(map(_waiting, await tx.execute(_UNPLACEABLE, seconds))),
        lost=tuple(map(_waiting, await tx.execute(_LOST, {"examples": EXAMPLES}))),
        stuck=await _stuck(tx) if thorough else None,
        claimed=tuple(one for row in await tx.execute(_CLAIMED) for one in _claimed(row)),
        standbys=tuple(Standby(*row) for row in await tx.execute(_STANDBYS)),
        survivals=survivals,
        plugins=tuple(
            PluginFailing(_cluster(row), row.plugin, row.words)
            for row in await tx.execute(_PLUGINS, {"minutes": PLUGIN_MINUTES})
        ),
    )


def _wrong(parts: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {said}" for name, said in sorted(parts.items()) if said != "ok")


def _cluster(row: Any) -> ClusterRef:
    return ClusterRef(row.cluster_id, row.cluster)


def _ref(row: Any) -> NodeRef:
    return NodeRef(row.id, row.hostname, _cluster(row))


async def _stuck(tx: AsyncConnection) -> tuple[Stuck, ...]:
    rows = await tx.execute(_STUCK, {"seconds": STUCK_SECONDS, "examples": EXAMPLES})
    return tuple(Stuck(_ref(row), row.many, tuple(row.examples)) for row in rows)


def _node(row: Any) -> NodeSeen:
    aside = (row.aside_reason or "it failed repeatedly") if row.aside_until is not None else None
    back = (row.held_back or "its full list has not come yet") if row.alive else None
    return NodeSeen(row.id, row.hostname, _cluster(row), row.down, row.expected, aside, row.lost, back)


def _failing(row: Any) -> Failing:
    return Failing(row.id, row.hostname, _cluster(row), row.missing, row.attempts, row.message or "", row.restarts)


def _waiting(row: Any) -> Waiting:
    return Waiting(_cluster(row), row.count, tuple(row.examples), row.reason or "")


def _claimed(row: Any) -> tuple[Claimed, ...]:
    cluster = _cluster(row)
    return (
        Claimed(cluster, "CPU", row.cpu_claimed, row.cpu),
        Claimed(cluster, "memory", row.memory_claimed, row.memory),
        Claimed(cluster, "disk", row.disk_claimed, row.disk),
    )

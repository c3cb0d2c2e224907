"""A node's row as the scheduler sees it. Snapshots are read all the time; what hardly ever changes is read once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.asking import Taint
from pathfinder.domain.resources import Resources
from pathfinder.scheduling.fleet import UNLIMITED, NodeState, Overcommit

# In this order `state` takes them. A node that is set aside gets nothing; once its time is over, one container at a
# time: until that one has ended.
_STATE = """
    SELECT n.id, n.hostname, n.status, n.schedulable, n.cpu_millicores, n.memory_bytes, n.disk_bytes, n.cpu_claimed,
           n.memory_claimed, n.disk_claimed, n.containers, n.stateful, n.generation, n.supply, n.epoch, n.aside_reason,
           n.pool, n.max_containers, n.max_stateful, CAST(n.labels || n.own_labels AS text) AS labels, n.architecture,
           n.runtime, n.runtime_version, n.pool_driver, CAST(n.capabilities AS text) AS capabilities,
           CAST(n.images AS text) AS images, CAST(n.taints AS text) AS taints,
           CAST(k.overcommit || n.overcommit AS text) AS overcommit,
           CAST(l.usage ->> 'load_1m' AS float8) * 1000 / NULLIF(n.cpu_millicores, 0) AS cpu_used,
           CAST(l.usage ->> 'memory_used_bytes' AS float8) / NULLIF(n.memory_bytes, 0) AS memory_used,
           CASE WHEN n.aside_until IS NULL THEN NULL WHEN n.aside_until <= now() AND NOT EXISTS (
               SELECT FROM containers AS c
               WHERE c.node_id = n.id AND c.status = 'SCHEDULED' AND c.decided_at >= n.aside_until
           ) THEN 1 ELSE 0 END AS slots
    FROM nodes AS n JOIN clusters AS k ON k.id = n.cluster_id LEFT JOIN leases AS l ON l.node_id = n.id
    WHERE n.cluster_id = :cluster_id
"""
SNAPSHOT = text(f"{_STATE} ORDER BY n.hostname")

#: Whether somebody who has a node wants some company kept away.
AVERSE = "EXISTS (SELECT FROM containers WHERE cluster_id = :cluster_id AND averse AND node_id IS NOT NULL)"

# A row's own xmin is the transaction that wrote it: nothing has to be kept for this, and no index. Transactions older
# than a snapshot's xmin had ended when it was taken, so their rows were in it; every other row is read again. Ages are
# compared, for xmin is only the lower half of a transaction's number.
_RECENT = "array_agg(n.id) FILTER (WHERE age(n.xmin) <= (SELECT age(CAST(CAST(:since AS text) AS xid))))"

_WHOLE = f"""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon, k.policy,
           CAST(k.overcommit AS text) AS ratios, f.*, {AVERSE} AS averse
    FROM clusters AS k CROSS JOIN LATERAL (
        SELECT count(*) AS nodes, {{}} AS recent FROM nodes AS n WHERE n.cluster_id = k.id
    ) AS f WHERE k.id = :cluster_id
"""  # noqa: S608 - the text is put together from constants
WHOLE = text(_WHOLE.format("NULL"))

# What a row does not tell is read each time. The whole comes along with each row, and alone where there is none.
CHANGED = text(f"""
    SELECT w.horizon, w.policy, w.ratios, w.nodes, w.averse, s.*
    FROM ({_WHOLE.format(_RECENT)}) AS w LEFT JOIN ({_STATE}) AS s ON s.id = ANY(
        w.recent || ARRAY(SELECT id FROM nodes WHERE aside_until IS NOT NULL) || CAST(:also AS uuid[])
    ) ORDER BY s.hostname
""")  # noqa: S608 - the text is put together from the constants above
USAGE = text("""
    SELECT CAST(l.usage ->> 'load_1m' AS float8) * 1000 / NULLIF(n.cpu_millicores, 0) AS cpu_used,
           CAST(l.usage ->> 'memory_used_bytes' AS float8) / NULLIF(n.memory_bytes, 0) AS memory_used
    FROM nodes AS n LEFT JOIN leases AS l ON l.node_id = n.id WHERE n.cluster_id = :cluster_id ORDER BY n.hostname
""")


async def snapshot(tx: AsyncConnection, cluster_id: UUID) -> list[NodeState]:
    """Every node of a cluster as a scheduler sees it, by hostname."""
    return [state(row) for row in await tx.execute(SNAPSHOT, {"cluster_id": cluster_id})]


def promised(column: str, part: str, usual: str = "1") -> str:
    """In SQL, how much of a resource node `n` of cluster `k` may promise; `usual` is the ratio of the policy."""
    ratio = f"COALESCE((n.overcommit ->> '{part}')::float8, (k.overcommit ->> '{part}')::float8, {usual})"
    return f"(n.{column} * {ratio})::bigint"


def state(row: Sequence[Any]) -> NodeState:
    """A row of the snapshot."""
    # Columns by their names are looked up one by one, which costs more than all else of it.
    # fmt: off
    (
        id_, hostname, status, schedulable, cpu, memory, disk, cpu_claimed, memory_claimed, disk_claimed, containers,
        stateful, generation, supply, epoch, aside, pool, max_containers, max_stateful, labels, architecture, runtime,
        version, driver, capabilities, images, taints, overcommit, cpu_used, memory_used, slots,
    ) = row
    # fmt: on
    return NodeState(
        id=str(id_),
        hostname=hostname,
        ready=status == "READY",
        schedulable=schedulable,
        capacity=Resources(cpu, memory, disk),
        claimed=Resources(cpu_claimed, memory_claimed, disk_claimed),
        containers=containers,
        generation=generation,
        supply=supply,
        labels=_attributes(labels, hostname, architecture, runtime, version, driver, capabilities),
        epoch=epoch,
        slots=UNLIMITED if slots is None else slots,
        aside=aside,
        stateful=stateful,
        max_containers=UNLIMITED if max_containers is None else max_containers,
        max_stateful=UNLIMITED if max_stateful is None else max_stateful,
        overcommit=_overcommit(overcommit),
        taints=_taints(taints),
        pool=pool,
        cpu_used=_UNKNOWN if cpu_used is None else cpu_used,
        memory_used=_UNKNOWN if memory_used is None else memory_used,
        images=_images(images),
    )


_UNKNOWN = float("nan")


@lru_cache(100_000)
def _attributes(
    labels: str, hostname: str, architecture: str, runtime: str, version: str, driver: str, capabilities: str
) -> Mapping[str, str]:
    """A node's labels, and what Pathfinder itself says of it; the latter goes first."""
    own = {
        "node.name": hostname,
        "node.architecture": architecture,
        "node.runtime": runtime,
        "node.storage": driver,
        **({"node.lxd": version} if runtime == "lxd" else {}),
        **{f"lxd.{one}": "true" for one in orjson.loads(capabilities)},
    }
    return {**orjson.loads(labels), **own}


@lru_cache(10_000)
def _overcommit(document: str) -> Overcommit:
    ratios = orjson.loads(document)
    return ratios.get("cpu"), ratios.get("memory"), ratios.get("disk")


@lru_cache(10_000)
def _taints(document: str) -> tuple[Taint, ...]:
    return tuple(Taint.parse(one) for one in orjson.loads(document))


@lru_cache(10_000)
def _images(document: str) -> frozenset[str]:
    return frozenset(orjson.loads(document))

"""Containers and nodes as clients see them: one row or a page, ordered by hostname."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers import bootstrapping
from pathfinder.domain import rules, views
from pathfinder.domain.attempts import DEFAULT_ATTEMPTS
from pathfinder.domain.errors import NotFound
from pathfinder.domain.lifecycle import ContainerType, Health, Status
from pathfinder.domain.resources import Resources
from pathfinder.store import decisions

#: How many of a container's failed provisions are shown.
ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows a list shows; an empty field does not narrow. `after` is the last row of the page before:
    its hostname and id.
    """

    cluster: str
    prefix: str = ""
    statuses: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    node: str | None = None
    after: tuple[str, UUID] = ("", UUID(int=0))
    limit: int = 200

    def parameters(self) -> dict[str, Any]:
        """The parameters of the conditions below."""
        return {
            "cluster": self.cluster,
            "prefix": self.prefix,
            "statuses": list(self.statuses),
            "labels": orjson.dumps(self.labels).decode(),
            "node": self.node,
            "after": self.after[0],
            "after_id": self.after[1],
            "limit": self.limit,
        }

    def conditions(self, alias: str, labels: str = "c.labels") -> str:
        """The conditions in SQL, only those that narrow, so that the planner sees what it can use."""
        parts = [f"({alias}.hostname, {alias}.id) > (:after, :after_id)"]
        if self.prefix:
            parts.append(f"starts_with({alias}.hostname, :prefix)")
        if self.statuses:
            parts.append(f"{alias}.status = ANY(:statuses)")
        if self.labels:
            parts.append(f"{labels} @> CAST(:labels AS jsonb) AND {labels} <> '{{}}'")  # only those are in the index
        if self.node is not None:
            parts.append("n.hostname = :node")
        return " AND ".join(parts)


#: Not by the joined row: PostgreSQL could not know that there is one only, and would sort all for each page.
_IN_CLUSTER = "cluster_id = (SELECT id FROM clusters WHERE name = :cluster)"
_CONTAINER = """
    SELECT c.id, c.hostname, k.name AS cluster, c.image, c.type, c.status, c.health, c.health_message,
           c.health_at, c.restarts, n.hostname AS node,
           COALESCE(n.runtime = 'simulated', false) AS simulated, c.ipaddress, c.generation,
           c.cpu_millicores, c.memory_bytes, c.disk_bytes, c.labels, c.spec, c.message, c.created_at, c.status_at,
           c.decided_at, c.attempts, c.retry_at, c.priority, c.policy
    FROM containers AS c JOIN clusters AS k ON k.id = c.cluster_id LEFT JOIN nodes AS n ON n.id = c.node_id
"""
_NODE = """
    SELECT n.*, k.name AS cluster, l.until AS lease_until, COALESCE(l.usage, '{}'::jsonb) AS usage
    FROM nodes AS n JOIN clusters AS k ON k.id = n.cluster_id LEFT JOIN leases AS l ON l.node_id = n.id
"""


_BY_ID = text(f"{_CONTAINER} WHERE c.id = ANY(:ids)")
_BY_NAME = text(f"{_CONTAINER} WHERE k.name = :cluster AND c.hostname = :hostname AND c.status <> 'DELETED'")


async def containers(tx: AsyncConnection, selection: Selection) -> list[views.Container]:
    """A page of living containers; of deleted ones too where DELETED is among the statuses asked for."""
    # Each index holds the living or the deleted: both are looked at apart, and each for a whole page.
    parts = ("c.status <> 'DELETED'", *(["c.status = 'DELETED'"] if "DELETED" in selection.statuses else []))
    pages = (
        f"({_CONTAINER} WHERE c.{_IN_CLUSTER} AND {part} AND {selection.conditions('c')} "
        "ORDER BY c.hostname, c.id LIMIT :limit)"
        for part in parts
    )
    rows = await tx.execute(
        text(f"SELECT * FROM ({' UNION ALL '.join(pages)}) AS page ORDER BY hostname, id LIMIT :limit"),  # noqa: S608 - constants alone
        selection.parameters(),
    )
    return [_container(row) for row in rows]


async def containers_by_id(tx: AsyncConnection, ids: list[UUID]) -> list[views.Container]:
    """These containers, in the order of `ids`."""
    rows = await tx.execute(_BY_ID, {"ids": ids})
    found = {row.id: _container(row) for row in rows}
    return [found[id_] for id_ in ids if id_ in found]


async def container(tx: AsyncConnection, cluster: str, hostname: str) -> views.Container:
    """The living container of that name. Raises NotFound."""
    return _container(await _container_row(tx, cluster, hostname))


async def explanation(tx: AsyncConnection, cluster: str, hostname: str) -> views.Explanation:
    """Why the living container of that name is where it is. Raises NotFound."""
    row = await _container_row(tx, cluster, hostname)
    decision = await decisions.about(tx, row.id)
    candidates = decision.get("candidates", [])
    return views.Explanation(
        hostname=row.hostname,
        status=row.status,
        node=row.node,
        policy=decision.get("policy"),
        policy_version=decision.get("policy_version"),
        seed=decision.get("seed"),
        ties=decision.get("ties"),
        weights=decision.get("weights", {}),
        skipped=decision.get("skipped", []),
        nodes_considered=decision.get("nodes_considered", 0),
        rejections=decision.get("rejections", []),
        candidates=candidates,
        recomputed=decision.get("recomputed"),
        decided_at=row.decided_at,
        message=row.message or _placed(row, decision),
        simulated=await simulated(tx, [row.node or "", *(one["node"] for one in candidates)]),
    )


async def simulated(tx: AsyncConnection, hostnames: Collection[str]) -> list[str]:
    """Which of these nodes are simulated. Hostnames of nodes are unique over all clusters."""
    rows = await tx.execute(
        text("SELECT hostname FROM nodes WHERE hostname = ANY(:names) AND runtime = 'simulated' ORDER BY hostname"),
        {"names": list(set(hostnames))},
    )
    return list(rows.scalars())


def _placed(row: Any, decision: dict[str, Any]) -> str:
    if not decision:
        return "No decision on it is kept any more." if row.decided_at else "No scheduler has looked at it yet."
    possible = decision["nodes_considered"] - sum(one["nodes"] for one in decision["rejections"])
    chosen = decision["candidates"][0]["node"] if decision["candidates"] else row.node
    return f"Policy {decision['policy']} chose {chosen} out of {possible} possible node(s)."


async def attempts(tx: AsyncConnection, cluster: str, hostname: str) -> list[views.Attempt]:
    """The newest failed provisions of the living container of that name, oldest first. Raises NotFound."""
    container = await _container_row(tx, cluster, hostname)
    rows = await tx.execute(
        text("""
            SELECT a.at, a.node, a.generation, a.fault, a.reason, COALESCE(n.runtime = 'simulated', false) AS simulated
            FROM attempts AS a LEFT JOIN nodes AS n ON n.hostname = a.node WHERE a.container_id = :id
            ORDER BY a.generation DESC LIMIT :limit
        """),
        {"id": container.id, "limit": ATTEMPTS},
    )
    return [views.Attempt(**row._mapping) for row in reversed(rows.all())]


async def bootstraps(tx: AsyncConnection, cluster: str, hostname: str) -> list[views.Bootstrap]:
    """The bootstrappers of the living container of that name, run by run as far as kept. Raises NotFound."""
    container = await _container_row(tx, cluster, hostname)
    rows = await tx.execute(
        text("""
            SELECT run, step + 1 AS step, name, type, status, attempts, exit_code, output, started_at, ended_at
            FROM bootstraps WHERE container_id = :id ORDER BY run, step
        """),
        {"id": container.id},
    )
    return [views.Bootstrap(**row._mapping) for row in rows]


async def _container_row(tx: AsyncConnection, cluster: str, hostname: str) -> Any:
    row = (await tx.execute(_BY_NAME, {"cluster": cluster, "hostname": hostname})).one_or_none()
    if row is None:
        raise NotFound("container", hostname, f"`pfi get containers` lists those of cluster {cluster!r}.")
    return row


def _container(row: Any) -> views.Container:
    return views.Container.model_construct(
        id=row.id,
        hostname=row.hostname,
        cluster=row.cluster,
        image=row.image,
        type=ContainerType(row.type),
        status=Status(row.status),
        health=Health(row.health),
        health_message=row.health_message,
        health_at=row.health_at,
        restarts=row.restarts,
        checks=row.spec.get("checks", []),
        node=row.node,
        simulated=row.simulated,
        # Of one that is LOST it only tells that it ran; nobody answers there.
        ipaddress=None if row.status == Status.LOST else row.ipaddress,
        generation=row.generation,
        resources=_amounts(row),
        labels=row.labels,
        node_labels=row.spec["node_labels"],
        profiles=row.spec["profiles"],
        config=row.spec["config"],
        devices=row.spec["devices"],
        limits=_limits(row),
        priority=row.priority,
        policy=row.policy,
        **_placing(row.spec),
        bootstrappers=[step.name for step in bootstrapping.named(row.spec.get("bootstrappers", ()))],
        message=row.message,
        failed_attempts=row.attempts,
        max_attempts=row.spec.get("max_attempts", DEFAULT_ATTEMPTS),
        retry_at=row.retry_at,
        created_at=row.created_at,
        status_at=row.status_at,
    )


def _limits(row: Any) -> views.Amounts:
    request = Resources(row.cpu_millicores, row.memory_bytes, row.disk_bytes)
    return _amounts(rules.Limits.kept(row.spec).over(request))


def _placing(spec: dict[str, Any]) -> dict[str, Any]:
    """What was asked of the placement, whole: what was left out is told as what it means."""
    budget = spec.get("budget")
    return {
        "architecture": spec.get("architecture"),
        "constraints": spec.get("constraints", []),
        "pool": spec.get("pool", rules.DEFAULT_POOL),
        "tolerations": spec.get("tolerations", []),
        "affinity": [rules.AffinityRule(**one).model_dump(mode="json") for one in spec.get("affinity", [])],
        "spread": [rules.SpreadRule(**one).model_dump(mode="json") for one in spec.get("spread", [])],
        "budget": rules.BudgetRule(**budget).model_dump(mode="json") if budget else None,
        "gang": spec.get("gang"),
    }


def _amounts(of: Any) -> views.Amounts:
    """Of a row, or of resources."""
    return views.Amounts.model_construct(
        cpu_millicores=of.cpu_millicores, memory_bytes=of.memory_bytes, disk_bytes=of.disk_bytes
    )


_LABELS = "(n.labels || n.own_labels)"


async def nodes(tx: AsyncConnection, selection: Selection) -> list[views.Node]:
    """A page of nodes."""
    rows = await tx.execute(
        text(
            f"{_NODE} WHERE n.{_IN_CLUSTER} AND {selection.conditions('n', _LABELS)} ORDER BY n.hostname LIMIT :limit"
        ),
        selection.parameters(),
    )
    return [_node(row) for row in rows]


async def node(tx: AsyncConnection, cluster: str, hostname: str) -> views.Node:
    """The node of that name. Raises NotFound."""
    row = (
        await tx.execute(
            text(f"{_NODE} WHERE k.name = :cluster AND n.hostname = :hostname"),
            {"cluster": cluster, "hostname": hostname},
        )
    ).one_or_none()
    if row is None:
        raise NotFound("node", hostname, f"`pfi get nodes` lists those of cluster {cluster!r}.")
    return _node(row)


def _node(row: Any) -> views.Node:
    return views.Node(
        id=row.id,
        hostname=row.hostname,
        cluster=row.cluster,
        ipaddress=row.ipaddress,
        status=row.status,
        schedulable=row.schedulable,
        simulated=row.runtime == "simulated",
        runtime=row.runtime,
        runtime_version=row.runtime_version,
        architecture=row.architecture,
        pool_driver=row.pool_driver,
        agent_version=row.agent_version,
        labels=row.labels | row.own_labels,
        own_labels=row.own_labels,
        taints=row.taints,
        pool=row.pool,
        max_containers=row.max_containers,
        max_stateful=row.max_stateful,
        overcommit=row.overcommit,
        capabilities=row.capabilities,
        images=row.images,
        capacity=_amounts(row),
        allocated=views.Allocated(
            cpu_millicores=row.cpu_claimed,
            memory_bytes=row.memory_claimed,
            disk_bytes=row.disk_claimed,
            containers=row.containers,
            stateful=row.stateful,
        ),
        usage=row.usage,
        lease_until=row.lease_until,
        down_at=row.down_at,
        fenced_at=row.fenced_at,
        reboot_until=row.reboot_until,
        failures=row.failures,
        aside_until=row.aside_until,
        aside_reason=row.aside_reason,
        created_at=row.created_at,
    )

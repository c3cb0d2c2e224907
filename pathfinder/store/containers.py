"""Containers: inserting, locking and changing them. Every change of status passes the lifecycle's table here."""

from collections import Counter
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.asking import MOST_PRIORITY
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import AlreadyExists
from pathfinder.domain.lifecycle import RUNNING, ContainerType, Status
from pathfinder.domain.resources import Resources
from pathfinder.domain.specs import ContainerSpec
from pathfinder.store import bulk, claims

_BEGINNING = UUID(int=0)

#: What `spec` holds of what was asked for.
_SPEC = (
    *("profiles", "config", "devices", "max_attempts", "limits", "node_labels", "architecture", "constraints"),
    *("pool", "tolerations", "affinity", "spread", "budget"),
    *("environment", "files", "user_data", "checks", "restart", "bootstrappers"),
)

_INSERT: bulk.Columns = {
    "id": "uuid",
    "hostname": "text",
    "image": "text",
    "type": "text",
    "cpu": "bigint",
    "memory": "bigint",
    "disk": "bigint",
    "labels": "text",
    "spec": "text",
    "priority": "bigint",
    "policy": "text",
    "averse": "boolean",
    "revision": "bigint",
}


async def insert(
    tx: AsyncConnection,
    cluster_id: UUID,
    default_image: str,
    new: Mapping[UUID, ContainerSpec],
    trace_id: str,
    *,
    together: bool = False,
    deployment_id: UUID | None = None,
    revisions: Mapping[UUID, int] = MappingProxyType({}),
) -> list[int]:
    """Insert `new` PENDING containers by their ids, all or none; their generations in that order.

    A hostname that was used before goes on counting generations where it stopped, so that late messages about its
    predecessor are older than everything about its successor; where that was pruned, its cluster knows a number that
    is great enough. Those that go `together` are a gang; the replicas of a deployment are of these `revisions` of it.
    Raises AlreadyExists.
    """
    first, specs = next(iter(new)), new.values()
    gang = {"gang": {"id": str(first), "size": len(new)}} if together else {}
    # Equal containers of a batch share a shape.
    shapes = {id(spec.shape): spec.shape for spec in specs}
    texts = {key: (_text(shape["labels"]), _text(_kept(shape) | gang)) for key, shape in shapes.items()}
    rows = [
        {
            "id": id_,
            "hostname": spec.hostname,
            "image": spec.image or default_image,
            "type": spec.type,
            "cpu": spec.resources.cpu_millicores,
            "memory": spec.resources.memory_bytes,
            "disk": spec.resources.disk_bytes,
            "labels": texts[id(spec.shape)][0],
            "spec": texts[id(spec.shape)][1],
            "priority": spec.priority,
            "policy": spec.policy,
            "averse": spec.averse,
            "revision": revisions.get(id_, 0),
        }
        for id_, spec in new.items()
    ]
    result = await tx.execute(
        text(f"""
            INSERT INTO containers (id, cluster_id, hostname, image, type, cpu_millicores, memory_bytes, disk_bytes,
                                    labels, spec, priority, policy, averse, revision, gang, deployment_id, trace_id,
                                    generation)
            SELECT id, :cluster_id, hostname, image, type, cpu, memory, disk, labels::jsonb, spec::jsonb,
                   priority, policy, averse, revision, CAST(:gang AS uuid), CAST(:deployment_id AS uuid), :trace_id,
                   GREATEST((SELECT generation_floor FROM clusters WHERE id = :cluster_id),
                            (SELECT max(c.generation) FROM containers AS c
                             WHERE c.cluster_id = :cluster_id AND c.hostname = n.hostname AND c.status = 'DELETED'),
                            (SELECT c.generation FROM containers AS c
                             WHERE c.cluster_id = :cluster_id AND c.hostname = n.hostname AND c.status <> 'DELETED'))
            FROM {bulk.rows(_INSERT, "n")} ORDER BY hostname
            ON CONFLICT (cluster_id, hostname) WHERE status <> 'DELETED' DO NOTHING
            RETURNING hostname, generation
        """),  # noqa: S608 - only constants are put into the text
        {
            "cluster_id": cluster_id,
            "trace_id": trace_id,
            "gang": first if together else None,
            "deployment_id": deployment_id,
            **bulk.parameters(_INSERT, rows),
        },
    )
    inserted = {row.hostname: row.generation for row in result}
    taken = [spec.hostname for spec in specs if spec.hostname not in inserted]
    if taken:
        raise AlreadyExists(
            f"{', '.join(taken[:5])}{' …' if len(taken) > 5 else ''}: a living container has that name already. "
            "Choose another, or delete the old one and wait until it is gone (`pfi delete container NAME --wait`)."
        )
    return [inserted[spec.hostname] for spec in specs]


def _kept(shape: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shape[name] for name in _SPEC if name in shape}


def _text(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document).decode()


# In this order `_container` takes them.
_STATE = """
    SELECT c.id, c.cluster_id, c.hostname, c.image, c.type, c.status, c.generation, c.node_id, n.hostname AS node,
           c.ipaddress, c.cpu_millicores, c.memory_bytes, c.disk_bytes, CAST(c.spec AS text) AS spec,
           c.waiting, c.wakes, c.message, c.decision_id, c.trace_id, c.status_at, c.attempts, c.retry_at, c.takeover,
           c.priority, c.policy, CAST(c.labels AS text) AS labels, c.gang, c.deployment_id, c.revision,
           c.bootstrapped
    FROM containers AS c LEFT JOIN nodes AS n ON n.id = c.node_id
"""
_BY_ID = text(f"{_STATE} WHERE c.id = ANY(:ids) ORDER BY c.id FOR UPDATE OF c")
_BY_NAME = text(
    f"{_STATE} WHERE c.cluster_id = :cluster_id AND c.hostname = :hostname AND c.status <> 'DELETED' FOR UPDATE OF c"
)
_OF_DEPLOYMENT = text(f"{_STATE} WHERE c.deployment_id = :id AND c.status <> 'DELETED' ORDER BY c.id")
_OF_NODE = text(f"{_STATE} WHERE c.node_id = :node_id AND c.status <> 'DELETED' ORDER BY c.id FOR UPDATE OF c")
# A gang stands in line by its first container.
_FOR_ITS_GANG = """(c.gang IS NULL OR c.id = (
          SELECT g.id FROM containers AS g WHERE g.gang = c.gang AND g.status = 'PENDING' ORDER BY g.id LIMIT 1
      ))"""
_TO_PLACE = f"""
    c.cluster_id = :cluster_id AND c.status = 'PENDING' AND {{}}
      AND (-c.priority, c.id) > (CAST(:urgency AS bigint), CAST(:after AS uuid))
      AND (c.retry_at IS NULL OR c.retry_at <= now()) AND NOT {claims.RUNS_STILL}
      AND {_FOR_ITS_GANG}
"""
_NEXT = f"""
    {_STATE} WHERE {_TO_PLACE} ORDER BY -c.priority, c.id LIMIT :limit FOR UPDATE OF c SKIP LOCKED
"""
_BY_NEWS = "(NOT c.waiting OR c.wakes && CAST(:news AS text[]))"
# However many wait, the new ones are found without looking at those.
_FRESH, _WOKEN = (text(_NEXT.format(which)) for which in ("NOT c.waiting", _BY_NEWS))
_BEFORE_PAGE = text(f"""
    SELECT max(c.priority) FROM containers AS c WHERE {_TO_PLACE.format(_BY_NEWS)}
      AND -c.priority < -CAST(:least AS bigint) AND c.id <> ALL(:ids)
""")  # noqa: S608 - the text is put together from the constants above

_WAITING = text(f"""
    {_STATE} JOIN clusters AS k ON k.id = c.cluster_id
    WHERE c.cluster_id = :cluster_id AND c.status = 'PENDING' AND c.waiting AND c.retry_at IS NULL
      AND COALESCE(c.policy, k.policy) = :policy AND {_FOR_ITS_GANG}
    ORDER BY -c.priority, c.id LIMIT :limit
""")
_MEMBERS = text(f"{_STATE} WHERE c.gang = ANY(:gangs) AND c.status = 'PENDING' ORDER BY c.id")
# A gang is taken by its first container: whoever has that one has them all, but for one that is being deleted.
_OF_GANGS = text(f"""
    {_STATE} WHERE c.gang = ANY(:gangs) AND c.status = 'PENDING' ORDER BY c.id FOR UPDATE OF c SKIP LOCKED
""")
_STILL_PENDING = text("SELECT id FROM containers WHERE id = ANY(:ids) AND status = 'PENDING'")
_GANG_SIZES = text("""
    SELECT gang, count(*) AS size FROM containers WHERE gang = ANY(:gangs) AND status = 'PENDING' GROUP BY gang
""")


async def lock(tx: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Container]:
    """Lock these containers, in the order of their ids so that two writers cannot wait for each other."""
    result = await tx.execute(_BY_ID, {"ids": list(ids)})
    return {container.id: container for container in map(_container, result)}


async def lock_named(tx: AsyncConnection, cluster_id: UUID, hostname: str) -> Container | None:
    """Lock the living container of that name, if there is one."""
    row = (await tx.execute(_BY_NAME, {"cluster_id": cluster_id, "hostname": hostname})).one_or_none()
    return None if row is None else _container(row)


async def lock_of_node(tx: AsyncConnection, node_id: UUID) -> list[Container]:
    """Lock every container placed on a node."""
    return [_container(row) for row in await tx.execute(_OF_NODE, {"node_id": node_id})]


async def of_deployment(tx: AsyncConnection, deployment_id: UUID) -> list[Container]:
    """The living replicas of a deployment, not locked."""
    return [_container(row) for row in await tx.execute(_OF_DEPLOYMENT, {"id": deployment_id})]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the PENDING containers. The next page begins after the `last` of the queue that was looked at, which need
    not be one of them; there is none after one that is not `full`.
    """

    containers: list[Container]
    last: Container | None
    full: bool


async def take_pending(
    tx: AsyncConnection, cluster_id: UUID, *, news: Collection[str], after: Container | None, limit: int
) -> Page:
    """Lock the next PENDING containers that nobody else works on, in the order of their priority and age, those that
    come `after` this one; of those that could not be placed before, the ones for which one of the kinds of event in
    `news` may have changed that. Those that are to be tried again later, or may still run somewhere, are left alone.
    Gangs come whole, before the rest.
    """
    given = {**_line(cluster_id, news, after), "limit": limit}
    page = [_container(row) for row in await tx.execute(_WOKEN if news else _FRESH, given)]
    last, full = page[-1] if page else None, len(page) == limit
    gangs = {one.gang for one in page if one.gang is not None}
    if not gangs:
        return Page(page, last, full)
    members = [_container(row) for row in await tx.execute(_OF_GANGS, {"gangs": list(gangs)})]
    sizes = {row.gang: row.size for row in await tx.execute(_GANG_SIZES, {"gangs": list(gangs)})}
    taken = Counter(one.gang for one in members)
    whole = {gang for gang in gangs if taken[gang] == sizes.get(gang)}
    found = [one for one in members if one.gang in whole] + [one for one in page if one.gang is None]
    return Page(found, last, full)


async def before_page(
    tx: AsyncConnection, cluster_id: UUID, page: Sequence[Container], *, news: Collection[str], after: Container | None
) -> int | None:
    """The highest priority among those that stand in line before some of a page that `take_pending` gave, by this
    news, and are not on it. None if there are none.
    """
    given = {"least": min(one.priority for one in page), "ids": [one.id for one in page]}
    return (await tx.execute(_BEFORE_PAGE, {**_line(cluster_id, news, after), **given})).scalar()


def _line(cluster_id: UUID, news: Collection[str], after: Container | None) -> dict[str, Any]:
    urgency, id_ = (-MOST_PRIORITY - 1, _BEGINNING) if after is None else (-after.priority, after.id)
    return {"cluster_id": cluster_id, "urgency": urgency, "after": id_, **({"news": list(news)} if news else {})}


async def waiting(tx: AsyncConnection, cluster_id: UUID, policy: str, limit: int) -> list[Container]:
    """The most urgent containers that could not be placed by this policy, not locked. Of gangs the first counts to the
    limit, and all come.
    """
    result = await tx.execute(_WAITING, {"cluster_id": cluster_id, "policy": policy, "limit": limit})
    page = [_container(row) for row in result]
    gangs = [one.gang for one in page if one.gang is not None]
    if not gangs:
        return page
    members = [_container(row) for row in await tx.execute(_MEMBERS, {"gangs": gangs})]
    return members + [one for one in page if one.gang is None]


async def still_pending(tx: AsyncConnection, ids: Iterable[UUID]) -> set[UUID]:
    """Those of them that wait for a node now."""
    return set((await tx.execute(_STILL_PENDING, {"ids": list(ids)})).scalars())


#: A stored document; equal ones are read once and shared, so none is to be changed.
_shared = lru_cache(10_000)(orjson.loads)


def _container(row: Any) -> Container:
    # Columns by their names are looked up one by one, which costs more than all else of it.
    # fmt: off
    (
        id_, cluster_id, hostname, image, type_, status, generation, node_id, node, ipaddress, cpu, memory, disk, spec,
        waiting, wakes, message, decision_id, trace_id, status_at, attempts, retry_at, takeover, priority, policy,
        labels, gang, deployment_id, revision, bootstrapped,
    ) = row
    # fmt: on
    return Container(
        id=id_,
        cluster_id=cluster_id,
        hostname=hostname,
        image=image,
        type=ContainerType(type_),
        status=Status(status),
        generation=generation,
        node_id=node_id,
        node=node,
        ipaddress=ipaddress,
        resources=Resources(cpu, memory, disk),
        spec=_shared(spec),
        waiting=waiting,
        wakes=frozenset(wakes),
        message=message,
        decision_id=decision_id,
        trace_id=trace_id,
        status_at=status_at,
        attempts=attempts,
        retry_at=retry_at,
        takeover=takeover,
        priority=priority,
        policy=policy,
        labels=_shared(labels),
        gang=gang,
        deployment_id=deployment_id,
        revision=revision,
        bootstrapped=bootstrapped,
    )


_SAVE: bulk.Columns = {
    "id": "uuid",
    "status": "text",
    "generation": "bigint",
    "node_id": "uuid",
    "ipaddress": "text",
    "waiting": "boolean",
    "wakes": "text",
    "message": "text",
    "decision_id": "uuid",
    "takeover": "boolean",
    "decided": "boolean",
    "attempts": "bigint",
    "retry_at": "timestamptz",
    "bootstrapped": "text",
}
# What is known of its health is about a placement, while it runs.
_IN = ", ".join(f"'{status}'" for status in sorted(RUNNING))
_GOES_ON = f"(c.generation = s.generation AND s.status IN ({_IN}))"
_UPDATE = text(f"""
    WITH changed AS (
    UPDATE containers AS c
    SET status = s.status, generation = s.generation, node_id = s.node_id, ipaddress = s.ipaddress,
        waiting = s.waiting, wakes = string_to_array(s.wakes, ' '), message = s.message,
        explanation = NULL, decision_id = s.decision_id,
        health = CASE WHEN {_GOES_ON} THEN c.health ELSE 'UNKNOWN' END,
        health_message = CASE WHEN {_GOES_ON} THEN c.health_message END,
        health_at = CASE WHEN {_GOES_ON} OR c.health = 'UNKNOWN' THEN c.health_at ELSE now() END,
        bootstrapped = s.bootstrapped, attempts = s.attempts, retry_at = s.retry_at, takeover = s.takeover,
        gang = CASE WHEN s.status = 'PENDING' THEN c.gang END,
        decided_at = CASE WHEN s.decided THEN now() ELSE c.decided_at END,
        status_at = CASE WHEN c.status = s.status THEN c.status_at ELSE now() END
    FROM {bulk.rows(_SAVE, "s")}
    WHERE c.id = s.id
    RETURNING c.deployment_id
    )
    INSERT INTO touches (deployment_id) SELECT DISTINCT deployment_id FROM changed WHERE deployment_id IS NOT NULL
""")  # noqa: S608 - the text is put together from the constants above


def save(tx: AsyncConnection, changed: Sequence[Container]) -> Coroutine[Any, Any, None]:
    """Write containers that were locked in this transaction and changed with `Container.to` or `replace`, and that
    their deployments are to be looked at. What is written is put together at once.
    """
    items = [
        {**{name: getattr(one, name) for name in _SAVE}, "wakes": " ".join(one.wakes) if one.waiting else ""}
        for one in changed
    ]
    return _save(tx, bulk.parameters(_SAVE, items))


async def _save(tx: AsyncConnection, columns: dict[str, list[Any]]) -> None:
    if columns["id"]:
        await tx.execute(_UPDATE, columns)


_REWRITE = text("""
    UPDATE containers SET labels = CAST(:labels AS jsonb), spec = CAST(:spec AS jsonb), priority = :priority,
                          policy = :policy, revision = :revision
    WHERE id = :id
""")


async def rewrite(tx: AsyncConnection, container: Container, spec: ContainerSpec, revision: int) -> Container:
    """Have a locked container be asked for as `spec` says, of that revision of its deployment. Its image, type, name
    and claims stay what they are.
    """
    kept = _kept(spec.shape)
    given = {
        "id": container.id,
        "labels": _text(spec.labels),
        "spec": _text(kept),
        "priority": spec.priority,
        "policy": spec.policy,
        "revision": revision,
    }
    await tx.execute(_REWRITE, given)
    return replace(
        container, spec=kept, labels=spec.labels, priority=spec.priority, policy=spec.policy, revision=revision
    )


# Not EXISTS: PostgreSQL would read the table, for it expects to find one soon. And from the end of the index, for
# its beginning is what is left of those that were placed, until that is tidied.
_TO_BE_PLACED = text("""
    SELECT id FROM containers WHERE status = 'PENDING' AND NOT waiting
    ORDER BY cluster_id DESC, (-priority) DESC, id DESC LIMIT 1
""")


async def to_place(tx: AsyncConnection) -> bool:
    """Whether a container of any cluster is still to be looked at by a scheduler, as far as is committed."""
    return (await tx.execute(_TO_BE_PLACED)).first() is not None


async def wait_for(tx: AsyncConnection, cluster_id: UUID, kind: str) -> bool:
    """Whether a container waits for an event of that kind."""
    result = await tx.execute(
        text("""
            SELECT EXISTS (
                SELECT FROM containers WHERE cluster_id = :cluster_id AND status = 'PENDING' AND waiting
                  AND wakes && ARRAY[:kind]
            )
        """),
        {"cluster_id": cluster_id, "kind": kind},
    )
    return bool(result.scalar_one())

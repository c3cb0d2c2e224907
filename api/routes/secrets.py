"""Secrets for containers: set, list, delete. No answer ever has a value."""

from typing import Annotated

from fastapi import Path, Query

from api.auth import Operator, guarded
from api.deps import ClusterName, Limit, ProcessDep, TraceId
from api.errors import documented
from pathfinder.domain import identity, views
from pathfinder.domain.identity import SecretName, SecretSpec
from pathfinder.store import clusters, secrets

router = guarded("/secrets", "secrets")

Name = Annotated[SecretName, Path(max_length=63, description="Name of the secret.")]


@router.get("", responses=documented(404))
async def get_all(
    process: ProcessDep,
    asking: Operator,
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=63, description="The next_cursor of the page before.")] = "",
    cluster: ClusterName = "default",
) -> views.Page[identity.Secret]:
    """The secrets of a cluster, by name, without their values."""
    async with process.database.read() as tx:
        rows = await secrets.page(tx, await clusters.find(tx, cluster), cursor, limit + 1)
    return views.Page(items=rows[:limit], next_cursor=rows[limit - 1].name if len(rows) > limit else None)


@router.put("/{name}", status_code=204, responses=documented(404, 409))
async def put(
    name: Name,
    spec: SecretSpec,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    cluster: ClusterName = "default",
) -> None:
    """Keep a value, encrypted, in place of a former one. Containers get it when they are made next."""
    value = spec.value.get_secret_value()
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        await process.vault.put(tx, found, name, value, asking.actor, trace_id)


@router.delete("/{name}", status_code=204, responses=documented(404))
async def delete(
    name: Name, process: ProcessDep, asking: Operator, trace_id: TraceId, cluster: ClusterName = "default"
) -> None:
    """Forget a secret. What containers were given of it stays with them."""
    async with process.database.begin() as tx:
        await secrets.delete(tx, await clusters.find(tx, cluster), name, asking.actor, trace_id)

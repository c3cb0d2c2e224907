"""Quotas: the most that the living containers of a cluster may ask for together."""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import QuotaExceeded
from pathfinder.domain.resources import format_bytes, format_cpu
from pathfinder.domain.specs import ContainerSpec

# Whoever creates in a cluster that has a quota waits for whoever did so before, so that both count.
_LOCK = text("SELECT quota FROM clusters WHERE id = :id FOR NO KEY UPDATE")
_USED = text("""
    SELECT COALESCE(sum(cpu_millicores), 0)::bigint AS cpu_millicores,
           COALESCE(sum(memory_bytes), 0)::bigint AS memory_bytes,
           COALESCE(sum(disk_bytes), 0)::bigint AS disk_bytes, count(*) AS containers
    FROM containers WHERE cluster_id = :id AND status <> 'DELETED'
      AND (deployment_id IS NULL OR deployment_id <> ALL(CAST(:without AS uuid[])))
""")
_PARTS: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "cpu_millicores": ("cpu", format_cpu),
    "memory_bytes": ("memory", format_bytes),
    "disk_bytes": ("disk", format_bytes),
    "containers": ("containers", str),
}


async def used(tx: AsyncConnection, cluster_id: UUID, without: Collection[UUID] = ()) -> Mapping[str, int]:
    """What the living containers of a cluster ask for, by the names of a quota's parts; those of the deployments
    `without` left out.
    """
    return dict((await tx.execute(_USED, {"id": cluster_id, "without": list(without)})).one()._mapping)


async def admit(
    tx: AsyncConnection,
    cluster_id: UUID,
    name: str,
    specs: Sequence[ContainerSpec],
    *,
    without: Collection[UUID] = (),
) -> None:
    """Hold the cluster until the transaction ends, and see that its quota leaves room; for all replicas of some
    deployments `without` are those deployments. Raises QuotaExceeded.
    """
    quota: Mapping[str, int] = (await tx.execute(_LOCK, {"id": cluster_id})).scalar_one() or {}
    there = await used(tx, cluster_id, without)
    asked = {
        "cpu_millicores": sum(spec.resources.cpu_millicores for spec in specs),
        "memory_bytes": sum(spec.resources.memory_bytes for spec in specs),
        "disk_bytes": sum(spec.resources.disk_bytes for spec in specs),
        "containers": len(specs),
    }
    over = [part for part in _PARTS if part in quota and there[part] + asked[part] > quota[part]]
    if over:
        told = "; ".join(_sentence(part, quota[part], there[part], asked[part]) for part in over)
        flags = " ".join(f"--quota-{_PARTS[part][0]} …" for part in over)
        raise QuotaExceeded(
            f"Cluster {name!r} would go over its quota: {told}. Delete what is not needed, or raise the quota: "
            f"pfi update cluster {name} {flags}"
        )


def _sentence(part: str, quota: int, there: int, asked: int) -> str:
    noun, write = _PARTS[part]
    return f"{noun}: {write(there)} of {write(quota)} used, {write(asked)} more asked for"

"""Whether a deployment can be as it is declared: checked before anything of it is written."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import autoscaling, meta
from pathfinder.domain.autoscaling import Autoscaling
from pathfinder.domain.deployed import check_template
from pathfinder.domain.deployments import replica_name
from pathfinder.domain.errors import AlreadyExists, FieldProblem, Invalid
from pathfinder.domain.fields import field_path
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.store import quotas, requests, secrets
from pathfinder.store.clusters import Cluster


async def check_reads(tx: AsyncConnection, cluster: Cluster, name: str, template: Mapping[str, Any]) -> list[str]:
    """The deployments whose addresses this template of the deployment `name` reads, if it may.

    Raises Invalid for functions that are not right, deployments that are not there, and circles.
    """
    check_template(name, template, 1)
    found = meta.reads(template)
    rows = await tx.execute(
        text("""
            SELECT name, ARRAY(SELECT jsonb_array_elements_text(document->'reads')) AS reads FROM deployments
            WHERE cluster_id = :cluster_id AND NOT leaving
        """),
        {"cluster_id": cluster.id},
    )
    edges = {row.name: frozenset(row.reads) for row in rows}
    wrong = [
        FieldProblem(field_path(("template", *call.path)), f"there is no deployment {read!r} in {cluster.name!r}")
        for read, calls in found.items()
        for call in calls
        if read not in edges and read != name
    ]
    if wrong:
        raise Invalid(f"The template of {name!r} reads the addresses of deployments that are not there.", wrong)
    circle = meta.cycle(name, {**edges, name: frozenset(found)})
    if circle:
        call = found[circle[1]][0]
        words = f"goes round in a circle: {' reads '.join(circle)}"
        raise Invalid(
            "Deployments may not depend on each other.", [FieldProblem(field_path(("template", *call.path)), words)]
        )
    return sorted(found)


async def check_secrets(tx: AsyncConnection, cluster_id: UUID, rules: Autoscaling) -> None:
    """Raise Invalid for metrics that name a secret which is not there."""
    named = autoscaling.secrets(rules)
    missing = await secrets.missing(tx, cluster_id, set(named.values())) if named else set()
    wrong = [
        FieldProblem(f"autoscaling.metrics[{index}].secret", f"there is no secret {name!r}; `pfi secret set` keeps one")
        for index, name in named.items()
        if name in missing
    ]
    if wrong:
        raise Invalid("Some metrics name secrets that are not there.", wrong)


async def check(
    tx: AsyncConnection,
    cluster: Cluster,
    name: str,
    template: Mapping[str, Any],
    replicas: int,
    *,
    id_: UUID | None,
    grows: bool,
    rules: Rules = BUILT_IN,
) -> None:
    """Whether the deployment `name`, if it is there that of `id_`, can have so many replicas of this template. Only if
    it `grows` the quota is looked at.

    Raises Invalid, NeverFits, QuotaExceeded, AlreadyExists.
    """
    first = check_template(name, template, replicas)
    try:
        await requests.check(tx, cluster, [first])
        await requests.check_sizes(tx, cluster, [first], await requests.policies_of(tx, cluster, [first], rules))
    except Invalid as error:
        raise _within(error, "template.") from error
    await _free(tx, cluster.id, [replica_name(name, one) for one in range(1, replicas + 1)], id_)
    if grows and cluster.quota is not None:
        await quotas.admit(tx, cluster.id, cluster.name, [first] * replicas, without=[id_] if id_ else ())


async def readers(tx: AsyncConnection, cluster_id: UUID, name: str) -> list[str]:
    """The deployments whose wanted templates read the addresses of the deployment `name`."""
    rows = await tx.execute(
        text("""
            SELECT name FROM deployments
            WHERE cluster_id = :cluster_id AND NOT leaving AND document->'reads' ? :name ORDER BY name
        """),
        {"cluster_id": cluster_id, "name": name},
    )
    return list(rows.scalars())


async def addresses(tx: AsyncConnection, cluster_id: UUID, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The addresses of these deployments' wanted replicas, as far as they have some, in the order of their numbers."""
    found: dict[str, list[str]] = {name: [] for name in names}
    if not found:
        return {}
    rows = await tx.execute(
        text("""
            SELECT name, ipaddress FROM (
                SELECT d.name, d.replicas, c.ipaddress, c.status,
                       row_number() OVER (PARTITION BY d.id ORDER BY number) AS place
                FROM deployments AS d
                JOIN containers AS c ON c.deployment_id = d.id
                CROSS JOIN LATERAL CAST(substr(c.hostname, length(d.name) + 2) AS bigint) AS number
                WHERE d.cluster_id = :cluster_id AND d.name = ANY(:names)
                  AND c.status NOT IN ('DELETED', 'SCHEDULE_DELETION')
            ) AS replica
            WHERE place <= replicas AND ipaddress IS NOT NULL AND status <> 'LOST' ORDER BY place
        """),
        {"cluster_id": cluster_id, "names": list(found)},
    )
    for row in rows:
        found[row.name].append(row.ipaddress)
    return {name: tuple(there) for name, there in found.items()}


async def _free(tx: AsyncConnection, cluster_id: UUID, names: Collection[str], id_: UUID | None) -> None:
    """Raise AlreadyExists where a container that is no replica of the deployment `id_` has one of these names."""
    rows = await tx.execute(
        text("""
            SELECT hostname FROM containers
            WHERE cluster_id = :cluster_id AND hostname = ANY(:names) AND status <> 'DELETED'
              AND (deployment_id IS NULL OR deployment_id IS DISTINCT FROM CAST(:id AS uuid)) ORDER BY hostname LIMIT 6
        """),
        {"cluster_id": cluster_id, "names": list(names), "id": id_},
    )
    taken = list(rows.scalars())
    if taken:
        raise AlreadyExists(
            f"{', '.join(taken[:5])}{' …' if len(taken) > 5 else ''}: replicas would be called so, and containers "
            "of others are. Give the deployment another name, or delete those."
        )


def _within(error: Invalid, prefix: str) -> Invalid:
    """The same error, of fields within another."""
    return type(error)(error.message, [FieldProblem(prefix + one.field, one.message) for one in error.problems])

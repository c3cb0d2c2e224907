"""How deployments are scaled by themselves, and how large their replicas should be."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query

from api.auth import Operator, guarded
from api.deps import ClusterName, ProcessDep
from api.errors import documented
from api.routes.deployments import Name
from pathfinder.controllers import recommending
from pathfinder.domain import autoscaling_views as views
from pathfinder.store import autoscaling, clusters, deployment_listing
from pathfinder.store.autoscaling import REPLICA_CPU, REPLICA_MEMORY

router = guarded("/deployments", "deployments")


@router.get("/{name}/autoscaling", responses=documented(404))
async def get(
    name: Name,
    process: ProcessDep,
    asking: Operator,
    limit: Annotated[int, Query(ge=1, le=500, description="Most decisions.")] = 20,
    cluster: ClusterName = "default",
) -> views.AutoscalingState:
    """How a deployment is scaled, what was measured last, and what was decided, with its numbers."""
    async with process.database.read() as tx:
        found = await deployment_listing.one(tx, (await clusters.find(tx, cluster)).id, name)
        written = found.document.get("autoscaling")
        called = [one["name"] or one["type"] for one in written["metrics"]] if written else []
        measured = await autoscaling.latest(tx, found.id, called)
        decisions = await autoscaling.kept(tx, found.id, limit)
    return views.AutoscalingState(
        deployment=name,
        replicas=found.replicas,
        ready=found.counts.available,
        rules=written,
        measured=[views.Measured(**asdict(one)) for one in measured],
        decisions=[
            views.ScalingDecision(at=one.at, before=one.before, after=one.after, **one.document) for one in decisions
        ],
    )


@router.get("/{name}/recommendation", responses=documented(404))
async def recommend(
    name: Name,
    process: ProcessDep,
    asking: Operator,
    days: Annotated[float, Query(gt=0, le=90, description="What was used in so many last days.")] = 7,
    cluster: ClusterName = "default",
) -> views.Recommendation:
    """How large the replicas of a deployment should be, by what the busiest of them has used."""
    async with process.database.read() as tx:
        found = await deployment_listing.one(tx, (await clusters.find(tx, cluster)).id, name)
        cpu = await autoscaling.history(tx, found.id, REPLICA_CPU, days)
        memory = await autoscaling.history(tx, found.id, REPLICA_MEMORY, days)
        asked_cpu, asked_memory = await autoscaling.asked(tx, found.id)
    return views.Recommendation(
        deployment=name,
        days=days,
        cpu=views.ResourceAdvice(**asdict(recommending.cpu(asked_cpu, [value for _, value in cpu]))),
        memory=views.ResourceAdvice(**asdict(recommending.memory(asked_memory, [value for _, value in memory]))),
    )

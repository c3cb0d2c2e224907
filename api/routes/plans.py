"""Plans: what would happen, without doing it."""

from api.auth import Operator, guarded
from api.deps import ClusterName, ProcessDep
from api.errors import documented
from pathfinder.domain import views
from pathfinder.domain.specs import CreatePlan, DrainPlan, LosePlan
from pathfinder.store import clusters, plans

router = guarded("/plans", "plans")


@router.post("/create", responses=documented(404, 409))
async def create(
    wanted: CreatePlan, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Plan:
    """Where containers would go if they were asked for now."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        return await plans.create(
            tx,
            found,
            wanted.containers,
            wanted.seed,
            together=wanted.together,
            document=wanted.document,
            explained=wanted.explain,
            rules=process.rules,
        )


@router.post("/lose", responses=documented(404))
async def lose(lost: LosePlan, process: ProcessDep, asking: Operator, cluster: ClusterName = "default") -> views.Plan:
    """Where containers would go if some nodes, or all of a zone, died now."""
    zone = None if lost.zone is None else (process.settings.zone_label, lost.zone)
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        return await plans.lose(tx, found, lost.nodes, zone, lost.seed, process.rules)


@router.post("/drain", responses=documented(404))
async def drain(
    emptied: DrainPlan, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Plan:
    """Where containers would go if some nodes were emptied now."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        return await plans.drain(tx, found, emptied.nodes, emptied.seed, process.rules)

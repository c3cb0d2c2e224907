"""What is wrong with a deployment: metrics it is to be scaled by that somebody else knows, and does not tell."""

from collections.abc import Sequence
from uuid import UUID

from pathfinder.controllers.situation import ClusterRef
from pathfinder.controllers.wishes import Unknown
from pathfinder.domain.problems import Problem, ProblemKind, Severity

#: So many of a deployment's metrics are told with their reasons; one source that is down has mostly taken all of them.
EACH = 3


def metrics_unknown(cluster: ClusterRef, id_: UUID, name: str, failing: Sequence[Unknown]) -> Problem:
    """One problem for all metrics of a deployment whose source gave no number. `failing` is not empty."""
    told = ", ".join(f"{one.name} ({one.reason})" for one in failing[:EACH])
    more = f", and {len(failing) - EACH} more" if len(failing) > EACH else ""
    pfi = f"pfi --cluster {cluster.name}"
    return Problem(
        ProblemKind.DEPLOYMENT_METRIC_UNKNOWN,
        Severity.WARNING,
        name,
        f"Deployment {name} is not made smaller while these of its metrics cannot be told: {told}{more}.",
        f"Mend the source, or what `{pfi} edit deployment {name}` shows of it (url, query or pointer, secret); "
        f"`{pfi} explain autoscaling {name}` tells what each metric says.",
        cluster_id=cluster.id,
        subject_type="deployment",
        subject_id=id_,
        scope=f"{cluster.name}/{name}",
    )

"""Replays: what was recorded, run through policies side by side."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from api.auth import Operator, guarded
from api.deps import ClusterName, ProcessDep
from api.errors import documented
from api.routes.events import moment
from pathfinder.domain import views
from pathfinder.domain.errors import Invalid, Unavailable
from pathfinder.domain.policies import PolicyDocument
from pathfinder.domain.specs import ReplaySpec
from pathfinder.plugins import discovered
from pathfinder.scheduling.policy import POLICIES, compiled
from pathfinder.scheduling.replay import Result, replay
from pathfinder.scheduling.workload import Workload
from pathfinder.store import clusters, policies, replays
from pathfinder.store.replays import Recorded

router = guarded("/replays", "replays")

#: How long a replay may take; it runs in a process of its own, so requests do not wait for it.
MOST_SECONDS = 240.0

_ONE_AT_A_TIME = CapacityLimiter(1)


@router.post("", responses=documented(404))
async def create(
    wanted: ReplaySpec, process: ProcessDep, asking: Operator, cluster: ClusterName = "default"
) -> views.Replay:
    """Replay what this cluster was asked for under several policies. Nothing is written."""
    async with process.database.begin() as tx:
        found = await clusters.find(tx, cluster)
        chosen = []
        for name in dict.fromkeys(wanted.policies or POLICIES):
            await policies.require(tx, name)
            one = await policies.named(tx, name, rules=process.rules)
            chosen.append((one.document(), one.version))
        recorded = await replays.recorded(tx, found.id, found.name, moment(wanted.since))
    try:
        async with asyncio.timeout(MOST_SECONDS):
            results = await to_process.run_sync(
                _replayed,
                *(recorded.workload, chosen, wanted.seed, wanted.trials),
                cancellable=True,
                limiter=_ONE_AT_A_TIME,
            )
    except TimeoutError:
        words = f"The replay took longer than {MOST_SECONDS:g} s. Take a shorter span, fewer policies or fewer trials."
        raise Invalid(words) from None
    except BrokenWorkerProcess as error:
        words = "The process that replays ended before it was done: it may have had too little memory."
        raise Unavailable(words) from error
    return _view(found.name, recorded, results)


def _replayed(workload: Workload, chosen: Sequence[tuple[PolicyDocument, int]], seed: int, trials: int) -> list[Result]:
    """In a process of its own: policies go there as documents, and other packages' rules are looked for anew."""
    rules = discovered()
    return [replay(workload, compiled(document, version, rules), seed, trials) for document, version in chosen]


def _view(cluster: str, recorded: Recorded, results: Sequence[Result]) -> views.Replay:
    return views.Replay(
        cluster=cluster,
        since=recorded.since,
        until=recorded.until,
        nodes=len(recorded.workload.nodes),
        containers=len(recorded.workload.items),
        came=recorded.came,
        went=recorded.went,
        forgotten=recorded.forgotten,
        share=recorded.share,
        at=list(results[0].at),
        policies=[_of(one, recorded.since) for one in results],
    )


def _of(result: Result, since: datetime) -> views.PolicyReplay:
    needed = result.needed
    return views.PolicyReplay(
        policy=result.policy,
        version=result.version,
        needed=views.NodesNeeded(
            nodes=needed.nodes,
            least=needed.least,
            most=needed.most,
            of=needed.of,
            containers=needed.containers,
            left_out=needed.left_out,
            at=since + timedelta(seconds=needed.at),
        ),
        **{name: mean for name, mean in result.means.items() if name != "waiting"},
        pending_p50_seconds=result.pending_quantile(0.5),
        pending_p99_seconds=result.pending_quantile(0.99),
        never_placed=result.never,
        decision_seconds=result.decision_seconds,
        series={name: list(column) for name, column in result.series.items()},
    )

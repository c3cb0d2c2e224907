"""Dead letters: list, get, replay, drop."""

from typing import Annotated

from fastapi import Path, Query

from api.auth import Operator, guarded
from api.deps import Limit, ProcessDep, TraceId
from api.errors import documented
from pathfinder.domain import views
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.messages import Kind
from pathfinder.store import audit, dead_letters

router = guarded("/dead", "dead letters")

LAST = 2**63 - 1

Id = Annotated[int, Path(alias="id", ge=1, le=LAST, description="The dead letter's id.")]
QueueName = Annotated[str | None, Query(max_length=255, description="Only those that failed in this queue.")]
Every = Annotated[bool, Query(alias="all", description="Those of every queue.")]


@router.get("", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Operator,
    queue: QueueName = None,
    limit: Limit = 200,
    cursor: Annotated[
        str | None, Query(max_length=19, pattern=r"^[0-9]+$", description="The next_cursor of the page before.")
    ] = None,
) -> views.Page[views.DeadLetter]:
    """Messages nobody could process, newest first."""
    before = LAST if cursor is None else min(int(cursor), LAST)
    async with process.database.begin() as tx:
        found = await dead_letters.page(tx, queue, before, limit + 1)
    shown = found[:limit]
    return views.Page(items=shown, next_cursor=str(shown[-1].id) if len(found) > limit else None)


@router.get("/{id}", responses=documented(404))
async def get(id_: Id, process: ProcessDep, asking: Operator) -> views.DeadMessage:
    """One of them, whole."""
    async with process.database.begin() as tx:
        return await dead_letters.find(tx, id_)


@router.post("/replay", responses=documented())
async def replay_all(
    process: ProcessDep, asking: Operator, trace_id: TraceId, queue: QueueName = None, every: Every = False
) -> views.Replayed:
    """Put those of a queue, or all, back to where they were published first."""
    _check(queue, every)
    async with process.database.begin() as tx:
        done = await dead_letters.replay_all(tx, queue)
        await audit.tell(
            tx, Kind.DEAD_REPLAYED, audit.NOTHING, queue or "all", asking.actor, trace_id, {"count": done.replayed}
        )
    return done


@router.post("/{id}/replay", responses=documented(404, 409))
async def replay(id_: Id, process: ProcessDep, asking: Operator, trace_id: TraceId) -> views.Replayed:
    """Put one back to where it was published first."""
    async with process.database.begin() as tx:
        await dead_letters.replay(tx, id_)
        await audit.tell(tx, Kind.DEAD_REPLAYED, audit.NOTHING, str(id_), asking.actor, trace_id, {"count": 1})
    return views.Replayed(replayed=1, kept=0)


@router.delete("", responses=documented())
async def drop_all(
    process: ProcessDep, asking: Operator, trace_id: TraceId, queue: QueueName = None, every: Every = False
) -> views.Dropped:
    """Forget those of a queue, or all, for good."""
    _check(queue, every)
    async with process.database.begin() as tx:
        dropped = await dead_letters.drop_all(tx, queue)
        await audit.tell(
            tx, Kind.DEAD_DROPPED, audit.NOTHING, queue or "all", asking.actor, trace_id, {"count": dropped}
        )
    return views.Dropped(dropped=dropped)


@router.delete("/{id}", responses=documented(404))
async def drop(id_: Id, process: ProcessDep, asking: Operator, trace_id: TraceId) -> views.Dropped:
    """Forget one for good."""
    async with process.database.begin() as tx:
        await dead_letters.drop(tx, id_)
        await audit.tell(tx, Kind.DEAD_DROPPED, audit.NOTHING, str(id_), asking.actor, trace_id, {"count": 1})
    return views.Dropped(dropped=1)


def _check(queue: str | None, every: bool) -> None:
    """Nobody means all of them by saying nothing."""
    if (queue is None) != every:
        raise Invalid(
            "It is not clear which dead letters are meant.", [FieldProblem("queue", "give queue=NAME, or all=true")]
        )

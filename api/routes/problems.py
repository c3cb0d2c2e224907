"""Problems: what is wrong, and what to do about it."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.auth import Operator, guarded
from api.deps import Limit, ProcessDep
from api.errors import documented
from pathfinder.domain import views
from pathfinder.store import problems

router = guarded("/problems", "problems")


@router.get("", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Operator,
    every: Annotated[bool, Query(alias="all", description="Those that are over, too.")] = False,
    limit: Limit = 200,
    cursor: Annotated[UUID | None, Query(description="The next_cursor of the page before.")] = None,
) -> views.Page[views.KnownProblem]:
    """Everything that is wrong now, in all clusters that whoever asks is for, newest first."""
    async with process.database.read() as tx:
        found = await problems.page(tx, every, cursor, limit + 1, asking.clusters)
    shown = found[:limit]
    return views.Page(items=shown, next_cursor=str(shown[-1].id) if len(found) > limit else None)

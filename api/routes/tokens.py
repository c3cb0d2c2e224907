"""Tokens: list, create, revoke."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from api.auth import Operator, Principal, guarded
from api.deps import Limit, ProcessDep, TraceId
from api.errors import documented
from pathfinder.domain import identity, views
from pathfinder.domain.access import Role, covers, may_grant
from pathfinder.domain.errors import FieldProblem, Forbidden, Invalid
from pathfinder.domain.identity import NewToken, TokenSpec
from pathfinder.store import clusters, tokens
from pathfinder.store.tokens import Eyes, Grant

router = guarded("/tokens", "tokens")


@router.get("", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Operator,
    limit: Limit = 200,
    cursor: Annotated[UUID | None, Query(description="The next_cursor of the page before.")] = None,
) -> views.Page[identity.Token]:
    """The tokens that whoever asks may revoke, oldest first: their own; of all clusters' admins, everybody's."""
    async with process.database.read() as tx:
        rows = await tokens.page(tx, _eyes(asking), cursor, limit + 1)
    return views.Page(items=rows[:limit], next_cursor=str(rows[limit - 1].id) if len(rows) > limit else None)


@router.post("", status_code=201, responses=documented(404, 409))
async def create(spec: TokenSpec, process: ProcessDep, asking: Operator, trace_id: TraceId) -> NewToken:
    """A new token. The answer is the only one that ever has its secret."""
    _check(spec, asking)
    joins = spec.role == Role.JOIN
    personal = spec.personal or not (joins or covers(asking.role, Role.ADMIN))
    async with process.database.begin() as tx:
        ids = await clusters.ids(tx, spec.clusters)
        if spec.replace and asking.user_id is not None:
            await tokens.revoke_own(tx, spec.name, asking.user_id, asking.actor, trace_id)
        grant = Grant(
            spec.name,
            spec.role,
            cluster_id=ids[0] if joins and ids else None,
            user_id=asking.user_id if personal else None,
            clusters=None if joins else ids,
            seconds=spec.seconds,
            uses=spec.uses,
        )
        id_, secret = await tokens.issue(tx, grant, asking.actor, trace_id)
        made = await tokens.view(tx, Eyes(Role.ADMIN, None, None, None), id_)
    return NewToken(**made.model_dump(), token=secret)


@router.delete("/{id}", status_code=204, responses=documented(404))
async def revoke(
    id_: Annotated[UUID, Path(alias="id", description="The token's id.")],
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
) -> None:
    """Void a token at once."""
    async with process.database.begin() as tx:
        await tokens.revoke(tx, _eyes(asking), id_, asking.actor, trace_id)


def _check(spec: TokenSpec, asking: Principal) -> None:
    """Nobody makes a token that may more than themselves, or that outlasts what they hold."""
    if not may_grant(asking.role, asking.clusters, Role(spec.role), spec.clusters):
        raise Forbidden("A token may do no more than who makes it: choose a lesser role, or name your own clusters.")
    if asking.session_id is None and not covers(asking.role, Role.ADMIN):
        raise Forbidden("Tokens are made after a login, or with an admin's token.")
    if spec.personal and asking.user_id is None:
        raise Invalid("The token is nobody's.", [FieldProblem("personal", "is for users; a token made this request")])
    if spec.role != Role.JOIN and spec.uses is not None:
        raise Invalid("Uses are not counted.", [FieldProblem("uses", "is for join tokens only")])
    if spec.role == Role.JOIN and (spec.personal or len(spec.clusters or ["any"]) != 1):
        raise Invalid("The join token is not right.", [FieldProblem("clusters", "name one, or none: nodes join one")])


def _eyes(asking: Principal) -> Eyes:
    return Eyes(asking.role, asking.clusters, asking.user_id, asking.token_id)

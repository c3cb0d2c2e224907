"""Users: list, create, delete, and their passwords."""

from typing import Annotated

from fastapi import Path, Query

from api.auth import Operator, guarded
from api.deps import Limit, ProcessDep, TraceId
from api.errors import documented
from api.routes.session import is_development
from pathfinder.domain import identity, views
from pathfinder.domain.access import Role, covers
from pathfinder.domain.errors import FieldProblem, Forbidden, Invalid
from pathfinder.domain.identity import PasswordChange, UserSpec
from pathfinder.passwords import hashed, matches
from pathfinder.store import clusters, users

router = guarded("/users", "users")

Name = Annotated[str, Path(max_length=63, description="Name of the user.")]


@router.get("", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Operator,
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=63, description="The next_cursor of the page before.")] = "",
) -> views.Page[identity.User]:
    """Every user, by name."""
    async with process.database.read() as tx:
        rows = await users.page(tx, cursor, limit + 1)
    return views.Page(items=rows[:limit], next_cursor=rows[limit - 1].name if len(rows) > limit else None)


@router.post("", status_code=201, responses=documented(404, 409))
async def create(spec: UserSpec, process: ProcessDep, asking: Operator, trace_id: TraceId) -> identity.User:
    """A new user, who may log in with this password."""
    password = spec.password.get_secret_value()
    _check(spec.name, password)
    known = await hashed(password)
    async with process.database.begin() as tx:
        ids = await clusters.ids(tx, spec.clusters)
        await users.create(tx, spec.name, known, spec.role, ids, actor=asking.actor, trace_id=trace_id)
        return await users.view(tx, spec.name)


@router.put("/{name}/password", status_code=204, responses=documented(404, 409))
async def set_password(
    name: Name, change: PasswordChange, process: ProcessDep, asking: Operator, trace_id: TraceId
) -> None:
    """Another password. All that was begun with the former one ends, but for the session that asks so."""
    password = change.password.get_secret_value()
    own = asking.user == name
    if not own and not (covers(asking.role, Role.ADMIN) and asking.clusters is None):
        raise Forbidden("Everybody sets their own password; others' only admins of all clusters.")
    _check(name, password)
    if own:
        async with process.database.read() as connection:
            user = await users.find(connection, name)
        current = change.current.get_secret_value() if change.current else ""
        external = user is not None and user.password is None  # refused below, as for everybody who asks that
        if not external and (user is None or not await matches(user.password, current)):
            raise Invalid("The password was not changed.", [FieldProblem("current", "is not the present password")])
    known = await hashed(password)
    async with process.database.begin() as tx:
        await users.set_password(tx, name, known, asking.session_id, actor=asking.actor, trace_id=trace_id)


@router.delete("/{name}", status_code=204, responses=documented(404))
async def delete(name: Name, process: ProcessDep, asking: Operator, trace_id: TraceId) -> None:
    """Forget a user: sessions and tokens of theirs end at once."""
    async with process.database.begin() as tx:
        await users.delete(tx, name, asking.actor, trace_id)


def _check(name: str, password: str) -> None:
    if is_development(name, password) or password == name:
        raise Invalid("The password is not used.", [FieldProblem("password", "is the first that anybody would guess")])

"""Placement policies: list, get, write, delete. They belong to no cluster."""

from collections.abc import Collection
from typing import Annotated

from fastapi import Path, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import Operator, guarded
from api.deps import ProcessDep, TraceId
from api.errors import documented
from pathfinder.domain import views
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.policies import PolicyDocument
from pathfinder.scheduling.policy import Rules
from pathfinder.store import policies
from pathfinder.store.policies import Stored, Use

router = guarded("/policies", "policies")

Name = Annotated[str, Path(max_length=63, description="Name of the policy.")]
#: What PostgreSQL keeps a version in.
MOST_VERSION = (1 << 31) - 1


@router.get("", responses=documented())
async def get_all(process: ProcessDep, asking: Operator) -> views.Page[views.Policy]:
    """The latest version of every policy: the built-in ones, then people's own by name. All are on one page."""
    async with process.database.read() as tx:
        found, used = await policies.every(tx), await policies.uses(tx, asking.clusters)
    return views.Page(items=[_view(one, used.get(name, Use()), process.rules) for name, one in found.items()])


@router.get("/{name}", responses=documented(404))
async def get(
    name: Name,
    process: ProcessDep,
    asking: Operator,
    version: Annotated[int | None, Query(ge=0, le=MOST_VERSION, description="The latest if left out.")] = None,
) -> views.Policy:
    """One policy. A version is found for ever, also of one that was deleted."""
    async with process.database.read() as tx:
        return await _found(tx, name, process.rules, version, asking.clusters)


@router.get("/{name}/versions", responses=documented(404))
async def versions(name: Name, process: ProcessDep, asking: Operator) -> views.Page[views.PolicyVersion]:
    """Who wrote which version of a policy, the latest first."""
    async with process.database.read() as tx:
        found = await policies.history(tx, name)
    return views.Page(
        items=[
            views.PolicyVersion(
                version=one.version,
                actor=one.actor,
                created_at=one.created_at,
                description=one.document.get("description", ""),
                deleted=not one.document,
            )
            for one in found
        ]
    )


@router.put("/{name}", responses=documented(409))
async def apply(
    name: Name,
    document: PolicyDocument,
    process: ProcessDep,
    asking: Operator,
    trace_id: TraceId,
    expected_version: Annotated[
        int | None,
        Query(ge=0, le=MOST_VERSION, description="Refuse unless this is the latest version; 0: unless there is none."),
    ] = None,
) -> views.AppliedPolicy:
    """Write a policy: a new version, unless nothing would change. The next placement goes by it."""
    if document.name != name:
        words = f"is {document.name!r}, but the path says {name!r}"
        raise Invalid("The document is of another policy.", [FieldProblem("name", words)])
    async with process.database.begin() as tx:
        change = await policies.apply(
            tx, document, asking.actor, trace_id, rules=process.rules, expected=expected_version
        )
        made = await _found(tx, name, process.rules)
    return views.AppliedPolicy(**made.model_dump(), change=change)


@router.delete("/{name}", status_code=204, responses=documented(404, 409))
async def delete(name: Name, process: ProcessDep, asking: Operator, trace_id: TraceId) -> None:
    """Delete a policy that nobody goes by. Its versions stay, for what was decided by them."""
    async with process.database.begin() as tx:
        await policies.delete(tx, name, asking.actor, trace_id)


async def _found(
    tx: AsyncConnection, name: str, rules: Rules, version: int | None = None, within: Collection[str] | None = None
) -> views.Policy:
    found = await policies.find(tx, name, version)
    return _view(found, (await policies.uses(tx, within)).get(name, Use()), rules)


def _view(stored: Stored, use: Use, rules: Rules) -> views.Policy:
    try:
        stored.policy(rules)
        problem = None
    except Invalid as error:
        problem = str(error)
    return views.Policy(
        name=stored.name,
        version=stored.version,
        built_in=stored.built_in,
        description=stored.document.get("description", ""),
        actor=stored.actor,
        created_at=stored.created_at,
        clusters=list(use.clusters),
        containers=use.containers,
        problem=problem,
        document=stored.document,
    )

"""Decisions of schedulers as they are kept: one row for all equal containers of one batch."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.scheduling import explain
from pathfinder.store import bulk


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision about to be kept; `document` as of `scheduling/explain.py`."""

    id: UUID
    cluster_id: UUID
    policy: str
    seed: int
    document: dict[str, Any]
    policy_version: int = 0


_ROW: bulk.Columns = {
    "id": "uuid",
    "cluster_id": "uuid",
    "policy": "text",
    "policy_version": "bigint",
    "seed": "bigint",
    "document": "text",
}
_KEEP = text(f"""
    INSERT INTO decisions (id, cluster_id, policy, policy_version, seed, document)
    SELECT id, cluster_id, policy, policy_version, seed, document::jsonb FROM {bulk.rows(_ROW, "d")}
""")  # noqa: S608 - the text is put together from the constants above


def keep(tx: AsyncConnection, decisions: Sequence[Kept]) -> Coroutine[Any, Any, None]:
    """Write decisions down; containers name theirs in `decision_id`. What is written is put together at once."""
    items = [
        {**{name: getattr(one, name) for name in _ROW}, "document": orjson.dumps(one.document).decode()}
        for one in decisions
    ]
    return _keep(tx, bulk.parameters(_ROW, items))


async def _keep(tx: AsyncConnection, columns: dict[str, list[Any]]) -> None:
    if columns["id"]:
        await tx.execute(_KEEP, columns)


_OF = text("""
    SELECT c.explanation, d.policy, d.policy_version, d.seed, d.document
    FROM containers AS c LEFT JOIN decisions AS d ON d.id = c.decision_id WHERE c.id = :id
""")


async def about(tx: AsyncConnection, container_id: UUID) -> dict[str, Any]:
    """The decision on a container: policy, seed, and what `explain.about` says; empty where none is known."""
    row = (await tx.execute(_OF, {"id": container_id})).one_or_none()
    if row is None or row.document is None:
        return (row and row.explanation) or {}
    decided = {"policy": row.policy, "policy_version": row.policy_version, "seed": row.seed}
    return {**decided, **explain.about(row.document, str(container_id))}

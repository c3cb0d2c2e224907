"""What operators set on nodes: labels, taints, pool, limits and overcommit."""

from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.messages import Kind
from pathfinder.domain.patches import NodePatch, merged, tainted
from pathfinder.store.journal import record
from pathfinder.store.nodes import Node, fact

_KEPT = text("""
    SELECT labels, own_labels, taints, pool, overcommit, max_containers, max_stateful FROM nodes WHERE id = :id
""")
_CHANGE = text("""
    UPDATE nodes SET own_labels = CAST(:own_labels AS jsonb), taints = CAST(:taints AS jsonb), pool = :pool,
                     overcommit = CAST(:overcommit AS jsonb), max_containers = :max_containers,
                     max_stateful = :max_stateful, generation = generation + 1, supply = supply + 1
    WHERE id = :id
""")
_JSON = ("own_labels", "taints", "overcommit")


async def change(tx: AsyncConnection, node: Node, patch: NodePatch, actor: str, trace_id: str) -> None:
    """Change a locked node; nothing is recorded where it was so already. Raises Invalid.

    It may take now what it could not before, so what waits is looked at again.
    """
    before = dict((await tx.execute(_KEPT, {"id": node.id})).one()._mapping)
    told = before.pop("labels")
    for key, value in patch.labels.items():
        if value is None and key in told and key not in before["own_labels"]:
            words = f"{key!r} is what the node's agent says (PATHFINDER_NODE_LABELS); give it another value instead"
            raise Invalid("A label cannot be removed.", [FieldProblem(f"labels.{key}", words)])
    after = {**before, **_given(before, patch)}
    changed = {name: value for name, value in after.items() if value != before[name]}
    if not changed:
        return
    written = {name: orjson.dumps(value).decode() if name in _JSON else value for name, value in after.items()}
    await tx.execute(_CHANGE, {"id": node.id, **written})
    await record(tx, [fact(Kind.NODE_UPDATED, node, actor, trace_id, changed)])


def _given(before: dict[str, Any], patch: NodePatch) -> dict[str, Any]:
    overcommit = patch.overcommit.model_dump(include=patch.overcommit.model_fields_set)
    return {
        "own_labels": merged(before["own_labels"], patch.labels),
        "taints": tainted(before["taints"], patch.taints, patch.untaint),
        "overcommit": merged(before["overcommit"], overcommit),
        **{
            name: getattr(patch, name)
            for name in ("pool", "max_containers", "max_stateful")
            if name in patch.model_fields_set
        },
    }

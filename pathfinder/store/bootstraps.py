"""Runs of bootstrappers: begun in the transaction that commands them, written as reports come, read to be shown."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.controllers import bootstrapping
from pathfinder.controllers.bootstrapping import Run
from pathfinder.domain import commands, runs
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Envelope, Kind
from pathfinder.domain.runs import BootstrapStep, StepStatus
from pathfinder.store import bulk, containers, journal, nodes

#: How many runs of a container are kept.
KEPT = 5

_STEP: bulk.Columns = {
    "container_id": "uuid",
    "run": "bigint",
    "step": "bigint",
    "name": "text",
    "type": "text",
    "status": "text",
    "attempts": "bigint",
    "exit_code": "bigint",
    "output": "text",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
}
_WRITE = text(f"""
    INSERT INTO bootstraps (container_id, run, step, name, type, status, attempts, exit_code, output, started_at,
                            ended_at)
    SELECT container_id, run, step, name, type, status, attempts, exit_code, output, COALESCE(started_at, now()),
           ended_at
    FROM {bulk.rows(_STEP, "s")}
    ON CONFLICT (container_id, run, step) DO UPDATE
    SET status = EXCLUDED.status, attempts = EXCLUDED.attempts, exit_code = EXCLUDED.exit_code,
        output = EXCLUDED.output, started_at = EXCLUDED.started_at, ended_at = EXCLUDED.ended_at
""")  # noqa: S608 - the text is put together from the constants above
_LAST = text("""
    SELECT b.container_id, b.run, b.name, b.type, b.status, b.attempts, b.exit_code, b.output, b.started_at, b.ended_at
    FROM bootstraps AS b
    WHERE b.container_id = ANY(:ids)
      AND b.run = (SELECT max(l.run) FROM bootstraps AS l WHERE l.container_id = b.container_id)
    ORDER BY b.container_id, b.step
""")
_FORGET = text(f"DELETE FROM bootstraps WHERE container_id = ANY(:ids) AND run <= :run - {KEPT}")  # noqa: S608


async def last(tx: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Run]:
    """The last run of each of these containers that had one. Their rows are locked by whoever changes what is read."""
    steps: dict[tuple[UUID, int], list[BootstrapStep]] = defaultdict(list)
    for row in await tx.execute(_LAST, {"ids": list(ids)}):
        steps[row.container_id, row.run].append(_step(row))
    return {id_: Run(number, tuple(found)) for (id_, number), found in steps.items()}


async def write(tx: AsyncConnection, changed: Mapping[UUID, Run]) -> None:
    """Keep these runs as they are now."""
    items = [
        {"container_id": id_, "run": run.number, "step": place, **{name: getattr(step, name) for name in _FIELDS}}
        for id_, run in changed.items()
        for place, step in enumerate(run.steps)
    ]
    if items:
        await tx.execute(_WRITE, bulk.parameters(_STEP, items))


async def begin(
    tx: AsyncConnection, starting: Sequence[Container], epochs: Mapping[UUID, int], *, again: bool = True
) -> dict[str, list[Envelope]]:
    """Have the bootstrappers of containers carried out; the commands to their nodes, by hostname.

    Each gets a new run; unless they are begun `again`, one that is under way goes on where it was. `epochs` are those
    of their nodes by id.
    """
    if not starting:
        return {}
    known = await last(tx, [one.id for one in starting])
    new: dict[UUID, Run] = {}
    told: dict[str, list[Envelope]] = defaultdict(list)
    for container in starting:
        before = known.get(container.id)
        if before is None or again or runs.finished(before.steps):
            run = Run(1 if before is None else before.number + 1, bootstrapping.first(container))
            new[container.id] = run
        else:
            run = before
        if container.node_id is not None and container.node is not None:
            told[container.node].append(
                commands.bootstrap(
                    container,
                    run.number,
                    runs.done(run.steps),
                    bootstrapping.wanted(container),
                    epochs[container.node_id],
                )
            )
    await write(tx, new)
    for id_, run in new.items():
        if run.number > KEPT:
            await tx.execute(_FORGET, {"ids": [id_], "run": run.number})
    return told


async def again(tx: AsyncConnection, chosen: Sequence[Container], actor: str) -> None:
    """Have the bootstrappers of these containers carried out once more, from the first, whatever was under way.

    They are locked, and run. Raises IllegalTransition.
    """
    if not chosen:
        return
    placed = [one if one.status == Status.PROVISIONED else one.to(Status.PROVISIONED) for one in chosen]
    fresh = [replace(one, bootstrapped=None, message=None) for one in placed]
    await containers.save(tx, fresh)
    facts = [journal.about(one, Kind.CONTAINER_REBOOTSTRAPPED, actor) for one in fresh]
    epochs = await nodes.epochs(tx, {one.node_id for one in fresh})
    await journal.record(tx, facts, await begin(tx, fresh, epochs))


_FIELDS = ("name", "type", "status", "attempts", "exit_code", "output", "started_at", "ended_at")


def _step(row: Any) -> BootstrapStep:
    return BootstrapStep(**{name: getattr(row, name) for name in _FIELDS} | {"status": StepStatus(row.status)})

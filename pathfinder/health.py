"""Whether a process can work: what each part it needs says, and since when. Every role answers from here."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pathfinder import telemetry
from pathfinder.bootstrap import OK, ON_NODES, Part, Process
from pathfinder.domain.errors import Unavailable

#: A part that does not say within this time that it is well, is not.
PATIENCE_SECONDS = 3.0

NOT_CONNECTED = "not connected; trying again"


async def check(process: Process) -> Mapping[str, Part]:
    """What each part says now: `postgresql`, `rabbitmq (ROLE)` for each role, and what the roles tell themselves."""
    said = dict(process.told)
    if not process.roles or set(process.roles) - ON_NODES:
        said["postgresql"] = await _postgresql(process)
    for role, broker in process.brokers.items():
        said[f"rabbitmq ({role})"] = OK if broker.up else NOT_CONNECTED
    now = datetime.now(UTC)
    for name, words in said.items():
        before = process.parts.get(name)
        same = before is not None and before.ok == (words == OK)
        process.parts[name] = Part(words, before.since if before and same else now)
        telemetry.PART.labels(name).set(words == OK)
    return dict(sorted(process.parts.items()))


async def readiness(process: Process) -> tuple[int, dict[str, Any]]:
    """The answer to `/readyz`: 200 where every part is well, else 503, and a document that says which is not."""
    parts = await check(process)
    ready = all(part.ok for part in parts.values())
    document = {
        "status": OK if ready else "unavailable",
        "parts": {name: part.words for name, part in parts.items()},
        "since": {name: part.since.isoformat() for name, part in parts.items() if not part.ok},
    }
    return 200 if ready else 503, document


async def _postgresql(process: Process) -> str:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.database.ping()
    except Unavailable as error:
        return str(error)
    except TimeoutError:
        return f"PostgreSQL gave no answer within {PATIENCE_SECONDS:g} s."
    return OK

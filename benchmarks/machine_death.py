"""A real machine dies: how long until its stateless container runs elsewhere, and where the seconds go."""

import asyncio
import time
from collections import defaultdict
from typing import Any

from benchmarks.store import Store
from pathfinder.client import Client
from pathfinder.embedded.lab import Lab

TOTAL = "killed → PROVISIONED elsewhere"
STEPS = ("killed → its lease ends", "→ DOWN", "→ before the scheduler", "→ SCHEDULED", "→ PROVISIONED")
HOSTNAME = "walker"
_LEASE = "SELECT l.until FROM leases AS l JOIN nodes AS n ON n.id = l.node_id WHERE n.hostname = $1"
_EVENT = "SELECT at, seq FROM events WHERE seq > $1 AND kind = $2 AND subject_name = $3 ORDER BY seq LIMIT 1"
_READY = "SELECT 1 FROM nodes HAVING bool_and(status = 'READY')"
_RUNS = "SELECT 1 FROM containers WHERE hostname = $1 AND status = 'PROVISIONED'"
_GONE = "SELECT 1 WHERE NOT EXISTS (SELECT FROM containers WHERE status <> 'DELETED')"
#: What the leader has still to read of the dead node's heartbeats is written by then.
_HEARD_SECONDS = 2.0


async def measure(lab: Lab, store: Store, client: Client, rounds: int) -> dict[str, list[float]]:
    """The seconds of each step, and their sum, of each round."""
    samples: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds):
        # Heartbeats come at their own pace: the machines die at other moments between two of them.
        await asyncio.sleep(5 * (turn % 4) / 4)
        moments = await _one(lab, store, client)
        samples[TOTAL].append(moments[-1] - moments[0])
        for name, before, after in zip(STEPS, moments, moments[1:], strict=False):
            samples[name].append(after - before)
    return samples


async def _one(lab: Lab, store: Store, client: Client) -> list[float]:
    """The moments between the steps, in their order."""
    await store.until("every node to be READY", _READY)
    await client.containers.create(HOSTNAME, type="STATELESS")
    await store.until("the container", _RUNS, HOSTNAME)
    node = str((await client.containers.get(HOSTNAME)).node)
    seen = await store.value("SELECT coalesce(max(seq), 0) FROM events")
    killed = time.time()
    await asyncio.to_thread(lab.kill, node)
    await asyncio.sleep(_HEARD_SECONDS)
    ends = (await store.value(_LEASE, node)).timestamp()

    async def moment(kind: str, subject: str) -> float:
        nonlocal seen
        found: Any = (await store.until(f"{kind} of {subject}", _EVENT, seen, kind, subject))[0]
        seen = found["seq"]
        return float(found["at"].timestamp())

    down = await moment("node.down", node)
    moments = [killed, ends, down]
    for kind in ("rescheduled", "scheduled", "provisioned"):
        moments.append(await moment(f"container.{kind}", HOSTNAME))
    await asyncio.to_thread(lab.start, node)
    await client.containers.delete(HOSTNAME)
    await store.until("its end", _GONE)
    return moments

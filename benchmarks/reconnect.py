"""Every node of a large simulated fleet comes back at once, after RabbitMQ was killed with all its connections."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

import aio_pika
from aio_pika.exceptions import AMQPError

from benchmarks import vitals
from benchmarks.fleet import Fleet
from benchmarks.probe import Probe
from benchmarks.store import Store
from pathfinder.broker import topology
from pathfinder.embedded.supervisor import wait_until

LIMIT_SECONDS = 180.0
#: How long is looked for nodes that are called DOWN late: a lease, and two heartbeats.
AFTER_SECONDS = 25.0
FROM_BROKER = "RabbitMQ back → every agent consumes, every node READY"
ALL_BACK = "killed → the same"
BROKER = "killed → RabbitMQ back"
CREATE = "killed → next create PROVISIONED"
DOWN = "nodes wrongly DOWN"
Samples = dict[str, list[float]]

_NOT_READY = (
    "SELECT count(*) FROM nodes AS n JOIN leases AS l ON l.node_id = n.id WHERE n.status <> 'READY' OR l.until < now()"
)
_DOWN = "SELECT count(*) FROM events WHERE kind = 'node.down' AND seq > $1"


async def measure(fleet: Fleet, store: Store, rounds: int) -> tuple[Samples, dict[str, Samples]]:
    """The seconds of each round, and by program: MiB before and at most, processor seconds until all are back."""
    samples: Samples = defaultdict(list)
    usage: dict[str, Samples] = defaultdict(lambda: defaultdict(list))
    probe = Probe(store, [fleet.api_url], fleet.token)
    await whole(fleet, store)
    for _ in range(rounds):
        await probe.create()
        await _one(fleet, store, probe, samples, usage)
    return samples, usage


async def _one(fleet: Fleet, store: Store, probe: Probe, samples: Samples, usage: dict[str, Samples]) -> None:
    seen = await store.value("SELECT coalesce(max(seq), 0) FROM events")
    pids = await asyncio.to_thread(fleet.pids, fleet.programs)
    before = {name: (vitals.memory_bytes(pid), vitals.cpu_seconds(pid)) for name, pid in pids.items()}
    watching = asyncio.create_task(_watch(fleet, pids, before, usage))
    begin = time.time()
    await asyncio.to_thread(fleet.kill_broker)
    create = asyncio.create_task(probe.create())
    await asyncio.to_thread(wait_until, "RabbitMQ", fleet.broker.is_ready, LIMIT_SECONDS)
    back = time.time()
    await _all_back(fleet, store)
    end = time.time()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    samples[BROKER].append(back - begin)
    samples[FROM_BROKER].append(end - back)
    samples[ALL_BACK].append(end - begin)
    samples[CREATE].append((await create).provisioned - begin)
    await asyncio.sleep(AFTER_SECONDS)
    samples[DOWN].append(await store.value(_DOWN, seen))


async def whole(fleet: Fleet, store: Store) -> None:
    """Return once every node is READY and consumed."""
    await store.until(
        "every node to be READY",
        "SELECT count(*) FROM nodes WHERE status = 'READY'",
        enough=lambda rows: rows[0][0] == len(fleet.nodes),
    )
    await _all_back(fleet, store)


async def _all_back(fleet: Fleet, store: Store) -> None:
    """Return once every node's queue has its agent as consumer, and every node is READY with a lease."""
    missing = list(fleet.nodes)
    async with asyncio.timeout(LIMIT_SECONDS):
        while missing:
            with suppress(AMQPError, OSError, TimeoutError, RuntimeError):
                async with await aio_pika.connect(fleet.broker_url, timeout=5) as connection:
                    channel = await connection.channel()
                    while missing:
                        await asyncio.wait_for(_drop_consumed(channel, missing), 10)
            await asyncio.sleep(0.2)
    await store.until("leases", _NOT_READY, enough=lambda rows: rows[0][0] == 0)


async def _drop_consumed(channel: Any, missing: list[str]) -> None:
    """Take from `missing` the nodes whose queue is consumed, up to the first whose is not."""
    while missing:
        name = topology.node_queue(missing[-1]).name
        queue = await channel.declare_queue(name, passive=True)
        if not queue.declaration_result.consumer_count:
            await asyncio.sleep(0.1)
            return
        missing.pop()


async def _watch(
    fleet: Fleet, pids: dict[str, int], before: dict[str, tuple[int, float]], usage: dict[str, Samples]
) -> None:
    """Note what each program takes, until cancelled."""
    most = {name: memory for name, (memory, _) in before.items()}
    try:
        while True:
            await asyncio.sleep(1)
            pids["rabbitmq"] = await asyncio.to_thread(fleet.supervisor.pid, "rabbitmq") or pids["rabbitmq"]
            for name, pid in pids.items():
                most[name] = max(most[name], await asyncio.to_thread(vitals.memory_bytes, pid))
    finally:
        for name, pid in pids.items():
            earlier = 0.0 if name == "rabbitmq" else before[name][1]  # that one is a new process
            usage[name]["before"].append(before[name][0] / 2**20)
            usage[name]["most"].append(most[name] / 2**20)
            usage[name]["cpu"].append(vitals.cpu_seconds(pid) - earlier)

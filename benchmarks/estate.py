"""A fleet of thousands of simulated nodes: its rows and queues made in bulk, its machines played by a few processes."""

import asyncio
import sys
from pathlib import Path

import aio_pika
import orjson
from sqlalchemy import text

from benchmarks.fleet import Fleet
from benchmarks.herd import SILENT
from benchmarks.naming import node_address
from benchmarks.shapes import NODE, node_labels
from pathfinder.broker import topology
from pathfinder.domain.ids import uuid7
from pathfinder.embedded import roles
from pathfinder.embedded.program import Program
from pathfinder.store import bulk
from pathfinder.store.database import Database

CHANNELS = 16

_COLUMNS: bulk.Columns = {"id": "uuid", "hostname": "text", "ipaddress": "text", "labels": "text"}
_NODES = text(f"""
    WITH made AS (
        INSERT INTO nodes (id, cluster_id, hostname, ipaddress, machine_id, status, runtime, runtime_version,
                           architecture, pool_driver, agent_version, labels, cpu_millicores, memory_bytes, disk_bytes,
                           supply)
        SELECT n.id, k.id, n.hostname, n.ipaddress, n.hostname, 'READY', 'simulated', '1', 'x86_64', 'btrfs', '3',
               n.labels::jsonb, :cpu, :memory, :disk, 1
        FROM {bulk.rows(_COLUMNS, "n")} JOIN clusters AS k ON k.name = 'default'
        RETURNING id
    )
    INSERT INTO leases (node_id, until) SELECT id, now() + interval '1 day' FROM made
""")  # noqa: S608 - the text is put together from the constants above


async def settle(fleet: Fleet) -> None:
    """Have every node of the fleet registered, with its queue, as if its agent had joined."""
    database = Database(fleet.database_url, 1)
    items = [
        {
            "id": uuid7(),
            "hostname": hostname,
            "ipaddress": node_address(number),
            "labels": orjson.dumps(node_labels(number)).decode(),
        }
        for number, hostname in enumerate(fleet.nodes, start=1)
    ]
    size = {"cpu": NODE.cpu_millicores, "memory": NODE.memory_bytes, "disk": NODE.disk_bytes}
    async with database.begin() as tx:
        await tx.execute(_NODES, {**size, **bulk.parameters(_COLUMNS, items)})
        await tx.execute(text("ANALYZE nodes"))
    await database.close()
    async with await aio_pika.connect(fleet.broker_url, heartbeat=60) as connection, asyncio.TaskGroup() as group:
        for number in range(CHANNELS):
            group.create_task(_declare(connection, fleet.nodes[number::CHANNELS]))


async def _declare(connection: aio_pika.abc.AbstractConnection, hostnames: list[str]) -> None:
    async with connection.channel() as channel:
        for hostname in hostnames:
            await topology.declare(channel, topology.node_queue(hostname))


def play(fleet: Fleet, processes: int, *, beating: bool) -> list[str]:
    """Let `processes` play the nodes from now on; the programs' names."""
    environment = {
        roles.DATABASE_URL: fleet.database_url,
        roles.BROKER_URL: fleet.broker_url,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **({} if beating else {SILENT: "1"}),
    }
    share = -(-len(fleet.nodes) // processes)
    programs = []
    for number in range(processes):
        first, last = number * share + 1, min((number + 1) * share, len(fleet.nodes))
        command = (sys.executable, "-m", "benchmarks.herd", str(first), str(last))
        programs.append(Program(f"herd-{number + 1}", command, 500, environment, stop_seconds=2))
    fleet.run(programs)
    return [program.name for program in programs]

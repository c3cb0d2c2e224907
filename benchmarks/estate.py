"""A fleet of thousands of simulated nodes: its rows and queues made in bulk, its machines played by a few processes.

Its containers come through the API, as anybody's do.
"""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import aio_pika
import orjson
from sqlalchemy import text

from benchmarks.fleet import Fleet
from benchmarks.harder import PLAIN
from benchmarks.herd import SILENT
from benchmarks.naming import node_address
from benchmarks.shapes import NODE, node_labels
from benchmarks.store import Store, connect
from pathfinder.broker import topology
from pathfinder.domain.ids import uuid7
from pathfinder.embedded import roles
from pathfinder.embedded.program import Program
from pathfinder.store import bulk
from pathfinder.store.database import Database

HEARTBEAT_SECONDS = 5.0
#: Of everything that runs for such a fleet.
SETTINGS = {"PATHFINDER_HEARTBEAT_SECONDS": f"{HEARTBEAT_SECONDS:g}", "PATHFINDER_LOG_LEVEL": "warning"}

CHANNELS = 16

#: Containers of one request: as many as the API takes.
BATCH = 1000
POLL_SECONDS = 0.2
#: Nobody looks for longer than a part of the time: it costs PostgreSQL more, the more there are.
PART = 20
LIMIT_SECONDS = 1800.0

# The status stands in the text: so PENDING ones are found by their index. Those that fit nowhere are done with.
_LEFT = "EXISTS (SELECT FROM containers WHERE status = '{}' AND NOT waiting)"
_CLAIMED_WRONGLY = """
    SELECT count(*) FROM nodes AS n LEFT JOIN (
        SELECT node_id, count(*), sum(cpu_millicores) AS cpu, sum(memory_bytes) AS memory, sum(disk_bytes) AS disk
        FROM containers WHERE status = 'PROVISIONED' GROUP BY node_id
    ) AS c ON c.node_id = n.id
    WHERE (n.containers, n.cpu_claimed, n.memory_claimed, n.disk_claimed)
          <> (COALESCE(c.count, 0), COALESCE(c.cpu, 0), COALESCE(c.memory, 0), COALESCE(c.disk, 0))
"""

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
# A controller that begins to lead, or that PostgreSQL kept waiting, gives every node the lease of its cluster.
_LONG = text("UPDATE clusters SET lease_seconds = 86400")
_USUAL = """
    WITH usual AS (UPDATE clusters SET lease_seconds = NULL)
    UPDATE leases SET until = now() + interval '15 seconds'
"""


async def settle(fleet: Fleet) -> None:
    """Have every node of the fleet registered, with its queue, as if its agent had joined.

    Leases are long: nobody is DOWN before its machine is played, or while all is filled. See `judge`.
    """
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
        await tx.execute(_LONG)
        await tx.execute(_NODES, {**size, **bulk.parameters(_COLUMNS, items)})
        await tx.execute(text("ANALYZE nodes"))
    await database.close()
    async with await aio_pika.connect(fleet.broker_url, heartbeat=60) as connection, asyncio.TaskGroup() as group:
        for number in range(CHANNELS):
            group.create_task(_declare(connection, fleet.nodes[number::CHANNELS]))


async def judge(fleet: Fleet) -> None:
    """From now on nodes have leases as in any fleet, and who is silent is DOWN."""
    connection = await connect(fleet.database_url)
    await connection.execute(_USUAL)
    await connection.close()


async def _declare(connection: aio_pika.abc.AbstractConnection, hostnames: list[str]) -> None:
    async with connection.channel() as channel:
        for hostname in hostnames:
            await topology.declare(channel, topology.node_queue(hostname))


def play(fleet: Fleet, processes: int, *, beating: bool) -> list[str]:
    """Let `processes` play the nodes from now on; the programs' names."""
    environment = {
        **SETTINGS,
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


async def load(fleet: Fleet, containers: int, at_a_time: int, mix: str = PLAIN) -> asyncio.subprocess.Process:
    """A process that asks for so many containers, with so many requests at a time; see `benchmarks.load`."""
    numbers = (containers, BATCH, at_a_time)
    command = (sys.executable, "-m", "benchmarks.load", fleet.api_url, fleet.token, mix, *(str(one) for one in numbers))
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)


async def none_left(store: Store, *statuses: str) -> None:
    """Return once no container has these statuses, but for those that wait for room, and no message waits."""
    left = f"SELECT {' OR '.join(map(_LEFT.format, statuses))} OR EXISTS (SELECT FROM outbox)"  # noqa: S608 - ours
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            begin = time.monotonic()
            if not await store.value(left):
                return
            await asyncio.sleep(max(POLL_SECONDS, PART * (time.monotonic() - begin)))


async def fill(fleet: Fleet, store: Store, containers: int, at_a_time: int = 3) -> None:
    """Have so many containers PROVISIONED, and PostgreSQL as tidy as if they had been for long.

    The nodes must be played already.
    """
    asking = await load(fleet, containers, at_a_time)
    await asking.communicate()
    if asking.returncode:
        raise SystemExit("the load ended early")
    await none_left(store, "PENDING", "SCHEDULED")
    connection = await connect(fleet.database_url)
    for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):  # else autovacuum would do it while something is measured
        await connection.execute(statement)
    wrong = await connection.fetchval(_CLAIMED_WRONGLY)
    await connection.close()
    assert not wrong, f"{wrong} nodes claim something else than what is on them"

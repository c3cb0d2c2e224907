"""The migrations and the tables say the same."""

from uuid import UUID, uuid4

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection
from workbench import MakeProcess, administer

from pathfinder.bootstrap import Process
from pathfinder.store.migrate import config, migrate
from pathfinder.store.tables import metadata


async def test_the_migrations_make_the_tables_that_the_code_defines(process: Process) -> None:
    """Alembic would generate an empty migration."""
    async with process.database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}), metadata
            )
        )

    assert differences == []


async def test_migrating_again_changes_nothing(process: Process) -> None:
    """`make up` does it each time."""
    await migrate(process.database)
    await migrate(process.database)


async def test_migrating_counts_the_stateful_containers_that_are_there(
    make_process: MakeProcess, database_url: str
) -> None:
    """Their number on each node, departures included, as the code of before did not keep it."""
    name = f"pf_former_{uuid4().hex[:10]}"
    await administer(database_url, f"CREATE DATABASE {name}")
    url = make_url(database_url).set(database=name).render_as_string(hide_password=False)
    process = make_process(database_url=url)
    try:
        async with process.database.engine.connect() as connection:
            await connection.run_sync(lambda sync: command.upgrade(config(sync), "0002"))
            await _as_before(connection)
            await connection.commit()

        await migrate(process.database)

        async with process.database.begin() as tx:
            counts = await tx.execute(text("SELECT hostname, stateful FROM nodes ORDER BY hostname"))
            assert [tuple(row) for row in counts] == [("node-a", 2), ("node-b", 0)]
            assert (await tx.execute(text("SELECT stateful FROM departures"))).scalars().all() == [True]
    finally:
        await process.database.close()
        await administer(database_url, f"DROP DATABASE {name} WITH (FORCE)")


_CLUSTER, _A, _B = (UUID(int=number) for number in (1, 11, 12))


async def _as_before(tx: AsyncConnection) -> None:
    """A cluster with two nodes, containers of both types in several statuses, and a departure, in the schema 0002."""
    cluster = "INSERT INTO clusters (id, name, policy, default_image) VALUES (:id, 'default', 'spread', 'tiny')"
    await tx.execute(text(cluster), {"id": _CLUSTER})
    node = (
        "INSERT INTO nodes (id, cluster_id, hostname, ipaddress, machine_id, runtime, runtime_version, architecture, "
        "pool_driver, agent_version) VALUES (:id, :cluster, :hostname, '', '', '', '', '', '', '')"
    )
    for id_, hostname in ((_A, "node-a"), (_B, "node-b")):
        await tx.execute(text(node), {"id": id_, "cluster": _CLUSTER, "hostname": hostname})
    container = (
        "INSERT INTO containers (id, cluster_id, hostname, image, node_id, type, status) "
        "VALUES (:id, :cluster, :hostname, 'tiny', :node, :type, :status)"
    )
    for id_, node_id, kind, status in (
        (UUID(int=101), _A, "STATEFUL", "PROVISIONED"),
        (UUID(int=102), _A, "STATELESS", "PROVISIONED"),
        (UUID(int=103), _A, "STATEFUL", "PROVISION_ERROR"),
        (UUID(int=104), _B, "STATEFUL", "DELETED"),
        (UUID(int=105), None, "STATEFUL", "PENDING"),
    ):
        given = {"id": id_, "hostname": str(id_), "cluster": _CLUSTER, "node": node_id, "type": kind, "status": status}
        await tx.execute(text(container), given)
    departure = "INSERT INTO departures (container_id, generation, node_id) VALUES (:id, 1, :node)"
    await tx.execute(text(departure), {"id": UUID(int=105), "node": _A})

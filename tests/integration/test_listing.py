"""Lists of containers, page by page."""

import re
from collections.abc import Awaitable
from uuid import UUID

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from test_tidy import delete
from workbench import Fleet

from pathfinder.store import containers, listing
from pathfinder.store.listing import Selection


async def pages(fleet: Fleet, limit: int, *statuses: str, labels: dict[str, str] | None = None) -> list[list[str]]:
    """The hostnames of each page, one after the other until one is not full."""
    found: list[list[str]] = []
    after = "", UUID(int=0)
    while not found or len(found[-1]) == limit:
        selection = Selection("default", statuses=statuses, labels=labels or {}, after=after, limit=limit)
        async with fleet.process.database.begin() as tx:
            page = await listing.containers(tx, selection)
        found.append([one.hostname for one in page])
        after = (page[-1].hostname, page[-1].id) if page else after
    return found


async def test_living_and_deleted_containers_make_one_list(fleet: Fleet) -> None:
    """In the order of their names, whichever they are; each once."""
    await fleet.ask("a", "b", "c", "d", "e")
    await delete(fleet, "b", "d")
    await fleet.ask("b")

    assert await pages(fleet, 2) == [["a", "b"], ["c", "e"], []]
    assert await pages(fleet, 2, "PENDING", "DELETED") == [["a", "b"], ["b", "c"], ["d", "e"], []]
    assert await pages(fleet, 2, "DELETED") == [["b", "d"], []]


async def test_a_page_is_read_from_an_index(fleet: Fleet) -> None:
    """However many there are: none but those of the page are looked at, and they need not be sorted."""
    await multiply(fleet, 20_000)
    async with fleet.process.database.begin() as tx:
        plan = await plan_of(tx, listing.containers(tx, Selection("default", after=("c5", UUID(int=0)), limit=50)))

    assert "Index Scan using uq_containers_living" in plan
    rows = [int(found) for found in re.findall(r"actual rows=(\d+)", plan)]
    assert max(rows) <= 60, plan


async def test_what_is_still_to_be_placed_is_found_by_its_index(fleet: Fleet) -> None:
    """However many others there are."""
    await multiply(fleet, 20_000)
    async with fleet.process.database.begin() as tx:
        assert await containers.to_place(tx)
        await tx.execute(text("UPDATE containers SET status = 'SCHEDULED'"))
        assert not await containers.to_place(tx)
        plan = await plan_of(tx, containers.to_place(tx))

    assert "Index Scan Backward using ix_containers_fresh" in plan


async def multiply(fleet: Fleet, times: int) -> None:
    """Very many PENDING containers."""
    await fleet.ask("first")
    copied = "cluster_id, image, type, cpu_millicores, memory_bytes, disk_bytes, spec"
    async with fleet.process.database.begin() as tx:
        await tx.execute(
            text(f"""
                INSERT INTO containers (id, hostname, {copied})
                SELECT gen_random_uuid(), 'c' || n, {copied} FROM containers, generate_series(1, :times) AS n
            """),  # noqa: S608 - the text is put together from the constant
            {"times": times},
        )
    async with fleet.process.database.begin() as tx:
        await tx.execute(text("ANALYZE containers"))


async def plan_of(tx: AsyncConnection, asking: Awaitable[object]) -> str:
    """How PostgreSQL goes about the first statement of what is awaited, and how many rows it sees."""
    asked: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, given: object, *___: object) -> None:
        asked.append((statement, given))

    connection = tx.sync_connection
    assert connection is not None
    event.listen(connection, "before_cursor_execute", note)
    await asking
    event.remove(connection, "before_cursor_execute", note)
    (statement, given), *_ = asked
    return "\n".join(await tx.run_sync(lambda sync: _explained(sync, statement, given)))


def _explained(connection: Connection, statement: str, given: object) -> list[str]:
    found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}", given)  # type: ignore[arg-type]
    return [str(row[0]) for row in found]


async def test_labels_choose(fleet: Fleet) -> None:
    """All that are asked for must be there."""
    await fleet.ask("a", labels={"app": "web", "zone": "x"})
    await fleet.ask("b", labels={"app": "web"})
    await fleet.ask("c")

    assert await pages(fleet, 5, labels={"app": "web"}) == [["a", "b"]]
    assert await pages(fleet, 5, labels={"app": "web", "zone": "x"}) == [["a"]]
    assert await pages(fleet, 5, labels={"app": "shop"}) == [[]]


async def test_a_name_goes_on_counting_its_generations(fleet: Fleet) -> None:
    """So that what a node still knows of the one before is older."""
    await fleet.ask("a")
    async with fleet.process.database.begin() as tx:
        await tx.execute(text("UPDATE containers SET generation = 7"))
    await delete(fleet, "a")

    await fleet.ask("a", "b")

    found = await fleet.rows("SELECT hostname, generation FROM containers WHERE status <> 'DELETED' ORDER BY hostname")
    assert found == [("a", 7), ("b", 0)]

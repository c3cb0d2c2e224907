"""Lists of containers, page by page."""

import re
from uuid import UUID

from sqlalchemy import text
from test_tidy import delete
from workbench import Fleet, multiply, plan_of

from pathfinder.store import listing
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

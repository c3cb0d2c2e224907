"""A primary and its standby in one URL: work goes on with whoever takes writes, and nothing that was told is lost."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from workbench import administer, eventually

from pathfinder.domain.errors import TooSlow, Unavailable
from pathfinder.embedded.ports import free_port
from pathfinder.embedded.postgres import Postgres, running, start_pair
from pathfinder.store.database import Database, translated
from pathfinder.store.servers import Servers

#: From the promotion on, on a busy machine; on a quiet one it takes about a second.
PROMOTED_SECONDS = 30

Pair = tuple[Postgres, Postgres, Database]


@pytest.fixture
async def pair(service_directory: Path) -> AsyncIterator[Pair]:
    """A primary, its synchronous standby, and a database of both with a table `numbers`."""
    with start_pair(service_directory / f"pair-{os.urandom(3).hex()}", free_port(24650)) as (primary, standby):
        database = Database(primary.url_with(standby), pool_size=3)
        async with database.begin() as tx:
            await tx.execute(text("CREATE TABLE numbers (number bigint PRIMARY KEY)"))
        try:
            yield primary, standby, database
        finally:
            await database.close()


async def write(database: Database, number: int) -> None:
    """One transaction."""
    async with database.begin() as tx:
        await tx.execute(text("INSERT INTO numbers VALUES (:number) ON CONFLICT DO NOTHING"), {"number": number})


async def crash(server: Postgres) -> None:
    """An immediate stop: nothing is written any more, nobody is told."""
    pid = int((server.data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, 3)  # SIGQUIT

    async def gone() -> bool:
        return server.ask("SELECT") is None

    await eventually(gone)


async def connected_to(servers: Servers, url: str) -> int:
    """The port of the server that was chosen."""
    parsed = make_url(url)
    connection = await servers.connect(**parsed.get_dialect()().create_connect_args(parsed)[1])
    try:
        return int(await connection.fetchval("SELECT inet_server_port()"))
    finally:
        await connection.close()


async def test_nothing_is_told_while_the_synchronous_standby_is_away(pair: Pair) -> None:
    """It was asked for: what was told is on both. Once it is back, work goes on without anybody's help."""
    _, standby, database = pair
    await crash(standby)
    async with database.session("test", 1.0, {}) as session:
        with pytest.raises(TooSlow), translated():
            async with session.begin():
                await session.execute(text("INSERT INTO numbers VALUES (1)"))
    with running(standby):
        await write(database, 2)


async def test_work_goes_on_after_a_promotion_and_everything_that_was_told_is_there(pair: Pair) -> None:
    """Writers and the listener find the new primary by themselves."""
    primary, standby, database = pair
    told: list[int] = []
    heard = asyncio.Event()
    done = asyncio.Event()

    async def work(first: int) -> None:
        number = first
        while not done.is_set():
            with contextlib.suppress(Unavailable):  # and nothing else: no broken promise, no traceback
                await write(database, number)
                told.append(number)
                number += 2

    async def listen() -> None:
        while True:
            with contextlib.suppress(Unavailable):
                await database.listen("numbers", heard.set)
            await asyncio.sleep(0.01)

    async def told_more(than: int) -> bool:
        return len(told) > than

    tasks = [asyncio.create_task(one) for one in (work(1), work(2), listen())]
    await eventually(lambda: told_more(20))
    await crash(primary)
    heard.clear()
    standby.promote()
    before = len(told)
    await eventually(lambda: told_more(before + 20), PROMOTED_SECONDS)
    async with asyncio.timeout(PROMOTED_SECONDS):
        await heard.wait()
    done.set()
    await asyncio.gather(*tasks[:2])
    tasks[2].cancel()

    async with database.read() as connection:
        found = set((await connection.execute(text("SELECT number FROM numbers"))).scalars())
    assert set(told) <= found


async def test_a_former_primary_that_comes_back_is_not_written_to(pair: Pair) -> None:
    """It ended with the timeline it was on; neither a process that saw the promotion nor a new one takes it."""
    primary, standby, _ = pair
    url = primary.url_with(standby)
    witness = Servers()
    assert await connected_to(witness, url) == primary.port
    await crash(primary)
    standby.promote()
    assert await connected_to(witness, url) == standby.port
    with running(primary):
        assert primary.takes_writes()
        assert await connected_to(Servers(), url) == standby.port
        assert await connected_to(witness, url) == standby.port
        await crash(standby)
        with pytest.raises(Unavailable):
            await connected_to(witness, url)


async def test_a_standby_alone_is_no_place_to_write(pair: Pair) -> None:
    """A URL that names only the standby says so, instead of failing at the first write."""
    _, standby, _ = pair
    with pytest.raises(Unavailable):
        await connected_to(Servers(), standby.url)
    alone = Database(standby.url)
    with pytest.raises(Unavailable):
        await write(alone, 1)
    await alone.close()


async def test_a_primary_that_turns_read_only_costs_its_connections_not_the_process(pair: Pair) -> None:
    """The pool is emptied, so that nobody gets such a connection again once writes are taken elsewhere."""
    primary, _, database = pair
    await write(database, 1)
    primary.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.ask("SELECT pg_reload_conf()")

    async def refused() -> bool:
        try:
            await write(database, 2)
        except Unavailable as error:
            return "takes no writes" in str(error)
        return False

    await eventually(refused)
    await administer(
        primary.url,
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    )

    async def accepted() -> bool:
        with contextlib.suppress(Unavailable):
            await write(database, 3)
            return True
        return False

    await eventually(accepted)

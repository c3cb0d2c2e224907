"""Dead letters: a message nobody can process ends in the table with its reason, whoever is killed on the way."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from test_crash_points import POISON_POINTS
from workbench import eventually

import pathfinder.broker.connection as connecting
import pathfinder.broker.consume as consuming
import workers.dead_letters
import workers.recorder
import workers.relay
from pathfinder.bootstrap import Process
from pathfinder.broker import topology
from pathfinder.broker.connection import BrokerLost
from pathfinder.broker.consume import Delivery
from pathfinder.broker.dead import Aside
from pathfinder.broker.publish import Publisher
from pathfinder.controllers.dead_letters import letter
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.messages import Envelope, Exchange, Kind, Report, decode, encode
from pathfinder.store import dead_letters, outbox


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are short here."""
    monkeypatch.setattr(consuming, "backoff", lambda _: 0.005)
    monkeypatch.setattr(connecting, "backoff", lambda _: 0.01)


#: The recorder fails on it each time, and cannot know that it always will.
POISON = Envelope(Report.PROVISIONED, "c", "no uuid", body={"node_id": str(uuid4()), "hostname": "web-01"})


async def report(channel: AbstractChannel, body: bytes) -> None:
    """Publish a report, as an agent would."""
    exchange = await channel.get_exchange(Exchange.REPORTS)
    await exchange.publish(Message(body, message_id=str(uuid4())), Report.PROVISIONED)


@asynccontextmanager
async def recording(process: Process, broker_url: str) -> AsyncIterator[None]:
    """A recorder at work."""
    process.settings.broker_url = broker_url
    running = asyncio.create_task(workers.recorder.run(process))
    try:
        yield
    finally:
        process.stopping.set()
        await running


async def letters(process: Process) -> list[Any]:
    """The rows of the table."""
    async with process.database.begin() as tx:
        return list(await tx.execute(text("SELECT * FROM dead_letters ORDER BY id")))


async def waits(channel: AbstractChannel, queue: topology.Queue) -> int:
    """Messages ready in a queue."""
    return (await channel.declare_queue(queue.name, passive=True)).declaration_result.message_count or 0


def some(process: Process, number: int) -> Callable[[], Awaitable[bool]]:
    """The condition that the table has that many rows."""

    async def there() -> bool:
        return len(await letters(process)) == number

    return there


async def test_a_poison_message_ends_in_the_table_with_its_reason(
    process: Process, broker_url: str, channel: AbstractChannel
) -> None:
    """After five tries; what was published with it is recorded, and nothing of it stays in a queue."""
    async with recording(process, broker_url):
        await report(channel, encode([POISON]))
        await eventually(some(process, 1))

    (row,) = await letters(process)
    assert row.queue == topology.RECORDER.name
    assert (row.exchange, row.routing_key) == (Exchange.REPORTS, Report.PROVISIONED)
    assert row.reason == "ValueError: badly formed hexadecimal UUID string"
    assert row.deliveries == topology.DELIVERY_LIMIT
    assert (row.kinds, row.subjects) == (["provisioned"], ["web-01"])
    assert decode(row.body) == [POISON]
    assert await waits(channel, topology.RECORDER) == await waits(channel, topology.DEAD) == 0


def before(act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`act`, but the first time whoever does it is killed before."""
    killed: list[bool] = []

    async def killing(*given: Any, **more: Any) -> Any:
        if not killed:
            killed.append(True)
            raise BrokerLost("killed before")
        return await act(*given, **more)

    return killing


def after(act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`act`, but the first time whoever does it is killed after."""
    killed: list[bool] = []

    async def killing(*given: Any, **more: Any) -> Any:
        result = await act(*given, **more)
        if not killed:
            killed.append(True)
            raise BrokerLost("killed after")
        return result

    return killing


@pytest.mark.parametrize("killing", [before, after])
@pytest.mark.parametrize(
    ("where", "step"),
    [(Aside, "put"), (Publisher, "publish"), (workers.dead_letters, "_keep"), (dead_letters, "insert")],
)
async def test_a_consumer_killed_at_any_step_neither_loses_nor_doubles_it(
    process: Process,
    broker_url: str,
    channel: AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    step: str,
    killing: Callable[[Any], Any],
) -> None:
    """Before and after: setting aside, publishing to `pathfinder.dead`, keeping it, and inserting the row."""
    monkeypatch.setattr(where, step, killing(getattr(where, step)))
    async with recording(process, broker_url):
        await report(channel, encode([POISON]))
        await eventually(some(process, 1))

        async def drained() -> bool:
            return await waits(channel, topology.RECORDER) == await waits(channel, topology.DEAD) == 0

        await eventually(drained)

    (row,) = await letters(process)
    assert row.reason.startswith("ValueError")


@pytest.mark.parametrize("point", POISON_POINTS)
async def test_a_recorder_that_is_killed_at_a_point_neither_loses_nor_doubles_it(
    process: Process,
    broker_url: str,
    channel: AbstractChannel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    """With SIGKILL, in a process of its own; another recorder goes on."""
    arrived: list[str] = []
    keep = workers.dead_letters._keep

    async def counted(process: Process, batch: Sequence[Delivery]) -> None:
        await keep(process, batch)
        arrived.extend(str(one.message.message_id) for one in batch)

    async def all_there() -> bool:
        # Killed between publishing and acknowledging, the message is in both places, and is set aside once more.
        return len(arrived) == (2 if point == "aside.published" else 1)

    monkeypatch.setattr(workers.dead_letters, "_keep", counted)
    marker = tmp_path / "marker"
    environment = os.environ | {
        "PATHFINDER_DATABASE_URL": process.settings.database_url,
        "PATHFINDER_BROKER_URL": broker_url,
        "PATHFINDER_FAILPOINT": f"{point}:{marker}",
    }
    await report(channel, encode([POISON]))
    await asyncio.to_thread(_die, environment)
    assert marker.exists()

    async with recording(process, broker_url):
        await eventually(all_there)

    (row,) = await letters(process)
    assert row.reason.startswith("ValueError")


def _die(environment: dict[str, str]) -> None:
    """Run a recorder until it kills itself."""
    program = (sys.executable, "-m", "pathfinder.cli.operator", "run", "recorder")
    died = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr


async def test_a_message_that_kills_its_consumers_is_set_aside_by_its_queue(
    process: Process, broker_url: str, channel: AbstractChannel
) -> None:
    """Nobody lives to say why, so the broker's own word is told."""
    queue = topology.node_queue(f"test-{uuid4().hex[:8]}")
    await topology.declare(channel, queue)
    await (await channel.get_exchange(Exchange.COMMANDS)).publish(Message(encode([POISON])), queue.keys[0])
    deaths = 0

    async def gone() -> bool:
        nonlocal deaths
        async with await connecting.aio_pika.connect(broker_url) as connection:
            taker = await connection.channel()
            message = await (await taker.get_queue(queue.name)).get(fail=False)
            deaths += message is not None
        return await waits(channel, topology.DEAD) == 1

    await eventually(gone)
    assert deaths == topology.RETURN_LIMIT + 1
    async with recording(process, broker_url):
        await eventually(some(process, 1))

    (row,) = await letters(process)
    assert (row.queue, row.routing_key) == (queue.name, queue.keys[0])
    assert "each time its consumer died" in row.reason
    await channel.queue_delete(queue.name)


async def test_a_message_that_is_not_ours_is_kept_as_it_was(
    process: Process, broker_url: str, channel: AbstractChannel, api: httpx2.AsyncClient
) -> None:
    """It can be looked at and dropped; nobody could read it, so it is not replayed."""
    async with recording(process, broker_url):
        await report(channel, b"gib\0berish\xff")
        await eventually(some(process, 1))

    (listed,) = (await api.get("/dead")).json()["items"]
    shown = (await api.get(f"/dead/{listed['id']}")).json()
    assert shown["reason"].startswith("not JSON")
    assert (shown["replayable"], shown["envelopes"]) == (False, None)
    assert shown["text"].startswith("gib")
    refused = await api.post(f"/dead/{listed['id']}/replay")
    assert refused.status_code == 409
    assert "pfi dead drop" in refused.json()["detail"]
    assert (await api.post("/dead/replay", params={"all": True})).json() == {"replayed": 0, "kept": 1}
    assert (await api.delete(f"/dead/{listed['id']}")).json() == {"dropped": 1}
    assert await letters(process) == []


async def bury(process: Process, *queues: str) -> list[int]:
    """A dead command from each of these queues; their ids."""
    made = [
        letter(
            encode([Envelope("provision", "c", "s", body={"hostname": f"web-{number}"})]),
            {"x-pathfinder-reason": "why", "x-pathfinder-queue": queue, "x-pathfinder-exchange": Exchange.COMMANDS},
            str(number),
            queue,
        )
        for number, queue in enumerate(queues)
    ]
    async with process.database.begin() as tx:
        await dead_letters.insert(tx, [one for one in made if one is not None])
    return [row.id for row in await letters(process)]


async def put_back(process: Process) -> list[outbox.Message]:
    """What the outbox holds besides the news of it; it is empty after that."""
    async with process.database.begin() as tx:
        return [one for one in await outbox.take(tx) if one.routing_key != Kind.DEAD_REPLAYED]


async def test_a_replay_puts_a_message_back_exactly_once(process: Process, api: httpx2.AsyncClient) -> None:
    """However many ask for it at the same time: deletion and message are one transaction."""
    (id_,) = await bury(process, "a")

    answers = await asyncio.gather(*(api.post(f"/dead/{id_}/replay") for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    (message,) = await put_back(process)
    assert (message.exchange, message.routing_key) == (Exchange.COMMANDS, "a")
    assert decode(message.body)[0].body == {"hostname": "web-0"}
    assert await letters(process) == []


async def test_a_replayed_message_is_processed_by_its_consumer(
    process: Process, broker_url: str, channel: AbstractChannel, api: httpx2.AsyncClient
) -> None:
    """Once what made it fail is mended. Should it fail again, it is a new dead letter."""
    async with recording(process, broker_url):
        await report(channel, encode([POISON]))
        await eventually(some(process, 1))
        (row,) = await letters(process)
        assert (await api.post(f"/dead/{row.id}/replay")).status_code == 200
        relaying = asyncio.create_task(workers.relay.run(process))

        async def again() -> bool:
            found = await letters(process)
            return len(found) == 1 and found[0].id != row.id

        await eventually(again)
        process.stopping.set()
        await relaying


async def test_all_dead_letters_of_a_queue_are_replayed(
    process: Process, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order they died, more than fit into one statement; those of other queues stay."""
    monkeypatch.setattr(dead_letters, "BATCH", 2)
    await bury(process, "a", "b", "a", "a", "a", "a")

    answer = await api.post("/dead/replay", params={"queue": "a"})

    assert answer.json() == {"replayed": 5, "kept": 0}
    names = [decode(one.body)[0].body["hostname"] for one in await put_back(process)]
    assert names == ["web-0", "web-2", "web-3", "web-4", "web-5"]
    assert [row.queue for row in await letters(process)] == ["b"]


async def test_dead_letters_are_listed_newest_first_page_by_page(process: Process, api: httpx2.AsyncClient) -> None:
    """And one queue's by themselves."""
    ids = await bury(process, "a", "b", "a", "a")

    first = (await api.get("/dead", params={"limit": 3})).json()
    rest = (await api.get("/dead", params={"limit": 3, "cursor": first["next_cursor"]})).json()

    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert len((await api.get("/dead", params={"queue": "a"})).json()["items"]) == 3


async def test_dropping_many_must_say_which(process: Process, api: httpx2.AsyncClient) -> None:
    """Nobody means all of them by saying nothing."""
    await bury(process, "a", "b", "a")

    assert (await api.delete("/dead")).status_code == 422
    assert (await api.delete("/dead", params={"queue": "a", "all": True})).status_code == 422
    assert (await api.delete("/dead", params={"queue": "a"})).json() == {"dropped": 2}
    assert (await api.delete("/dead", params={"all": True})).json() == {"dropped": 1}
    assert (await api.delete("/dead/1")).status_code == 404


async def test_while_postgresql_is_away_dead_letters_wait(
    process: Process, broker_url: str, channel: AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their queue, however long it takes."""
    refusals = iter(range(30))
    insert = dead_letters.insert

    async def refused(*given: Any) -> None:
        if next(refusals, None) is not None:
            raise Unavailable("away")
        await insert(*given)

    monkeypatch.setattr(dead_letters, "insert", refused)
    async with recording(process, broker_url):
        await report(channel, b"gibberish")
        await eventually(some(process, 1))

"""Webhooks, from a problem in PostgreSQL to a receiver's socket."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from workbench import Fleet, eventually, serving

from pathfinder.bootstrap import Process
from pathfinder.controllers import notices
from pathfinder.controllers.notices import MAX_ATTEMPTS, sign
from pathfinder.controllers.noticing import News
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.problems import Problem, ProblemKind, Severity
from pathfinder.posting import post
from pathfinder.store import problems, webhooks
from workers import blackout
from workers.webhooks import deliver, send_one

RELAY = Problem(ProblemKind.SERVICE_DOWN, Severity.CRITICAL, "relay", "No relay runs any more.", "Start it.")
OUTBOX = Problem(ProblemKind.OUTBOX_BACKLOG, Severity.CRITICAL, "outbox", "Nothing is published.", "Look.")
SECRET = "a secret of our own"


@dataclass
class Receiver:
    """A web server that answers as it is told, in turn, the last for good, and keeps what it was sent."""

    url: str = ""
    answers: list[bytes] = field(default_factory=lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
            body = await reader.readexactly(int(headers["content-length"]))
            self.got.append((headers, body))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
            writer.close()

    @property
    def ids(self) -> list[str]:
        """The id of each notice that came."""
        return [headers["x-pathfinder-delivery"] for headers, _ in self.got]

    @property
    def told(self) -> list[tuple[str, str]]:
        """State and kind of each json notice that came, doubles dropped as the guide says."""
        once = {headers["x-pathfinder-delivery"]: json.loads(body) for headers, body in self.got}
        return [(one["state"], one["problem"]["kind"]) for one in once.values()]


FAILING = b"HTTP/1.1 500 Oh no\r\nContent-Length: 5\r\n\r\nwrong"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Somebody who wants to know."""
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield made


async def tell(fleet: Fleet, *, opened: tuple[Problem, ...] = (), ended: tuple[Problem, ...] = ()) -> None:
    """The engine found this."""
    async with fleet.process.database.begin() as tx:
        await problems.write(tx, News(opened, (), tuple(one.key for one in ended)))


async def make(api: httpx2.AsyncClient, url: str, **more: object) -> None:
    """A webhook `ops`."""
    answer = await api.post("/webhooks", json={"name": "ops", "url": url, "secret": SECRET} | more)
    assert answer.status_code == 201, answer.text


async def drained(fleet: Fleet) -> None:
    """Send all that is due, whatever comes of it."""
    async with fleet.process.database.begin() as tx:
        waiting = await webhooks.waiting(tx)
    for one in waiting:
        while await send_one(fleet.process, one):
            pass


async def due(fleet: Fleet) -> None:
    """Whatever waits for its next try need not wait longer."""
    await fleet.rows("UPDATE deliveries SET next_at = now() WHERE next_at IS NOT NULL RETURNING id")


@pytest.fixture
async def delivering(process: Process) -> AsyncIterator[None]:
    """The controller's part that sends."""
    task = asyncio.create_task(deliver(process))
    yield
    process.stopping.set()
    await task


@pytest.mark.usefixtures("delivering")
async def test_a_receiver_that_fails_first_hears_of_each_problem_once(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver
) -> None:
    """One firing, one resolved, in this order, all signed; a notice that is tried again has the same id."""
    receiver.answers = [FAILING, FAILING, *receiver.answers]
    await make(api, receiver.url)
    await tell(fleet, opened=(RELAY,))
    await tell(fleet, ended=(RELAY,))

    async def told() -> bool:
        await due(fleet)
        return len(receiver.got) >= 4

    await eventually(told, 20)

    assert receiver.told == [("firing", "service.down"), ("resolved", "service.down")]
    assert len(set(receiver.ids)) == 2
    for headers, body in receiver.got:
        assert headers["x-pathfinder-signature"] == sign(SECRET, headers["x-pathfinder-timestamp"], body)
        assert abs(datetime.now(UTC).timestamp() - int(headers["x-pathfinder-timestamp"])) < 60

    async def noted() -> bool:
        return (await api.get("/webhooks/ops")).json()["pending"] == 0

    await eventually(noted)
    last = (await api.get("/webhooks/ops")).json()["last_delivery"]
    assert (last["state"], last["kind"], last["taken"]) == ("resolved", "service.down", True)


async def test_a_controller_that_dies_after_sending_sends_the_same_notice_again(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver
) -> None:
    """The receiver can tell by its id, and drops it."""
    await make(api, receiver.url)
    await tell(fleet, opened=(RELAY,))
    async with fleet.process.database.begin() as tx:
        target = await webhooks.find(tx, "ops")
        claimed = await webhooks.claim(tx, target.id)
        assert claimed is not None
        assert await webhooks.claim(tx, target.id) is None, "two may not send the same at once"
    await post(notices.prepare(target.format, target.url, target.secret, claimed.notice, datetime.now(UTC)))

    await due(fleet)
    await drained(fleet)

    assert len(receiver.got) == 2
    assert len(set(receiver.ids)) == 1
    assert receiver.told == [("firing", "service.down")]


async def test_who_never_heard_of_a_problem_does_not_hear_that_it_is_over(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver
) -> None:
    """After an hour of tries it is given up, which is an event; the next problem is tried like any other."""
    receiver.answers = [FAILING]
    await make(api, receiver.url)
    await tell(fleet, opened=(RELAY,))
    for _ in range(MAX_ATTEMPTS + 2):
        await due(fleet)
        await drained(fleet)
    await tell(fleet, ended=(RELAY,))
    await due(fleet)
    await drained(fleet)

    assert len(receiver.got) == MAX_ATTEMPTS
    assert (await fleet.kinds()).count("webhook.given_up") == 1
    last = (await api.get("/webhooks/ops")).json()["last_delivery"]
    assert (last["taken"], last["error"]) == (False, "answered 500: wrong")

    receiver.answers = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    await tell(fleet, opened=(OUTBOX,))
    await drained(fleet)
    assert receiver.told[-1] == ("firing", "outbox.backlog")


async def test_a_notice_given_up_while_the_end_waits_takes_the_end_with_it(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver
) -> None:
    """The problem ended before the tries did."""
    receiver.answers = [FAILING]
    await make(api, receiver.url)
    await tell(fleet, opened=(RELAY,))
    await tell(fleet, ended=(RELAY,))
    for _ in range(MAX_ATTEMPTS + 2):
        await due(fleet)
        await drained(fleet)

    assert {state for state, _ in receiver.told} == {"firing"}
    assert await fleet.rows("SELECT id FROM deliveries WHERE next_at IS NOT NULL") == []


async def test_a_webhook_hears_only_of_the_kinds_it_wants_and_of_what_is_open(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver
) -> None:
    """A new one is told at once of what is wrong already."""
    await tell(fleet, opened=(RELAY, OUTBOX))
    await make(api, receiver.url, kinds=["outbox.backlog"])
    await drained(fleet)

    assert receiver.told == [("firing", "outbox.backlog")]


async def test_alertmanager_is_told_again_until_it_is_over(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver
) -> None:
    """It forgets alerts that are not repeated."""
    await make(api, receiver.url, format="alertmanager")
    await tell(fleet, opened=(RELAY,))
    await drained(fleet)
    await due(fleet)
    await drained(fleet)
    assert len(receiver.got) == 2
    await tell(fleet, ended=(RELAY,))
    await due(fleet)
    await drained(fleet)
    await due(fleet)
    await drained(fleet)

    alerts = [json.loads(body)[0] for _, body in receiver.got]
    assert len(alerts) == 3
    assert len({json.dumps(alert["labels"]) for alert in alerts}) == 1
    assert datetime.fromisoformat(alerts[-1]["endsAt"]) < datetime.now(UTC)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", "redirects are not"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000, "answered 500"),
        (b"this is no HTTP\r\n\r\n", "cannot be reached"),
        (b"", "cannot be reached"),
    ],
)
async def test_a_test_tells_what_the_receiver_said(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver, answer: bytes, words: str
) -> None:
    """Whatever it says, the request is answered, and nothing is stored or followed."""
    receiver.answers = [answer]
    await make(api, receiver.url)

    tested = await api.post("/webhooks/ops/test")

    assert tested.status_code == 200
    assert tested.json()["taken"] is False
    assert words in tested.json()["answer"]
    assert len(receiver.got) == 1
    assert await fleet.rows("SELECT id FROM deliveries") == []


async def test_a_secret_is_shown_once(api: httpx2.AsyncClient, receiver: Receiver) -> None:
    """By the answer that made it; a test is signed with it."""
    made = (await api.post("/webhooks", json={"name": "ops", "url": receiver.url})).json()
    assert len(made["secret"]) > 32

    for path in ("/webhooks", "/webhooks/ops"):
        assert "secret" not in (await api.get(path)).text
    assert (await api.post("/webhooks/ops/test")).json()["taken"] is True
    ((headers, body),) = receiver.got
    assert headers["x-pathfinder-signature"] == sign(made["secret"], headers["x-pathfinder-timestamp"], body)
    assert json.loads(body)["state"] == "test"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Bad Name", "url": "https://a/b"},
        {"name": "ops"},
        {"name": "ops", "url": "ftp://a/b"},
        {"name": "ops", "url": "file:///etc/passwd"},
        {"name": "ops", "url": "https://"},
        {"name": "ops", "url": "https://user:pw@a/b"},
        {"name": "ops", "url": "https://a:99999/"},
        {"name": "ops", "url": "https://a/b c"},
        {"name": "ops", "url": "https://a/\n"},
        {"name": "ops", "url": "https://a/b", "format": "pager"},
        {"name": "ops", "url": "https://a/b", "kinds": ["everything"]},
        {"name": "ops", "url": "https://a/b", "secret": "short"},
        {"name": "ops", "url": "https://a/b", "more": 1},
    ],
)
async def test_a_webhook_that_is_not_right_is_refused(
    api: httpx2.AsyncClient, fleet: Fleet, body: dict[str, Any]
) -> None:
    """422, and nothing is kept."""
    assert (await api.post("/webhooks", json=body)).status_code == 422
    assert await fleet.rows("SELECT name FROM webhooks") == []


async def test_webhooks_are_listed_and_deleted(api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver) -> None:
    """With what waited for them; a name is taken once."""
    await make(api, receiver.url)
    await tell(fleet, opened=(RELAY,))
    again = await api.post("/webhooks", json={"name": "ops", "url": receiver.url})
    assert again.status_code == 409
    (listed,) = (await api.get("/webhooks")).json()["items"]
    assert (listed["name"], listed["pending"], listed["last_delivery"]) == ("ops", 1, None)

    assert (await api.delete("/webhooks/ops")).status_code == 204
    assert (await api.delete("/webhooks/ops")).status_code == 404
    assert (await api.get("/webhooks/ops")).status_code == 404
    assert (await api.post("/webhooks/ops/test")).status_code == 404
    assert await fleet.rows("SELECT id FROM deliveries") == []


@pytest.mark.usefixtures("channel")
async def test_a_running_controller_finds_and_tells(
    api: httpx2.AsyncClient, fleet: Fleet, receiver: Receiver, broker_url: str, tmp_path: Path
) -> None:
    """The whole way, with the real process: a row that should not be there, a POST, and another when it is gone."""
    await make(api, receiver.url)
    with serving(fleet.process.settings.database_url, broker_url, tmp_path / "log", "api", "controller"):
        await fleet.rows(
            "INSERT INTO dead_letters (message_key, failed_at, queue, exchange, routing_key, reason, body) "
            "VALUES (gen_random_uuid(), now(), 'q', 'e', 'k', 'r', '') RETURNING id"
        )

        async def told() -> bool:
            return ("firing", "dead.letters") in receiver.told

        await eventually(told, 60)
        await fleet.rows("DELETE FROM dead_letters RETURNING id")

        async def over() -> bool:
            return ("resolved", "dead.letters") in receiver.told

        await eventually(over, 60)
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_that_postgresql_is_away_is_told_from_memory_and_that_it_is_back(
    receiver: Receiver, api: httpx2.AsyncClient, process: Process, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once each, only to those who want to know, only by the one that leads: nobody else can tell, and nobody twice."""
    deaf = Receiver(url=receiver.url)
    await make(api, receiver.url)
    await make(api, deaf.url, name="other", kinds=["node.down"])
    monkeypatch.setattr(blackout, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(blackout, "SILENT_SECONDS", 0.0)
    receiver.answers = [FAILING, *receiver.answers]
    monkeypatch.setattr(blackout, "wait_seconds", lambda attempts, chance: 0.01)
    read, asked = process.database.read, asyncio.Event()

    def seen() -> Any:
        asked.set()
        return read()

    def away() -> Any:
        raise Unavailable("PostgreSQL does not answer.")

    monkeypatch.setattr(process.database, "read", seen)
    process.leading.add("problems")
    follower = dataclasses.replace(process, leading=set())
    watching = [asyncio.create_task(blackout.run(one, "problems")) for one in (process, follower)]

    async def told_firing() -> bool:
        return receiver.told == [("firing", "database.down")] and len(receiver.got) >= 2

    async def told_resolved() -> bool:
        return receiver.told == [("firing", "database.down"), ("resolved", "database.down")]

    for _ in range(3):
        asked.clear()
        await asked.wait()
    monkeypatch.setattr(process.database, "read", away)
    process.leading.clear()  # the lead goes with the database
    await eventually(told_firing)
    monkeypatch.setattr(process.database, "read", read)
    await eventually(told_resolved)
    process.stopping.set()
    await asyncio.gather(*watching)

    assert len(receiver.got) == 3
    assert len(set(receiver.ids)) == 2

"""Users and tokens: who makes them, what they may, and when they end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from logins import ALICE, KNOWN, browser
from sqlalchemy import text
from workbench import eventually, registration

from api.app import create_app
from api.routes import events as event_routes
from api.tail import Tail
from api.uses import Uses
from pathfinder.bootstrap import Process
from pathfinder.domain.access import Role
from pathfinder.domain.views import Event
from pathfinder.store import clusters, sessions, tokens, users
from pathfinder.store.events import Query


@pytest.fixture
async def admin(api: httpx2.AsyncClient, process: Process) -> httpx2.AsyncClient:
    """A client with an admin's token, and a cluster `blue` beside `default`."""
    async with process.database.begin() as tx:
        secret = await tokens.create(tx, "root", "admin")
        await clusters.create(tx, "blue", "spread", "local:tiny", "test", "")
    api.headers["Authorization"] = f"Bearer {secret}"
    return api


@pytest.fixture
async def alice(process: Process, admin: httpx2.AsyncClient) -> AsyncIterator[httpx2.AsyncClient]:
    """An operator of `blue` who has logged in."""
    async with process.database.begin() as tx:
        ids = await clusters.ids(tx, ["blue"])
        await users.create(tx, "alice", KNOWN, Role.OPERATOR, ids, actor="test")
    async with browser(process) as client:
        begun = (await client.post("/session", json=ALICE)).json()
        client.headers["X-CSRF-Token"] = begun["csrf_token"]
        yield client


def bearing(made: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The arguments of a request with this token."""
    return {"headers": {"Authorization": f"Bearer {made['token']}"}}


async def test_a_user_is_made_logs_in_and_is_forgotten(admin: httpx2.AsyncClient, process: Process) -> None:
    """The answer has no password, and with the user everything of theirs ends."""
    spec = {"name": "bob", "password": "a long enough one", "role": "viewer", "clusters": ["blue"]}
    made = await admin.post("/users", json=spec)
    assert made.status_code == 201, made.text
    assert made.json().keys() == {"name", "role", "clusters", "external", "created_at"}
    assert (await admin.post("/users", json=spec)).status_code == 409
    assert (await admin.post("/users", json=spec | {"name": "eve", "clusters": ["ghost"]})).status_code == 404
    assert [one["name"] for one in (await admin.get("/users")).json()["items"]] == ["bob"]

    async with browser(process) as client:
        begun = await client.post("/session", json={"username": "bob", "password": spec["password"]})
        assert (begun.json()["role"], begun.json()["clusters"]) == ("viewer", ["blue"])
        assert (await admin.delete("/users/bob")).status_code == 204
        assert (await client.get("/session")).status_code == 401
    assert (await admin.delete("/users/bob")).status_code == 404


@pytest.mark.parametrize(
    ("name", "password"),
    [("admin", "pathfinder"), ("long-enough", "long-enough"), ("bob", "short"), ("Not A Name", "a long enough one")],
)
async def test_what_anybody_would_guess_is_no_password(admin: httpx2.AsyncClient, name: str, password: str) -> None:
    """422, which does not repeat it."""
    refused = await admin.post("/users", json={"name": name, "password": password})

    assert refused.status_code == 422
    assert name == password or password not in refused.text


async def test_who_sets_their_own_password_has_to_know_it(alice: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """Their session goes on; another's password is an admin's to set, who need not know it."""
    new = {"password": "an entirely new one"}

    assert (await alice.put("/users/alice/password", json=new)).status_code == 422
    assert (await alice.put("/users/alice/password", json=new | {"current": "wrong"})).status_code == 422
    assert (await alice.put("/users/bob/password", json=new)).status_code == 403
    changed = await alice.put("/users/alice/password", json=new | {"current": ALICE["password"]})
    assert changed.status_code == 204, changed.text
    assert (await alice.get("/session")).status_code == 200
    assert (await admin.put("/users/alice/password", json={"password": "yet another one"})).status_code == 204
    assert (await alice.get("/session")).status_code == 401
    assert (await admin.put("/users/ghost/password", json=new)).status_code == 404


async def test_nobody_makes_a_token_that_may_more_than_themselves(alice: httpx2.AsyncClient) -> None:
    """Neither in role nor in clusters; and what they make is theirs."""
    for spec in ({"role": "admin", "clusters": ["blue"]}, {"clusters": ["default"]}, {"clusters": None}):
        assert (await alice.post("/tokens", json={"name": "more"} | spec)).status_code == 403
    made = await alice.post("/tokens", json={"name": "ci", "role": "operator", "clusters": ["blue"]})

    assert made.status_code == 201, made.text
    assert made.json()["user"] == "alice"
    assert made.json()["actor"] == "user:alice"
    found = await alice.get("/session", **bearing(made.json()))
    assert found.json() | {"expires_at": None} == {
        "user": "alice",
        "actor": "token:ci",
        "role": "operator",
        "clusters": ["blue"],
        "csrf_token": None,
        "expires_at": None,
    }
    # A token that leaks must not be able to outlive its end.
    again = await alice.post("/tokens", json={"name": "heir", "clusters": ["blue"]}, **bearing(made.json()))
    assert again.status_code == 403


async def test_a_token_is_seen_and_revoked_by_whose_it_is_and_by_admins(
    alice: httpx2.AsyncClient, admin: httpx2.AsyncClient
) -> None:
    """Nobody else knows that it is there."""
    own = (await alice.post("/tokens", json={"name": "own", "clusters": ["blue"]})).json()
    other = (await admin.post("/tokens", json={"name": "other"})).json()

    assert [one["name"] for one in (await alice.get("/tokens")).json()["items"]] == ["own"]
    assert {"own", "other"} <= {one["name"] for one in (await admin.get("/tokens")).json()["items"]}
    assert (await alice.delete(f"/tokens/{other['id']}")).status_code == 404
    assert (await alice.delete(f"/tokens/{own['id']}")).status_code == 204
    assert (await alice.get("/session", **bearing(own))).status_code == 401
    assert (await admin.delete(f"/tokens/{other['id']}")).status_code == 204
    assert (await admin.get("/session", **bearing(other))).status_code == 401


async def test_a_name_is_free_again_once_its_token_has_ended(admin: httpx2.AsyncClient, process: Process) -> None:
    """Until then it is taken: the event log tells tokens apart by their names."""
    spec = {"name": "ci", "seconds": 3600}
    first = (await admin.post("/tokens", json=spec)).json()
    assert (await admin.post("/tokens", json=spec)).status_code == 409
    async with process.database.begin() as tx:
        await tx.execute(text("UPDATE tokens SET expires_at = now() - interval '1 second' WHERE name = 'ci'"))

    assert (await admin.get("/session", **bearing(first))).status_code == 401
    assert (await admin.post("/tokens", json=spec)).status_code == 201


async def test_logging_out_with_ones_own_token_revokes_it(alice: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """One that is nobody's is not voided by whoever forgets it."""
    own = (await alice.post("/tokens", json={"name": "own", "clusters": ["blue"]})).json()
    shared = (await admin.post("/tokens", json={"name": "shared"})).json()

    assert (await alice.delete("/session", **bearing(own))).status_code == 204
    assert (await alice.get("/session", **bearing(own))).status_code == 401
    assert (await admin.delete("/session", **bearing(shared))).status_code == 403
    assert (await admin.get("/session", **bearing(shared))).status_code == 200


async def test_sessions_are_listed_and_ended(alice: httpx2.AsyncClient, admin: httpx2.AsyncClient) -> None:
    """One's own by anybody, everybody's by admins."""
    (own,) = (await alice.get("/sessions")).json()["items"]
    assert (own["user"], own["source"]) == ("alice", "192.0.2.1")
    assert [one["id"] for one in (await admin.get("/sessions")).json()["items"]] == [own["id"]]

    assert (await admin.delete(f"/sessions/{own['id']}")).status_code == 204
    assert (await admin.delete(f"/sessions/{own['id']}")).status_code == 404
    assert (await alice.get("/sessions")).status_code == 401


async def test_the_last_use_is_written_beside_the_requests(admin: httpx2.AsyncClient, process: Process) -> None:
    """Nothing is while they are answered; what was used, once."""
    made = (await admin.post("/tokens", json={"name": "ci"})).json()
    uses = Uses(process)
    async with process.database.begin() as tx:
        found = await tokens.find(tx, made["token"])
    assert found is not None
    assert made["used_at"] is None
    uses.note(found.id)
    uses.note(found.id)
    await uses.write()

    shown = {one["name"]: one["used_at"] for one in (await admin.get("/tokens")).json()["items"]}
    assert shown["ci"] is not None
    assert shown["root"] is None


async def test_what_ended_is_known_to_have(
    admin: httpx2.AsyncClient, alice: httpx2.AsyncClient, process: Process
) -> None:
    """For answers that take long, like streams."""
    made = (await admin.post("/tokens", json={"name": "ci"})).json()
    async with process.database.begin() as tx:
        token = await tokens.find(tx, made["token"])
        session = await sessions.find(tx, alice.cookies["pathfinder_session"])
        assert token is not None
        assert session is not None
        assert await tokens.stands(tx, token.id)
        assert await tokens.stands(tx, session.id)
        await tx.execute(text("UPDATE sessions SET expires_at = now()"))
        await tx.execute(text("UPDATE tokens SET expires_at = now()"))
        assert not await tokens.stands(tx, token.id)
        assert not await tokens.stands(tx, session.id)


async def test_every_change_of_who_may_do_what_names_its_actor(
    alice: httpx2.AsyncClient, admin: httpx2.AsyncClient
) -> None:
    """In the event log, for those who are for all clusters; without the secret."""
    own = (await alice.post("/tokens", json={"name": "own", "clusters": ["blue"]})).json()
    await alice.delete(f"/tokens/{own['id']}")
    await admin.delete("/users/alice")
    events = (await admin.get("/events", params={"kind": ["user.", "token."]})).json()["items"]

    assert [(one["kind"], one["subject"]["name"], one["actor"]) for one in events] == [
        ("user.created", "alice", "test"),
        ("token.created", "own", "user:alice"),
        ("token.revoked", "own", "user:alice"),
        ("user.deleted", "alice", "token:root"),
    ]
    assert own["token"] not in str(events)


async def test_the_log_is_narrowed_to_an_actor_or_to_a_kind_of_them(
    alice: httpx2.AsyncClient, admin: httpx2.AsyncClient, process: Process
) -> None:
    """A list and a live event go by the same rule."""
    await alice.post("/containers?cluster=blue", json={"hostname": "web-01"})
    await admin.post("/webhooks", json={"name": "ops", "url": "http://127.0.0.1:9/", "secret": "very secret"})
    await admin.delete("/webhooks/ops")
    await admin.delete("/dead?all=true")
    every = (await admin.get("/events")).json()["items"]
    for actors in (["user:"], ["user:alice"], ["token:root", "user:"], ["user:alic"], ["test"], ["user"]):
        listed = (await admin.get("/events", params={"actor": actors})).json()["items"]
        query = Query(actors=tuple(actors))
        assert listed == [one for one in every if query.matches(Event.model_validate(one))]

    assert [one["kind"] for one in every if one["actor"] == "user:alice"] == ["container.requested"]
    told = [(one["kind"], one["subject"]["name"]) for one in every if one["actor"] == "token:root"]
    assert told == [("webhook.created", "ops"), ("webhook.deleted", "ops"), ("dead.dropped", "all")]
    assert "very secret" not in str(every)


async def test_a_join_token_admits_as_many_machines_as_it_may(
    alice: httpx2.AsyncClient, admin: httpx2.AsyncClient, process: Process
) -> None:
    """The same machine may come again, its answer may have been lost; another may not, nor after it was deleted."""
    spec = {"name": "once", "role": "join", "clusters": ["blue"], "uses": 1, "seconds": 60}
    made = (await alice.post("/tokens", json=spec)).json()

    async def join(hostname: str) -> httpx2.Response:
        body = registration(hostname).model_dump()
        return await admin.post("/nodes/register?cluster=blue", json=body, **bearing(made))

    assert [(await join(name)).status_code for name in ("one", "one", "two")] == [200, 200, 403]
    (shown,) = [one for one in (await alice.get("/tokens")).json()["items"] if one["id"] == made["id"]]
    assert (shown["machines"], shown["uses"], shown["clusters"], shown["user"]) == (1, 1, ["blue"], None)
    credential = (await join("one")).json()
    assert (await admin.post("/nodes/heartbeat", **bearing(credential))).status_code == 204
    assert (await admin.delete("/nodes/one?cluster=blue")).status_code == 204
    assert (await admin.post("/nodes/heartbeat", **bearing(credential))).status_code == 401
    assert (await join("two")).status_code == 403


async def test_of_machines_that_come_at_once_no_more_are_admitted(admin: httpx2.AsyncClient) -> None:
    """They are counted one after the other."""
    made = (await admin.post("/tokens", json={"name": "two", "role": "join", "uses": 2})).json()
    bodies = [registration(f"node-{number}").model_dump() for number in range(5)]

    answers = await asyncio.gather(*(admin.post("/nodes/register", json=body, **bearing(made)) for body in bodies))

    assert sorted(one.status_code for one in answers) == [200, 200, 403, 403, 403]


@pytest.mark.parametrize(
    "spec",
    [
        {"uses": 3},
        {"role": "join", "clusters": ["blue", "default"]},
        {"role": "join", "personal": True},
        {"role": "node"},
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(admin: httpx2.AsyncClient, spec: dict[str, object]) -> None:
    """422, and none is made."""
    assert (await admin.post("/tokens", json={"name": "odd"} | spec)).status_code == 422
    assert "odd" not in (await admin.get("/tokens")).text


async def test_a_stream_ends_once_its_token_is_revoked(
    admin: httpx2.AsyncClient, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells nothing that happened after that; it is looked up again and again for as long as it lasts."""
    monkeypatch.setattr(event_routes, "RECHECK_SECONDS", -1.0)
    made = (await admin.post("/tokens", json={"name": "watcher"})).json()
    tail = Tail(process)
    following = asyncio.create_task(tail.run())
    transport = httpx2.ASGITransport(create_app(process, tail))

    async def streaming() -> bool:
        return bool(tail._streams)

    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder/api/v3") as client:
        watching = asyncio.create_task(client.get("/events/stream", **bearing(made)))
        await eventually(streaming)
        await admin.delete(f"/tokens/{made['id']}")
        await admin.post("/containers", json={"hostname": "unseen"})
        async with asyncio.timeout(30):
            told = await watching
    process.stopping.set()
    await following

    assert told.status_code == 200
    assert "unseen" not in told.text

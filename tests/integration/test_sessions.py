"""Logging in, with a cookie, and what a session is good for."""

import httpx2
import pytest
from logins import ALICE, KNOWN, browser
from sqlalchemy import text
from workbench import MakeProcess

from api import safety
from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.domain.access import Role
from pathfinder.domain.errors import Invalid
from pathfinder.passwords import hashed
from pathfinder.store import clusters, users


@pytest.fixture
async def alice(process: Process) -> None:
    """A user."""
    async with process.database.begin() as tx:
        default = await clusters.find(tx, "default")
        await users.create(tx, "alice", KNOWN, Role.OPERATOR, [default.id], actor="test")


@pytest.mark.usefixtures("alice")
async def test_a_login_opens_every_route_until_the_logout(process: Process) -> None:
    """The answer says who one is; the cookie is for the browser alone; a session that was ended opens nothing."""
    async with browser(process) as client:
        begun = await client.post("/session", json=ALICE)
        cookie = next(one for one in begun.headers.get_list("set-cookie") if one.startswith("pathfinder_session="))

        assert begun.status_code == 200, begun.text
        assert begun.json().keys() >= {"user", "role", "clusters", "csrf_token", "expires_at"}
        assert (begun.json()["user"], begun.json()["role"]) == ("alice", "operator")
        assert begun.json()["clusters"] == ["default"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie
        assert (await client.get("/session")).json() == begun.json()
        assert (await client.get("/nodes")).status_code == 200

        headers = {"X-CSRF-Token": begun.json()["csrf_token"]}
        secret = client.cookies["pathfinder_session"]
        assert (await client.delete("/session", headers=headers)).status_code == 204
        again = await client.get("/session", headers={"Cookie": f"pathfinder_session={secret}"})
        assert again.status_code == 401


@pytest.mark.usefixtures("alice")
async def test_over_https_the_cookie_is_for_https_alone(process: Process) -> None:
    """It has Secure."""
    async with browser(process, scheme="https") as client:
        begun = await client.post("/session", json=ALICE)

    assert all("Secure" in one for one in begun.headers.get_list("set-cookie"))


@pytest.mark.usefixtures("alice")
async def test_another_site_cannot_use_the_cookie(process: Process) -> None:
    """What changes something wants the token that only the console's own page can read."""
    container = {"hostname": "web-01"}
    async with browser(process) as client:
        token = (await client.post("/session", json=ALICE)).json()["csrf_token"]

        for headers in ({}, {b"X-CSRF-Token": b"guessed"}, {b"X-CSRF-Token": b"\xe9"}):
            assert (await client.post("/containers", json=container, headers=headers)).status_code == 403
        made = await client.post("/containers", json=container, headers={"X-CSRF-Token": token})
        assert made.status_code == 201, made.text

    async with process.database.begin() as tx:
        actor = await tx.execute(text("SELECT actor FROM events WHERE kind = 'container.requested'"))
        assert actor.scalars().all() == ["user:alice"]


@pytest.mark.usefixtures("alice")
async def test_what_is_wrong_with_a_login_is_not_told(process: Process) -> None:
    """An unknown user and a wrong password are answered with the same words."""
    async with browser(process) as client:
        wrong = [
            await client.post("/session", json={"username": name, "password": "wrong"}) for name in ("alice", "nobody")
        ]

    assert [one.status_code for one in wrong] == [401, 401]
    assert len({one.json()["detail"] for one in wrong}) == 1
    assert "set-cookie" not in wrong[0].headers


@pytest.mark.usefixtures("alice")
async def test_guessing_is_held_up_and_locks_nobody_else_out(process: Process) -> None:
    """After some failures a source has to wait, even with the right password; another source, and a browser that
    logged in before from the very same one, do not.
    """
    app = create_app(process, Tail(process))

    def from_(source: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app, client=(source, 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://pathfinder/api/v3")

    async with from_("192.0.2.1") as known, from_("192.0.2.1") as guesser, from_("192.0.2.2") as elsewhere:
        assert (await known.post("/session", json=ALICE)).status_code == 200
        for _ in range(5):
            assert (await guesser.post("/session", json=ALICE | {"password": "wrong"})).status_code == 401
        held = await guesser.post("/session", json=ALICE)

        assert held.status_code == 429
        assert 0 < int(held.headers["Retry-After"]) <= 60
        assert (await elsewhere.post("/session", json=ALICE)).status_code == 200
        assert (await known.post("/session", json=ALICE)).status_code == 200


@pytest.mark.usefixtures("alice")
async def test_a_session_ends_by_itself(process: Process) -> None:
    """At the moment that the login named."""
    async with browser(process) as client:
        await client.post("/session", json=ALICE)
        async with process.database.begin() as tx:
            await tx.execute(text("UPDATE sessions SET expires_at = now()"))

        assert (await client.get("/session")).status_code == 401


@pytest.mark.usefixtures("alice")
async def test_another_password_ends_what_the_former_began(process: Process) -> None:
    """Its sessions are over, and it opens no new ones."""
    async with browser(process) as client:
        await client.post("/session", json=ALICE)
        known = await hashed("battery staple")
        async with process.database.begin() as tx:
            await users.set_password(tx, "alice", known, actor="test")

        assert (await client.get("/session")).status_code == 401
        assert (await client.post("/session", json=ALICE)).status_code == 401
        assert (await client.post("/session", json=ALICE | {"password": "battery staple"})).status_code == 200


async def test_only_hashes_are_kept(process: Process, alice: None) -> None:
    """Neither password nor session nor device stands in any column."""
    async with browser(process) as client:
        await client.post("/session", json=ALICE)
        secrets = [ALICE["password"], *client.cookies.values()]
    async with process.database.begin() as tx:
        for table in ("users", "sessions", "devices", "events"):
            rows = str((await tx.execute(text(f"SELECT * FROM {table}"))).all())  # noqa: S608 - a name from above
            assert not any(secret in rows for secret in secrets)


async def test_what_everybody_knows_opens_nothing_in_production(make_process: MakeProcess, process: Process) -> None:
    """The API does not start with it, and where that could not be seen, it does not log in; elsewhere it does both."""
    known = await hashed("pathfinder")
    async with process.database.begin() as tx:
        await users.create(tx, "admin", known, Role.ADMIN, actor="test")
    production, credentials = make_process(mode="production"), {"username": "admin", "password": "pathfinder"}

    await safety.check(process)
    with pytest.raises(Invalid, match="passwd admin"):
        await safety.check(production)
    async with browser(process) as client:
        assert (await client.post("/session", json=credentials)).status_code == 200
    async with browser(production) as client:
        assert (await client.post("/session", json=credentials)).status_code == 401


async def test_an_event_stream_is_read_with_the_cookie(process: Process, alice: None) -> None:
    """As a browser's EventSource does, which can send no header of its own."""
    async with browser(process) as client:
        assert (await client.get("/events/stream?cursor=x")).status_code == 401
        await client.post("/session", json=ALICE)
        assert (await client.get("/events/stream?cursor=x")).status_code == 422

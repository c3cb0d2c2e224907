"""Secrets stay where they belong: everything that an API says, logs and stores is searched for those it was told."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from workbench import EMPTY, serving

from pathfinder.domain.access import Role
from pathfinder.passwords import hashed
from pathfinder.store import clusters, tokens, users
from pathfinder.store.database import Database

PASSWORD, NEXT, WRONG = "the-right-password", "the-next-password", "the-wrong-password"
HOOK, VALUE, GUESSED = "the-webhook-secret", "the-secret-of-containers", "pf_the-guessed-token"


class Conversation:
    """Requests to an API, and all that it answered."""

    def __init__(self, url: str) -> None:
        # After an answer of 500 the connection is closed.
        alone = httpx2.Limits(max_keepalive_connections=0)
        self.http = httpx2.Client(base_url=f"{url}/api/v3", timeout=20, trust_env=False, limits=alone)
        self.answers: list[str] = []

    def ask(self, method: str, path: str, *, token: str | None = None, reveals: str = "", **given: Any) -> Any:
        """A request; of its answer the field that `reveals` something on purpose is not kept."""
        headers = given.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = self.http.request(method, path, headers=headers, **given)
        if "json" not in answer.headers.get("content-type", "") or not answer.content:
            return self.answers.append(answer.text)
        body = answer.json()
        self.answers.append(json.dumps({key: one for key, one in body.items() if key != reveals}))
        return body


@pytest.fixture
async def database(fresh_url: str) -> Any:
    """The API's database, with an admin's token and a user; webhooks can be made only until one is named `broken`."""
    made = Database(fresh_url)
    known = await hashed(PASSWORD)
    async with made.begin() as tx:
        await tx.execute(EMPTY)
        await clusters.create(tx, "default", "spread", "local:tiny", "test", "")
        await users.create(tx, "alice", known, Role.ADMIN, actor="test")
        await tx.execute(text("ALTER TABLE webhooks ADD CONSTRAINT no CHECK (name <> 'broken')"))
    yield made
    async with made.begin() as tx:
        await tx.execute(text("ALTER TABLE webhooks DROP CONSTRAINT no"))
    await made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the API logs."""
    return tmp_path / "log"


@pytest.fixture
def api(
    database: Database, fresh_url: str, broker_url: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Conversation]:
    """An API that says as much as it can."""
    keys = tmp_path / "keys"
    keys.write_bytes(Fernet.generate_key())
    monkeypatch.setitem(os.environ, "PATHFINDER_SECRET_KEYS", str(keys))
    monkeypatch.setitem(os.environ, "PATHFINDER_LOG_LEVEL", "debug")
    with serving(fresh_url, broker_url, log, "api") as (url, _):
        yield Conversation(url)


async def test_nothing_that_was_told_in_confidence_is_told_on(api: Conversation, database: Database, log: Path) -> None:
    """Not in an answer, an event, a log or a row: passwords, sessions, tokens, signatures of webhooks, secrets; neither
    where all goes well, nor where the request is wrong, or something breaks.
    """
    async with database.begin() as tx:
        admin = await tokens.create(tx, "root", "admin")

    told = talk(api, admin)
    api.ask("GET", "/events?limit=1000", token=admin)
    for path in ("/tokens", "/users", "/sessions", "/webhooks", "/secrets", "/status"):
        api.ask("GET", path, token=admin)
    said = "\n".join([*api.answers, api.http.get(api.http.base_url.copy_with(path="/metrics")).text])
    logged = log.read_text()  # noqa: ASYNC240 - the test waits for nothing else
    assert "request failed" in logged
    for secret in (*told, admin):
        assert secret not in said
        assert secret not in logged
    async with database.begin() as tx:
        for (table,) in await tx.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")):
            rows = str([dict(row) for row in (await tx.execute(text(f"SELECT * FROM {table}"))).mappings()])  # noqa: S608
            kept = {HOOK} if table == "webhooks" else set()  # what notices are signed with
            assert not [one for one in (*told, admin) if one in rows and one not in kept], table


def talk(api: Conversation, admin: str) -> list[str]:
    """Everything that can be done with a secret, rightly and wrongly; those that were told."""
    login = {"username": "alice", "password": PASSWORD}
    api.ask("POST", "/session", json=login | {"password": WRONG})
    api.ask("POST", "/session", content=json.dumps(login)[:-1], headers={"Content-Type": "application/json"})
    api.ask("POST", "/session", json=login | {"remember": PASSWORD})
    api.ask("POST", "/session", json=login | {"username": ["alice"]})
    csrf = api.ask("POST", "/session", json=login, reveals="csrf_token")["csrf_token"]
    told = [PASSWORD, NEXT, WRONG, HOOK, VALUE, GUESSED, *api.http.cookies.values()]
    headers = {"X-CSRF-Token": csrf}
    made = api.ask("POST", "/tokens", json={"name": "ci"}, headers=headers, reveals="token")["token"]
    for token in (made, GUESSED, f"{made} {made}"):
        api.ask("GET", "/nodes", token=token)
    api.ask("PUT", "/users/alice/password", json={"password": NEXT, "current": WRONG}, headers=headers)
    api.ask("PUT", "/users/alice/password", json={"password": NEXT, "current": PASSWORD}, headers=headers)
    for name in ("bob", "bob", "No Name"):
        api.ask("POST", "/users", json={"name": name, "password": NEXT}, token=admin)
    hook = {"url": "http://127.0.0.1:9/", "secret": HOOK}
    for name in ("ops", "ops", "No Name", "broken"):
        api.ask("POST", "/webhooks", json=hook | {"name": name}, token=admin, reveals="secret")
    for name in ("db", "db", "-"):
        api.ask("PUT", f"/secrets/{name}", json={"value": VALUE}, token=admin)
    api.ask("PUT", "/secrets/db", json={"value": [VALUE]}, token=admin)
    api.http.cookies.clear()
    return [*told, made, csrf]

"""Signing in at an identity provider: a real one over HTTP, which lies as a test says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from identity_provider import CLIENT_SECRET, OTHER, IdentityProvider, provider
from joserfc.jwk import OctKey
from logins import ALICE, KNOWN, browser
from sqlalchemy import text
from structlog.testing import capture_logs
from workbench import Fleet, MakeProcess

from pathfinder.bootstrap import Process
from pathfinder.domain.access import Role
from pathfinder.domain.errors import Invalid
from pathfinder.oidc import Provider, attempt, challenge
from pathfinder.store import clusters, users

RULES = {"fleet-admins": "admin", "web": "operator:blue"}


@dataclass
class Site:
    """An API, a browser before it, and who vouches."""

    process: Process
    client: httpx2.AsyncClient
    idp: IdentityProvider

    async def begin(self, **program: Any) -> str:
        """Where the browser is sent by whoever wants to sign in."""
        sent = await self.client.get("/sso/begin", params=program)
        assert sent.status_code == 303, sent.text
        return sent.headers["location"]

    async def sign_in(self, **program: Any) -> httpx2.Response:
        """All the way, to what the API says in the end."""
        return await self.client.get(await self.idp.sign_in(await self.begin(**program)))

    async def who(self) -> httpx2.Response:
        """Whom the API takes the browser for."""
        return await self.client.get("/session")


@pytest.fixture
async def idp() -> AsyncIterator[IdentityProvider]:
    """One that vouches for Bob, who runs the web."""
    async with provider(sub="4711", preferred_username="Bob", groups=["staff", "web"]) as made:
        yield made


@pytest.fixture
async def site(
    process: Process, make_process: MakeProcess, idp: IdentityProvider, tmp_path: Path
) -> AsyncIterator[Site]:
    """A Pathfinder that believes it, with a cluster `blue` beside `default`."""
    secret = tmp_path / "secret"
    secret.write_text(f"{CLIENT_SECRET}\n")
    believing = make_process(oidc_issuer=idp.issuer, oidc_title="Example", oidc_client_secret=secret, oidc_roles=RULES)
    async with process.database.begin() as tx:
        await clusters.create(tx, "blue", "spread", "local:tiny", "test", "")
        await users.create(tx, "alice", KNOWN, Role.VIEWER, None, actor="test")
    async with browser(believing) as client:
        yield Site(believing, client, idp)


async def test_who_is_vouched_for_is_in_with_the_role_that_their_group_gives(site: Site, fleet: Fleet) -> None:
    """A session like any other; the user is made with the first login, and is external."""
    assert (await site.client.get("/sso")).json() == {"title": "Example"}
    with capture_logs() as logged:
        done = await site.sign_in()

    assert (done.status_code, done.headers["location"]) == (303, "/")
    (cookie,) = [one for one in done.headers.get_list("set-cookie") if one.startswith("pathfinder_session=")]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    said = (await site.who()).json()
    assert (said["user"], said["role"], said["clusters"]) == ("bob", "operator", ["blue"])
    assert said["csrf_token"]
    assert (await site.client.get("/nodes?cluster=blue")).status_code == 200
    assert (await site.client.get("/nodes?cluster=default")).status_code == 403
    assert "pathfinder_sso" not in site.client.cookies
    assert site.client.cookies["pathfinder_session"] not in str(logged)
    assert await fleet.rows("SELECT name, issuer, subject FROM users WHERE issuer IS NOT NULL") == [
        ("bob", site.idp.issuer, "4711")
    ]


async def test_each_login_tells_anew_what_somebody_may_and_nothing_else_of_them(site: Site, fleet: Fleet) -> None:
    """The role follows the groups; the user stays the same one, whatever the provider calls them by then."""
    await site.sign_in()
    site.idp.claims |= {"groups": "fleet-admins", "preferred_username": "robert"}
    await site.sign_in()

    said = (await site.who()).json()
    assert (said["user"], said["role"], said["clusters"]) == ("bob", "admin", None)
    told = await fleet.rows("SELECT kind, actor, body->>'role' FROM events WHERE subject_type = 'user' ORDER BY seq")
    assert told[1:] == [("user.created", "user:bob", "operator"), ("user.updated", "user:bob", "admin")]


async def test_whom_no_rule_is_about_is_refused_and_loses_what_they_began_before(site: Site) -> None:
    """With a page that says why; their tokens end, too."""
    await site.sign_in()
    headers = {"X-CSRF-Token": (await site.who()).json()["csrf_token"]}
    made = (await site.client.post("/tokens", json={"name": "ci", "clusters": ["blue"]}, headers=headers)).json()
    site.idp.claims["groups"] = ["staff"]

    refused = await site.sign_in()

    assert refused.status_code == 403
    assert refused.headers["content-type"].startswith("text/html")
    assert "Ask whoever runs this Pathfinder" in refused.text
    assert (await site.who()).status_code == 401
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert (await site.client.get("/session", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": ["another"]},
        {"iss": "https://elsewhere.example.org"},
        {"aud": "another"},
        {"aud": ["pathfinder", "another"], "azp": "another"},
        {"exp": 1_700_000_000},  # long ago
        {"iat": 4_000_000_000},  # not for long
        {"sub": ""},
        {"preferred_username": "<b>bob</b>"},
        {"preferred_username": "alice"},
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_this_login_opens_nothing(site: Site, fleet: Fleet, lie: dict[str, Any]) -> None:
    """Of another login, issuer or party, too old, or of a name that cannot be theirs. Names are shown as text."""
    site.idp.lies = lie

    refused = await site.sign_in()

    assert refused.status_code == 403, refused.text
    assert "<b>" not in refused.text
    assert (await site.who()).status_code == 401
    assert await fleet.rows("SELECT name FROM users") == [("alice",)]


@pytest.mark.parametrize("way", ["another's key", "unknown key", "shared secret", "none"])
async def test_a_token_that_the_provider_did_not_sign_opens_nothing(site: Site, way: str) -> None:
    """Not by a key of the same name, by one it does not have, with a secret, or by nobody."""
    idp = site.idp
    if way == "another's key":
        idp.signing = OTHER
    elif way == "unknown key":
        idp.signing = OTHER.__class__.import_key(OTHER.as_dict(private=True) | {"kid": "two"})
    elif way == "shared secret":
        idp.algorithm, idp.signing = "HS256", OctKey.import_key(CLIENT_SECRET, {"kid": "one"})  # type: ignore[assignment]
    else:
        idp.unsigned = True

    assert (await site.sign_in()).status_code == 403
    assert (await site.who()).status_code == 401


async def test_a_provider_that_takes_to_another_key_is_believed_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are asked for anew when a token names one that is not known."""
    monkeypatch.setattr("pathfinder.oidc.KEYS_AGAIN_SECONDS", 0.0)
    await site.sign_in()
    new = OTHER.__class__.import_key(OTHER.as_dict(private=True) | {"kid": "two"})
    site.idp.key = site.idp.signing = new

    assert (await site.sign_in()).status_code == 303


async def test_groups_may_be_told_apart_from_the_token(site: Site) -> None:
    """By userinfo, if that is about the same person."""
    del site.idp.claims["groups"]
    site.idp.userinfo = {"sub": "4711", "groups": ["web"]}
    assert (await site.sign_in()).status_code == 303
    site.idp.userinfo["sub"] = "somebody else"
    assert (await site.sign_in()).status_code == 403


async def test_an_answer_opens_nothing_in_a_browser_that_did_not_begin_with_it(site: Site) -> None:
    """Nor with another state, nor without one, nor a second time: not even in the browser that did."""
    back = await site.idp.sign_in(await site.begin())
    kept = site.client.cookies["pathfinder_sso"]
    for wrong in (back.copy_set_param("state", "another"), back.copy_remove_param("state")):
        site.client.cookies.set("pathfinder_sso", kept)
        assert (await site.client.get(wrong)).status_code == 400
    async with browser(site.process) as other:
        assert (await other.get(back)).status_code == 400
        other.cookies.set("pathfinder_sso", b'{"state": 1}'.hex())
        assert (await other.get(back)).status_code == 400
    assert site.idp.redeemed == []

    cookie = {"Cookie": f"pathfinder_sso={kept}"}
    assert (await site.client.get(back, headers=cookie)).status_code == 303
    replayed = await site.client.get(back, headers=cookie)
    assert replayed.status_code == 403
    assert "invalid_grant" in replayed.text
    denied = await site.client.get(back.copy_set_param("error", "<access_denied>"), headers=cookie)
    assert (denied.status_code, "&lt;access_denied&gt;" in denied.text) == (403, True)


async def test_while_the_provider_is_away_passwords_open_as_ever(make_process: MakeProcess, site: Site) -> None:
    """And who wants to sign in there is told so, at either end of the way."""
    away = make_process(oidc_issuer="http://127.0.0.1:9", oidc_roles=RULES)
    async with browser(away) as client:
        told = await client.get("/sso/begin")
        assert told.status_code == 503
        assert "does not answer" in told.text
        assert (await client.post("/session", json=ALICE)).status_code == 200
    site.idp.broken = True
    assert (await site.sign_in()).status_code == 503


async def test_files_that_cannot_be_read_are_told_when_the_api_starts(
    make_process: MakeProcess, tmp_path: Path
) -> None:
    """Not to the first who wants to sign in."""
    missing, issuer = tmp_path / "missing", "https://id.example.org"
    for setting in ("oidc_client_secret", "oidc_ca_file"):
        with pytest.raises(Invalid, match="cannot be read"):
            Provider(make_process(oidc_issuer=issuer, **{setting: missing}).settings)


async def test_without_a_provider_there_is_no_single_sign_on(process: Process) -> None:
    """The console is told so, and a browser that asks all the same."""
    async with browser(process) as client:
        assert (await client.get("/sso")).json() == {"title": None}
        assert (await client.get("/sso/begin")).status_code == 404
        assert (await client.get("/sso/callback?code=a&state=")).status_code == 400


async def test_who_signs_in_elsewhere_has_no_password(site: Site, api: httpx2.AsyncClient) -> None:
    """None opens, also not the one whose hash is kept, and none can be set."""
    await site.sign_in()
    async with site.process.database.begin() as tx:
        await tx.execute(text("UPDATE users SET role = 'admin', clusters = NULL WHERE name = 'bob'"))
    csrf = {"X-CSRF-Token": (await site.who()).json()["csrf_token"]}

    refused = await site.client.put("/users/bob/password", json={"password": "a long enough one"}, headers=csrf)
    assert refused.status_code == 409, refused.text
    assert [one["external"] for one in (await site.client.get("/users")).json()["items"]] == [False, True]
    async with browser(site.process) as client:
        for password in ("!", "", "pathfinder"):
            answer = await client.post("/session", json={"username": "bob", "password": password})
            assert answer.status_code in (401, 429)


async def test_wrong_logins_there_are_counted_like_wrong_passwords(site: Site) -> None:
    """By where they come from; so nobody has the API ask the provider again and again."""
    site.idp.lies = {"nonce": "another"}

    answers = [(await site.sign_in()).status_code for _ in range(40)]

    assert answers[:10] == [403] * 10
    assert answers[-1] == 429
    assert len(site.idp.redeemed) == answers.count(403)


async def test_a_program_gets_a_session_by_the_browser_once(site: Site) -> None:
    """For the code that comes back to its port, and the verifier that it alone knows."""
    verifier = attempt().verifier
    done = await site.sign_in(port=40123, challenge=challenge(verifier), state="mine")
    back = httpx2.URL(done.headers["location"])
    shown = {"code": back.params["code"], "verifier": verifier}

    assert (back.host, back.port, back.params["state"]) == ("127.0.0.1", 40123, "mine")
    assert "pathfinder_session" not in done.headers.get("set-cookie", "")
    async with browser(site.process) as program:
        assert (await program.post("/sso/session", json=shown | {"verifier": attempt().verifier})).status_code == 401
        for guess in (shown["code"], f"{shown['code']} {challenge(verifier)}"):
            assert (await program.get("/session", headers={"Cookie": f"pathfinder_session={guess}"})).status_code == 401
        answers = await asyncio.gather(*(program.post("/sso/session", json=shown) for _ in range(3)))
        assert sorted(one.status_code for one in answers) == [200, 401, 401]
        assert (await program.get("/session")).json()["user"] == "bob"


async def test_a_code_that_nobody_came_for_is_void(site: Site) -> None:
    """It lasts a minute."""
    verifier = attempt().verifier
    done = await site.sign_in(port=40123, challenge=challenge(verifier))
    async with site.process.database.begin() as tx:
        await tx.execute(text("UPDATE sessions SET expires_at = now()"))

    shown = {"code": httpx2.URL(done.headers["location"]).params["code"], "verifier": verifier}
    assert (await site.client.post("/sso/session", json=shown)).status_code == 401
    assert (await site.client.get("/sso/begin?port=40123")).status_code == 422
    assert (await site.client.get("/sso/begin?port=80&challenge=x")).status_code == 422

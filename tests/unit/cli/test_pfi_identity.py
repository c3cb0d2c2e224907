"""`pfi` and who one is."""

import io
import json
from pathlib import Path

import httpx2
import pytest
from fake_api import AT, ID, FakeApi, Pfi, event, found, page, problem

from pathfinder.cli.pfi.login import token_name

SESSION = {
    "user": "alice",
    "actor": "user:alice",
    "role": "operator",
    "clusters": ["blue"],
    "csrf_token": "csrf",
    "expires_at": AT,
}
TOKEN = {
    "id": str(ID),
    "name": "alice@here",
    "role": "operator",
    "clusters": ["blue"],
    "user": "alice",
    "actor": "user:alice",
    "uses": None,
    "machines": 0,
    "created_at": AT,
    "used_at": None,
    "expires_at": None,
}


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """What stands on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_login_leaves_a_token_in_the_profile_and_no_session(
    api: FakeApi, pfi: Pfi, surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password goes into one request and nowhere else."""
    api.on("POST", "/session", found(SESSION))
    api.on("POST", "/tokens", found(TOKEN | {"token": "pf_new"}, 201))
    api.on("DELETE", "/session", httpx2.Response(204))
    typed(monkeypatch, "correct horse")
    monkeypatch.setenv("PFI_TOKEN", "pf_old")

    ran = pfi("login", "alice", "--expires", "12h")

    assert ran.code == 0, ran.err
    assert "correct horse" not in ran.out + ran.err + surroundings.read_text()
    assert 'token = "pf_new"' in surroundings.read_text()
    assert json.loads(api.requests[0].content) == {"username": "alice", "password": "correct horse"}
    asked = json.loads(api.requests[1].content)
    assert (asked["seconds"], asked["personal"], asked["clusters"]) == (43200, True, ["blue"])
    assert [request.headers.get("X-CSRF-Token") for request in api.requests] == [None, "csrf", "csrf"]
    assert not any("Authorization" in request.headers for request in api.requests)


def test_a_logout_forgets_the_token_even_where_it_is_no_good(api: FakeApi, pfi: Pfi, surroundings: Path) -> None:
    """It says that it could not be revoked; any other refusal leaves it."""
    surroundings.write_text('[profiles.default]\ntoken = "pf_x"\n')
    api.on("DELETE", "/session", problem(500, "broken"), problem(403, "is no user's"))

    assert pfi("logout").code == 1
    assert "pf_x" in surroundings.read_text()
    ran = pfi("logout")
    assert ran.code == 0
    assert "no user's" in ran.err
    assert "pf_x" not in surroundings.read_text()


def test_whoami_tells_role_and_clusters(api: FakeApi, pfi: Pfi) -> None:
    """Of a user, and of a token and whose it is."""
    token = SESSION | {"actor": "token:ci", "clusters": None, "expires_at": None}
    api.on("GET", "/session", found(SESSION), found(token))

    assert pfi("whoami").out == "user:alice, role operator, blue, until 2026-11-23 20:30:05\n"
    assert pfi("whoami").out == "token:ci of user alice, role operator, all clusters\n"


def test_a_token_is_printed_alone_and_revoked_by_its_name(api: FakeApi, pfi: Pfi) -> None:
    """Scripts read standard output; two of a name are told apart by their ids."""
    api.on("POST", "/tokens", found(TOKEN | {"token": "pf_new"}, 201))
    api.on("GET", "/tokens", page(TOKEN, TOKEN | {"name": "twin"}, TOKEN | {"name": "twin"}))
    api.on("DELETE", f"/tokens/{ID}", httpx2.Response(204))

    assert pfi("token", "create", "ci", "--for", "blue", "--expires", "1d").out == "pf_new\n"
    assert json.loads(api.requests[0].content)["clusters"] == ["blue"]
    assert "alice@here" in pfi("token", "list", "-o", "wide").out
    assert pfi("token", "revoke", "alice@here").code == 0
    twins = pfi("token", "revoke", "twin")
    assert (twins.code, str(ID) in twins.err) == (1, True)
    assert pfi("token", "revoke", "ghost").code == 1


def test_a_join_token_is_for_one_machine_of_this_cluster_and_an_hour(api: FakeApi, pfi: Pfi) -> None:
    """Unless more is asked for."""
    api.on("POST", "/tokens", found(TOKEN | {"role": "join", "token": "pf_join"}, 201))

    assert pfi("--cluster", "blue", "node", "token").out == "pf_join\n"
    asked = json.loads(api.requests[0].content)
    assert (asked["role"], asked["clusters"], asked["uses"], asked["seconds"]) == ("join", ["blue"], 1, 3600)


def test_a_user_is_made_with_a_password_from_standard_input(
    api: FakeApi, pfi: Pfi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And listed; who changes their own password is asked for the present one first."""
    user = {"name": "bob", "role": "viewer", "clusters": None, "created_at": AT}
    api.on("POST", "/users", found(user, 201))
    api.on("GET", "/users", page(user))
    api.on("GET", "/session", found(SESSION))
    api.on("PUT", "/users/alice/password", httpx2.Response(204))
    api.on("DELETE", "/users/bob", httpx2.Response(204))

    typed(monkeypatch, "a long enough one")
    assert pfi("user", "create", "bob").code == 0
    assert json.loads(api.requests[0].content)["password"] == "a long enough one"
    assert pfi("user", "list").lines[1].split()[:3] == ["bob", "viewer", "all"]
    typed(monkeypatch, "present", "a new long one")
    assert pfi("user", "passwd", "alice").code == 0
    assert json.loads(api.requests[-1].content) == {"password": "a new long one", "current": "present"}
    assert pfi("user", "delete", "bob").code == 0
    typed(monkeypatch)
    assert pfi("user", "create", "bob").code == 2


def test_a_tokens_name_is_one_wherever_it_is_made() -> None:
    """Whatever a machine is called."""
    assert token_name("alice", "My_Laptop.local") == "alice@my-laptop.local"
    assert len(token_name("alice", "x" * 80)) == 63


def test_a_session_is_listed_and_ended(api: FakeApi, pfi: Pfi) -> None:
    """By its id."""
    one = {"id": str(ID), "user": "alice", "source": "192.0.2.1", "agent": "Firefox", "created_at": AT}
    api.on("GET", "/sessions", page(one | {"used_at": None, "expires_at": AT}))
    api.on("DELETE", f"/sessions/{ID}", httpx2.Response(204))

    assert "192.0.2.1" in pfi("session", "list").lines[1]
    assert pfi("session", "revoke", str(ID)).code == 0


def test_an_audit_asks_for_what_people_did_in_every_cluster(api: FakeApi, pfi: Pfi) -> None:
    """A name alone is a user's or a token's; one cluster is asked for by name."""
    api.on("GET", "/events", page(event(1, "user.created", of="bob", on=None, role="viewer")))

    ran = pfi("audit")
    pfi("audit", "--by", "alice", "--by", "token:ci", "--since", "all", "--in", "blue")

    assert ran.lines[1].split()[2:6] == ["user:admin", "user.created", "bob", "default"]
    first, second = (request.url.params for request in api.requests)
    assert first.get_list("actor") == ["user:", "token:", "pathfinder"]
    assert (first.get("cluster"), first["since"]) == (None, "86400s")
    assert second.get_list("actor") == ["user:alice", "token:alice", "token:ci"]
    assert (second["cluster"], second.get("since")) == ("blue", None)


def test_a_secret_is_read_and_not_shown(
    api: FakeApi, pfi: Pfi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From standard input without its last line break, from a file as it is; what is no text is refused."""
    one = {"name": "key", "actor": "user:alice", "created_at": AT, "updated_at": AT}
    api.on("PUT", "/secrets/key", httpx2.Response(204))
    api.on("GET", "/secrets", page(one))
    api.on("DELETE", "/secrets/key", httpx2.Response(204))
    (tmp_path / "text").write_text("two\nlines\n")
    (tmp_path / "binary").write_bytes(b"\xff")

    typed(monkeypatch, "swordfish")
    assert pfi("--cluster", "blue", "secret", "set", "key").out == "secret key is set\n"
    assert pfi("secret", "set", "key", "--file", str(tmp_path / "text")).code == 0
    assert [json.loads(request.content)["value"] for request in api.requests] == ["swordfish", "two\nlines\n"]
    assert api.requests[0].url.params["cluster"] == "blue"
    assert pfi("secret", "set", "key", "--file", str(tmp_path / "binary")).code == 2
    assert pfi("secret", "set", "key", "--file", str(tmp_path / "none")).code == 2
    assert pfi("secret", "list").lines[1].startswith("key")
    assert pfi("secret", "delete", "key").code == 0

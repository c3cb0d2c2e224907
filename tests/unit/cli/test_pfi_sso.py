"""`pfi login --sso`: a browser signs in, and pfi has a token."""

import json
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from fake_api import FakeApi, Pfi, found, problem
from test_pfi_identity import SESSION, TOKEN

from pathfinder.cli.pfi import sso
from pathfinder.oidc import challenge

Browser = Callable[[httpx2.QueryParams], None]


def bring(port: str, path: str, **query: str) -> int:
    """A browser that asks pfi's port: the status it is answered with."""
    return httpx2.get(f"http://127.0.0.1:{port}{path}", params=query, trust_env=False).status_code


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[httpx2.URL]:
    """What a browser was sent to. It comes back at once: with something else, something wrong, and the code."""
    seen: list[httpx2.URL] = []

    def come_back(asked: httpx2.QueryParams) -> None:
        port, state = asked["port"], asked["state"]
        assert bring(port, "/favicon.ico") == 404
        assert bring(port, "/", code="theirs", state="another") == 404
        assert bring(port, "/", state=state) == 404
        assert bring(port, "/", code="the code", state=state) == 200

    def browser(address: str) -> bool:
        seen.append(httpx2.URL(address))
        threading.Thread(target=come_back, args=(seen[-1].params,)).start()
        return True

    monkeypatch.setenv("BROWSER", "a browser")
    monkeypatch.setattr(sso.webbrowser, "open", browser)
    return seen


def test_a_browser_signs_in_and_the_profile_has_a_token(
    pfi: Pfi, api: FakeApi, opened: list[httpx2.URL], surroundings: Path
) -> None:
    """The code is shown with the verifier of what the browser began with; nothing of either is printed."""
    api.on("GET", "/sso", found({"title": "Example"}))
    api.on("POST", "/sso/session", found(SESSION))
    api.on("POST", "/tokens", found(TOKEN | {"token": "pf_secret"}))
    api.on("DELETE", "/session", httpx2.Response(204))

    ran = pfi("--server", "http://pathfinder.example.org/", "login", "--sso")

    assert ran.code == 0, ran.err
    assert ran.out.startswith("logged in as alice, role operator")
    begun = opened[0]
    assert (begun.host, begun.path) == ("pathfinder.example.org", "/api/v3/sso/begin")
    assert str(begun) in ran.err
    shown = json.loads(next(one for one in api.requests if one.url.path.endswith("/sso/session")).content)
    assert shown["code"] == "the code"
    assert challenge(shown["verifier"]) == begun.params["challenge"]
    assert all(secret not in ran.out + ran.err for secret in ("the code", shown["verifier"], "pf_secret"))
    assert tomllib.loads(surroundings.read_text())["profiles"]["default"]["token"] == "pf_secret"


def test_a_server_without_single_sign_on_is_told_of_before_a_browser_opens(
    pfi: Pfi, api: FakeApi, opened: list[httpx2.URL]
) -> None:
    """With what to do instead."""
    api.on("GET", "/sso", found({"title": None}))

    ran = pfi("login", "--sso")

    assert (ran.code, opened) == (2, [])
    assert "pfi login USER" in ran.err


def test_a_code_that_the_server_does_not_take_leaves_the_profile_as_it_was(
    pfi: Pfi, api: FakeApi, opened: list[httpx2.URL], surroundings: Path
) -> None:
    """It was used already, say."""
    api.on("GET", "/sso", found({"title": "Example"}))
    api.on("POST", "/sso/session", problem(401, "This code is not known."))

    assert pfi("login", "--sso").code == 1
    assert not surroundings.exists()


def test_who_never_comes_back_is_not_waited_for_for_ever(
    pfi: Pfi, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no screen no browser is opened, and the address is printed."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sso, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(sso.webbrowser, "open", lambda _: pytest.fail("opened"))
    api.on("GET", "/sso", found({"title": "Example"}))

    ran = pfi("login", "--sso")

    assert ran.code == 4
    assert "/api/v3/sso/begin?" in ran.err

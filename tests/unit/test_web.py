"""The console's files beside the API: which answers are whose, how long they are kept, and what a page may load."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.responses import Response

from api import web
from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.settings import Settings

PERSON = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A console that was built."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Console</title>")
    (tmp_path / "assets" / "index-abc.js").write_text("go()")
    monkeypatch.setattr(web, "DIST", tmp_path)
    return tmp_path


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who asks an API without a database; what is served from files needs none."""
    shared = Process(Settings())
    transport = httpx2.ASGITransport(create_app(shared, Tail(shared)), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder") as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/nodes", "/containers/web-01"])
async def test_a_person_gets_the_console_on_every_page_of_it(
    built: Path, browser: httpx2.AsyncClient, path: str
) -> None:
    """A page can be loaded, bookmarked and shared; it is asked for anew, so a new version is seen at once."""
    answer = await browser.get(path, headers=PERSON)

    assert (answer.status_code, "Console" in answer.text) == (200, True)
    assert answer.headers["cache-control"] == "no-cache"


async def test_what_has_a_checksum_in_its_name_is_kept_for_ever(built: Path, browser: httpx2.AsyncClient) -> None:
    """A script is loaded once for each version of the console, and the browser knows it again."""
    answer = await browser.get("/assets/index-abc.js")

    assert answer.text == "go()"
    assert "immutable" in answer.headers["cache-control"]
    again = await browser.get("/assets/index-abc.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/api/v3/nothing", "/assets/gone.js", "/healthz/more", "/../pyproject.toml"])
async def test_what_is_no_page_is_told_as_the_api_tells_it(built: Path, browser: httpx2.AsyncClient, path: str) -> None:
    """A program that asks for what is not there gets a problem document, never a page."""
    answer = await browser.get(path, headers={"Accept": "*/*"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_api_is_never_hidden_by_a_page(built: Path, browser: httpx2.AsyncClient) -> None:
    """Even a browser gets the API's own answers under /api: a wrong method is 405, an unknown path 404."""
    wrong_method = await browser.get("/api/v3/containers/batch", headers=PERSON)
    unknown = await browser.get("/api/v3/nothing", headers=PERSON)

    assert wrong_method.status_code in (401, 405)
    assert unknown.status_code == 404


async def test_a_page_may_load_nothing_from_elsewhere(built: Path, browser: httpx2.AsyncClient) -> None:
    """The policy that browsers hold names no other host, allows nothing written inline, and no frames around it."""
    policy = (await browser.get("/", headers=PERSON)).headers["content-security-policy"]

    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
    assert "frame-ancestors 'none'" in policy


async def test_where_the_console_is_not_built_a_page_says_how_and_then_it_is_served(tmp_path: Path) -> None:
    """Without npm everything else works. Nothing has to be started anew after `make console`."""
    transport = httpx2.ASGITransport(web.Console(Response(status_code=404), tmp_path / "dist"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://pathfinder") as client:
        before = await client.get("/")
        (tmp_path / "dist").mkdir()
        (tmp_path / "dist" / "index.html").write_text("now it is")
        after = await client.get("/")

    assert "make console" in before.text
    assert after.text == "now it is"

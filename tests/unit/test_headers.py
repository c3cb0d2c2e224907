"""What every answer tells a browser."""

import httpx2
import pytest

from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.settings import Settings


async def ask(path: str, scheme: str = "http", method: str = "GET") -> httpx2.Response:
    """An answer of an API without its services."""
    made = Process(Settings())
    transport = httpx2.ASGITransport(create_app(made, Tail(made)), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=f"{scheme}://pathfinder") as client:
        return await client.request(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/healthz"), ("GET", "/api/v3/nodes"), ("GET", "/api/v3/none"), ("POST", "/api/v3/session")],
)
async def test_an_answer_of_the_api_is_no_page_and_is_not_kept(method: str, path: str) -> None:
    """Good and bad ones alike; and it is nobody else's."""
    headers = (await ask(path, method=method)).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers


async def test_the_apis_own_page_may_load_its_parts() -> None:
    """And nothing else may."""
    assert "script-src https://cdn.jsdelivr.net" in (await ask("/api/v3/docs")).headers["Content-Security-Policy"]


async def test_over_https_a_browser_is_told_to_stay_there() -> None:
    """So that nobody on the way can have it ask in plain text."""
    assert "max-age" in (await ask("/healthz", "https")).headers["Strict-Transport-Security"]

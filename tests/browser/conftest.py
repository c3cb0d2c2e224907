"""What the browser tests run on: a whole Pathfinder with a simulated node, and Debian's Chromium."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from api.web import DIST
from pathfinder.embedded.home import Home
from pathfinder.embedded.ports import free_port
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.stack import Stack

CHROMIUM = "/usr/bin/chromium"

#: A browser of a test is root's, has no screen, and asks nobody but the console for anything.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

#: What a page shows is waited for this long, on a machine that has much to do.
PATIENCE_MS = 30_000

#: As wide and high as the console has to be readable on.
SCREEN = {"width": 1280, "height": 720}


@dataclass(frozen=True)
class Console:
    """A Pathfinder with its console."""

    url: str
    token: str
    stack: Stack

    def api(self) -> httpx2.Client:
        """A client of its API, with an admin's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx2.Client(base_url=f"{self.url}/api/v3", headers=headers, trust_env=False, timeout=30)


@pytest.fixture(scope="session")
def console() -> Iterator[Console]:
    """A Pathfinder of one's own with a simulated node, and the users admin and viewer."""
    if not (DIST / "index.html").exists():
        _left_out("the console was not built here (`make console`)")
    root = Path(tempfile.mkdtemp(prefix="pf-browser-"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PATHFINDER_")} | {
        "PATHFINDER_RUNTIME": "simulated",
        "PATHFINDER_API_LISTEN": f"127.0.0.1:{free_port(26400)}",
    }
    stack = Stack(Home(root / "home"), environment)
    try:
        running = stack.up(Silent())
        made = Console(running.server, running.token, stack)
        with made.api() as api:
            api.post("/users", json={"name": "viewer", "password": "look-but-do-not-touch"}).raise_for_status()
        yield made
    finally:
        stack.clean(Silent())
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    if not Path(CHROMIUM).exists():
        _left_out(f"there is no {CHROMIUM} here (`apt-get install chromium`)")
    with sync_playwright() as playwright:
        yield (opened := playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS)))
        opened.close()


def _left_out(why: str) -> None:
    """Where everything is demanded to be tested, it is an error."""
    if os.environ.get("PATHFINDER_RUNTIME") == "lxd":
        pytest.fail(f"PATHFINDER_RUNTIME=lxd, but the console cannot be tested: {why}")
    pytest.skip(f"NOT TESTED, the console: {why}")


@pytest.fixture(scope="session")
def states(browser: Browser, console: Console) -> dict[str, StorageState]:
    """Who is logged in where: cookies of each user. Passwords may be tried so often only."""
    found = {}
    for user, password in (("admin", "pathfinder"), ("viewer", "look-but-do-not-touch")):
        context = browser.new_context(base_url=console.url)
        answer = context.request.post("/api/v3/session", data={"username": user, "password": password})
        assert answer.ok, answer.text()
        found[user] = context.storage_state()
        context.close()
    return found


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, console: Console, states: dict[str, StorageState]) -> Iterator[Open]:
    """Opens a page as a user, or as nobody; afterwards no script has failed and nothing was refused by the policy."""
    contexts = []
    wrong: list[str] = []

    def go(path: str, user: str | None = "admin", theme: str = "light") -> Page:
        state = {"storage_state": states[user]} if user else {}
        context = browser.new_context(base_url=console.url, viewport=SCREEN, color_scheme=theme, **state)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Security Policy" in said.text else None)
        page.goto(path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not wrong

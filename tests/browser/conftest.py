"""What the browser tests run on: a whole Pathfinder with a simulated node, and Debian's Chromium."""

from collections.abc import Iterator

import pytest
from browsing import CHROMIUM, FLAGS, PATIENCE_MS, Console, Open, console_up, require_console
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, sync_playwright

#: As wide and high as the console has to be readable on.
SCREEN: ViewportSize = {"width": 1280, "height": 720}

PASSWORDS = {"admin": "pathfinder", "viewer": "look-but-do-not-touch"}


@pytest.fixture(scope="session")
def console() -> Iterator[Console]:
    """A Pathfinder of one's own with a simulated node, and the users admin and viewer."""
    require_console()
    with console_up() as made:
        with made.api() as api:
            api.post("/users", json={"name": "viewer", "password": PASSWORDS["viewer"]}).raise_for_status()
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a file; while it is there, an event loop runs that async tests would run into."""
    require_console()
    with sync_playwright() as playwright:
        yield (opened := playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS)))
        opened.close()


@pytest.fixture(scope="module")
def states(browser: Browser, console: Console) -> dict[str, StorageState]:
    """Who is logged in where: cookies of each user. Passwords may be tried so often only."""
    found = {}
    for user, password in PASSWORDS.items():
        context = browser.new_context(base_url=console.url)
        answer = context.request.post("/api/v3/session", data={"username": user, "password": password})
        assert answer.ok, answer.text()
        found[user] = context.storage_state()
        context.close()
    return found


@pytest.fixture
def open_page(browser: Browser, console: Console, states: dict[str, StorageState]) -> Iterator[Open]:
    """Opens a page as a user, or as nobody; afterwards no script has failed and nothing was refused by the policy."""
    contexts = []
    wrong: list[str] = []

    def go(path: str, user: str | None = "admin", theme: str = "light", size: ViewportSize = SCREEN) -> Page:
        state = {"storage_state": states[user]} if user else {}
        context = browser.new_context(base_url=console.url, viewport=size, color_scheme=theme, **state)  # type: ignore[arg-type]
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

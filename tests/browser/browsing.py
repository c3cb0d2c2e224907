"""A whole Pathfinder with a simulated node for browsers to look at, and how Debian's Chromium is started."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page

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

Open = Callable[..., Page]


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


def require_console() -> None:
    """Skip a test where there is no console or no browser; where everything is demanded to be tested, fail it."""
    if not (DIST / "index.html").exists():
        why = "the console was not built here (`make console`)"
    elif not Path(CHROMIUM).exists():
        why = f"there is no {CHROMIUM} here (`apt-get install chromium`)"
    else:
        return
    if os.environ.get("PATHFINDER_RUNTIME") == "lxd":
        pytest.fail(f"PATHFINDER_RUNTIME=lxd, but the console cannot be tested: {why}")
    pytest.skip(f"NOT TESTED, the console: {why}")


@contextmanager
def console_up() -> Iterator[Console]:
    """A Pathfinder of one's own with a simulated node and the user admin; nothing is left of it."""
    root = Path(tempfile.mkdtemp(prefix="pf-browser-"))
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("PATHFINDER_")}
    mine = {"PATHFINDER_RUNTIME": "simulated", "PATHFINDER_API_LISTEN": f"127.0.0.1:{free_port(26400)}"}
    stack = Stack(Home(root / "home"), theirs | mine)
    try:
        running = stack.up(Silent())
        yield Console(running.server, running.token, stack)
    finally:
        stack.clean(Silent())
        shutil.rmtree(root, ignore_errors=True)

"""What the whole suite shares: which tests can run on this machine, and a place of its own for what tests start."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.embedded.home import Home
from pathfinder.embedded.lxd import find_lxd
from pathfinder.embedded.machine import read_facts, why_no_lxd
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.stack import Stack

#: Fixtures that need a real LXD daemon, besides the markers.
LXD_FIXTURES = frozenset({"lab", "lxd_socket", "tiny_image"})

_left_out: list[str] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where LXD cannot run, leave out what needs it, unless PATHFINDER_RUNTIME=lxd demands it."""
    reason = None if find_lxd() else why_no_lxd(read_facts())
    if reason is None:
        return
    if os.environ.get("PATHFINDER_RUNTIME") == "lxd":
        pytest.exit(f"PATHFINDER_RUNTIME=lxd, but LXD cannot run here: {reason}", returncode=1)
    needing = [item for item in items if _needs_lxd(item)]
    items[:] = [item for item in items if item not in needing]
    config.hook.pytest_deselected(items=needing)
    _left_out.append(reason)
    _left_out.extend(item.nodeid for item in needing)


def _needs_lxd(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("lxd", "lab"))
    return marked or not LXD_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    if _left_out:
        reason, *tests = _left_out
        terminalreporter.section("NOT TESTED: REAL LXD", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(tests)} tests need a real LXD and were left out: {reason}")


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[Home]:
    """Where tests keep what they start on this machine.

    It is stopped and removed at the end, LXD too if a test started it.
    """
    directory = Path(tempfile.mkdtemp(prefix="pf-home-"))
    former = os.environ.get("PATHFINDER_HOME")
    os.environ["PATHFINDER_HOME"] = str(directory)
    yield Home.default()
    Stack(Home.default()).clean(Silent())
    shutil.rmtree(directory, ignore_errors=True)
    if former is None:
        del os.environ["PATHFINDER_HOME"]
    else:
        os.environ["PATHFINDER_HOME"] = former

"""What the whole suite shares: which tests can run on this machine, and a place of its own for what tests start.

With `-n 3`, as in `make test`, tests run in three processes; what shares a service stays in one of them.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from pathfinder.embedded.home import Home
from pathfinder.embedded.lxd import find_lxd
from pathfinder.embedded.machine import read_facts, why_no_lxd
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.stack import Stack

#: Fixtures that need a real LXD daemon, besides the markers.
LXD_FIXTURES = frozenset({"lab", "lxd_socket", "tiny_image"})

#: What takes longest comes first, and the rest finds its place beside it; but not two labs and a chaos all at once.
FIRST = (
    "tests/system",
    "tests/integration/test_crash_points.py",
    "tests/chaos/test_chaos.py",
    "tests/system/test_failover.py",
)

#: Why tests were left out, and how many.
_left_out: dict[str, int] = {}


# How long an example takes is the machine's business.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What is collected stays until the end: to look for cycles among it, now and again, would only take time.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is what goes away again."""
    gc.freeze()
    gc.enable()


def pytest_sessionstart() -> None:
    """Where LXD cannot run and PATHFINDER_RUNTIME=lxd demands it, nothing is tested at all."""
    if os.environ.get("PATHFINDER_RUNTIME") == "lxd" and (reason := _why_no_lxd()):
        pytest.exit(f"PATHFINDER_RUNTIME=lxd, but LXD cannot run here: {reason}", returncode=1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where LXD cannot run, leave out what needs it; begin with what takes longest."""
    if reason := _why_no_lxd():
        needing = [item for item in items if _needs_lxd(item)]
        items[:] = [item for item in items if item not in needing]
        config.hook.pytest_deselected(items=needing)
        _left_out[reason] = len(needing)
    places = {together: place for place, together in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(_together(item.nodeid), len(FIRST)))
    for item in items:
        if item.name not in item.nodeid:  # schemathesis's have all the same, and xdist would run one of them
            item._id = item.id.with_params(item.name.partition("[")[2].removesuffix("]"))
    assert len({item.nodeid for item in items}) == len(items), "tests of the same name"


def _together(nodeid: str) -> str:
    """What runs in one process, one after the other: a file, or all that shares the lab or this machine's own LXD."""
    file = nodeid.split("::")[0]
    # The lab of test_failover.py is its own.
    shared = file.startswith(("tests/system/", "tests/contract/")) and not file.endswith("test_failover.py")
    return file.rsplit("/", 1)[0] if shared else file


def _why_no_lxd() -> str | None:
    return None if find_lxd() else why_no_lxd(read_facts())


def _needs_lxd(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("lxd", "lab"))
    return marked or not LXD_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    for reason, tests in _left_out.items():
        terminalreporter.section("NOT TESTED: REAL LXD", sep="!", red=True, bold=True)
        terminalreporter.line(f"{tests} tests need a real LXD and were left out: {reason}")


class ByService(LoadScopeScheduling):
    """Hands out the tests to the processes."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByService:
    """Which process runs which test."""
    config.option.loadscopereorder = False  # the order is that of collection
    return ByService(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What only a worker knows, because it collected the tests: where xdist keeps such things."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["left_out"] = _left_out


def pytest_testnodedown(node: WorkerController) -> None:
    """Take it from there."""
    _left_out.update(getattr(node, "workeroutput", {}).get("left_out", {}))


def _plain_log() -> None:
    """By default structlog shows all local variables beside a traceback, which takes longer than most tests."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


_plain_log()


@pytest.fixture(autouse=True)
def usual_log() -> Iterator[None]:
    """Commands have logs go to the standard error of their moment, which pytest closes once the test is over."""
    yield
    structlog.reset_defaults()
    _plain_log()


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

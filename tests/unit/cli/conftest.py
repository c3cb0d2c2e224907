"""`pfi` run in the test's own process, against a server made of canned answers."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest
import stamina
from fake_api import FakeApi, Pfi, Ran

from pathfinder.cli.pfi import session
from pathfinder.cli.pfi.app import start
from pathfinder.client import Client


@pytest.fixture
def api() -> FakeApi:
    """The server."""
    return FakeApi()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No configuration but the test's, UTC on the wall, and retries that do not wait."""
    for name in ("PROFILE", "SERVER", "CLUSTER", "TOKEN", "CA", "DEBUG"):
        monkeypatch.delenv(f"PFI_{name}", raising=False)
    monkeypatch.setenv("PFI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with stamina.set_testing(True, attempts=4, cap=True):
        yield tmp_path / "config"
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def pfi(api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pfi:
    """Run `pfi` with arguments."""

    monkeypatch.setattr(session, "Client", partial(Client, transport=httpx2.MockTransport(api)))

    def run(*arguments: str) -> Ran:
        code = start(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run

"""`pfi rollout`: what is told of a rollout, when a watch ends, and what is asked of the API."""

import json

import pytest
from fake_api import AT, FakeApi, Pfi, found, page
from test_pfi_deployments import stored

from pathfinder.cli.pfi import rollout
from pathfinder.cli.pfi.rollout_display import drawn
from pathfinder.domain.deployment_views import Deployment


def test_a_status_is_a_line(api: FakeApi, pfi: Pfi) -> None:
    """How many are updated, and how many serve."""
    api.on("GET", "/deployments/web", found(stored()))

    assert pfi("rollout", "status", "web").lines == ["web: ROLLING: revision 3, 2 of 2 replicas updated, 1 available"]


def test_a_failed_rollout_is_a_failure(api: FakeApi, pfi: Pfi) -> None:
    """Scripts see it by the exit code, people by the reason and what can be done."""
    failed = {"revision": 3, "phase": "failed"}
    api.on("GET", "/deployments/web", found(stored(rollout=failed, message="web-01 is PROVISION_ERROR.")))

    ran = pfi("rollout", "status", "web", "--watch")

    assert ran.code == 1
    assert "web-01 is PROVISION_ERROR." in ran.err
    assert "pfi rollout undo web" in ran.err


def test_a_watch_ends_when_all_serve(api: FakeApi, pfi: Pfi, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe each change is a line."""
    monkeypatch.setattr(rollout, "ASK_SECONDS", 0)
    rolling, done = stored(), stored(stable=3, counts={"existing": 2, "available": 2, "updated": 2})
    api.on("GET", "/deployments/web", found(rolling), found(rolling), found(done))

    assert pfi("rollout", "status", "web", "--watch").lines == [
        "web: ROLLING: revision 3, 2 of 2 replicas updated, 1 available",
        "web: STABLE: revision 3, 2 of 2 replicas updated, 2 available",
    ]


def test_a_watch_of_canaries_ends_when_they_wait(api: FakeApi, pfi: Pfi) -> None:
    """It is for people to go on."""
    state = {"revision": 3, "phase": "canary"}
    words = "Its canaries are well; `pfi rollout promote web` goes on to the rest."
    api.on("GET", "/deployments/web", found(stored(rollout=state, message=words)))

    ran = pfi("rollout", "status", "web", "--watch")

    assert ran.lines == [f"web: CANARY: revision 3, 2 of 2 replicas updated, 1 available. {words}"]


def test_what_is_asked_of_a_rollout_is_sent(api: FakeApi, pfi: Pfi) -> None:
    """Each action is one request; only undo may name a revision."""
    for action in ("undo", "pause", "resume", "promote", "restart"):
        api.on("POST", f"/deployments/web/rollout/{action}", found(stored()))
        more = ("--to", "2") if action == "undo" else ()
        assert pfi("rollout", action, "web", *more).code == 0
    assert json.loads(api.requests[0].content) == {"revision": 2}


def test_the_history_is_a_table(api: FakeApi, pfi: Pfi) -> None:
    """With who wrote each revision, and why."""
    one = {"revision": 3, "wanted": True, "stable": False, "cause": "hotfix", "actor": "me", "created_at": AT}
    api.on("GET", "/deployments/web/revisions", page(one | {"template": {}}))

    ran = pfi("rollout", "history", "web")

    assert ran.lines[0].split() == ["REVISION", "STATE", "MADE", "AT", "BY", "CAUSE"]
    assert "hotfix" in ran.lines[1]


def test_bars_are_as_long_as_what_is_done() -> None:
    """A bar that is full says that all are."""
    lines = drawn(Deployment.model_validate(stored()))

    assert lines[1] == "  updated   " + "━" * 30 + " 2 of 2"
    assert lines[2] == "  available " + "━" * 15 + "╌" * 15 + " 1 of 2"

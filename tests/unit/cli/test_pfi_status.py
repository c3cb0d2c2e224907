"""`pfi status`: one screen, and exit codes that scripts can use."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import yaml
from fake_api import AT, FakeApi, Pfi, event, found, problem, streaming

from pathfinder.cli.pfi import status as command
from pathfinder.domain.status import SystemStatus


def role(name: str, **changes: Any) -> dict[str, Any]:
    """A process that is ready, but for `changes`."""
    plain = {
        "role": name, "host": "control-01", "pid": 7, "version": "3.0.0", "listen": "127.0.0.1:9841", "leader": False,
        "state": "ready", "parts": {"postgresql": "ok", "rabbitmq": "ok"}, "started_at": AT, "seen_at": AT,
    }  # fmt: skip
    return plain | changes


def queue(name: str, messages: int = 0, consumers: int = 1) -> dict[str, Any]:
    """A queue."""
    return {"name": name, "messages": messages, "consumers": consumers}


def document(health: str = "ok", **changes: Any) -> dict[str, Any]:
    """A Pathfinder that is well, but for `changes`."""
    worst = [queue("pathfinder.node.node-01", 12), queue("pathfinder.node.node-02")]
    plain = {
        "health": health,
        "version": "3.0.0",
        "at": AT,
        "findings": [],
        "roles": [role("controller", leader=True), role("relay")],
        "broker": {
            "reachable": True,
            "queues": [queue("pathfinder.scheduler")],
            "nodes": {"queues": 2, "messages": 12, "worst": worst},
        },
        "outbox": {"rows": 0, "oldest_seconds": 0},
        "replication": [],
        "nodes": {"ready": 2, "down": 1},
        "containers": {"PROVISIONED": 60, "PENDING": 2},
        "waiting": 1,
    }
    return SystemStatus.model_validate(plain | changes).model_dump(mode="json")


FINDING = {
    "kind": "service.down", "severity": "warning", "subject": "relay on b", "summary": "The relay on b is gone.",
    "advice": "Start it.", "since": None,
}  # fmt: skip


def test_all_is_well_on_one_screen(api: FakeApi, pfi: Pfi) -> None:
    """Tables line up, and the last line says that nothing is wrong."""
    api.on("GET", "/status", found(document()))

    ran = pfi("status")

    assert ran.code == 0
    assert ran.lines[0] == "Pathfinder is ok."
    assert ran.lines[-1] == "Nothing is wrong."
    assert len(ran.lines) < 25
    (header, *rows) = ran.lines[2:5]
    assert [row.index("ready") for row in rows] == [header.index("STATE")] * 2
    assert "2 node queues             12         -" in ran.lines
    assert "pathfinder.node.node-01   12         1" in ran.lines
    assert "node-02" not in ran.out
    assert "Containers:   60 PROVISIONED, 2 PENDING (1 waiting for room)" in ran.lines


@pytest.mark.parametrize(("health", "code"), [("ok", 0), ("degraded", 6), ("down", 7)])
@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml"])
def test_the_exit_code_tells_scripts(api: FakeApi, pfi: Pfi, health: str, code: int, output: str) -> None:
    """In every form."""
    api.on("GET", "/status", found(document(health)))

    assert pfi("status", "-o", output).code == code


def test_what_is_wrong_comes_with_what_to_do(api: FakeApi, pfi: Pfi) -> None:
    """As the last thing on the screen, where the eye is."""
    api.on("GET", "/status", found(document("degraded", findings=[FINDING])))

    assert pfi("status").lines[-3:] == [
        "What is wrong, and what to do:",
        "  warning   The relay on b is gone.",
        "            Start it.",
    ]


def test_the_rest_is_shown_while_rabbitmq_is_away(api: FakeApi, pfi: Pfi) -> None:
    """With a word on what is not known."""
    away = {"reachable": False, "queues": [], "nodes": {"queues": 0, "messages": 0, "worst": []}}
    api.on("GET", "/status", found(document("down", broker=away)))

    ran = pfi("status")

    assert "RabbitMQ does not answer; what is in its queues is not known." in ran.lines
    assert "Nodes:        2 ready, 1 down" in ran.lines


def test_a_standby_is_shown_with_how_far_it_is_behind(api: FakeApi, pfi: Pfi) -> None:
    """And without numbers where the database does not let us see them."""
    standby = {"name": "b", "address": "10.0.0.2", "state": "streaming", "lag_bytes": 1 << 20, "lag_seconds": 0.25}
    hidden = {"name": "c", "address": None, "state": None, "lag_bytes": None, "lag_seconds": None}
    api.on("GET", "/status", found(document(replication=[standby, hidden])))

    ran = pfi("status")

    assert "b         10.0.0.2   streaming   1MiB, 0.2s" in ran.lines
    assert "c         -          -           -" in ran.lines


def test_json_and_yaml_are_the_apis_document(api: FakeApi, pfi: Pfi) -> None:
    """One shape everywhere."""
    api.on("GET", "/status", found(document()))

    assert json.loads(pfi("status", "-o", "json").out) == document()
    assert yaml.safe_load(pfi("status", "-o", "yaml").out) == document()


def test_postgresql_away_is_the_servers_word_and_exit_code_5(api: FakeApi, pfi: Pfi) -> None:
    """Nothing is known then, and a script can tell it from a status."""
    api.on("GET", "/status", problem(503, "PostgreSQL does not answer."))

    ran = pfi("status")

    assert ran.code == 5
    assert "PostgreSQL does not answer." in ran.err


def test_control_characters_do_not_reach_the_terminal(api: FakeApi, pfi: Pfi) -> None:
    """Words come from elsewhere."""
    api.on("GET", "/status", found(document("degraded", findings=[FINDING | {"summary": "a\x1b[2Jb"}])))

    assert "\x1b" not in pfi("status").out


def test_watch_reads_it_again_when_something_happens(api: FakeApi, pfi: Pfi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream says that something did; it ends here because the server's last answer refuses."""
    monkeypatch.setattr(command, "OFTEN_SECONDS", 0.0)
    monkeypatch.setattr(command, "SELDOM_SECONDS", 3600.0)
    read = asyncio.Semaphore(0)

    def then_something_happens(answer: httpx2.Response) -> Callable[[httpx2.Request], httpx2.Response]:
        def respond(_: httpx2.Request) -> httpx2.Response:
            read.release()
            return answer

        return respond

    events = (event(number, "node.down", of="node-01") for number in (1, 2))
    api.on("GET", "/events/stream", streaming(*events, each=read))
    told = [then_something_happens(found(document(health))) for health in ("ok", "degraded")]
    api.on("GET", "/status", *told, problem(403, "No more."))

    ran = pfi("status", "--watch", "-o", "json")

    assert [json.loads(line)["health"] for line in ran.lines] == ["ok", "degraded"]
    assert ran.code == 1

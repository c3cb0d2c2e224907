"""`--wait`: how it ends, and what it says on the way."""

import json

import httpx2
import pytest
from fake_api import FakeApi, Pfi, container, ended, event, found, page, problem, streaming

SCHEDULED = event(2, "container.scheduled", policy="spread")
PROVISIONED = event(9, "container.provisioned", ipaddress="10.0.0.5")


@pytest.fixture(autouse=True)
def created(api: FakeApi) -> None:
    """A container is accepted, and runs when it is looked at."""
    api.on("POST", "/containers", found(container(status="PENDING", node=None, ipaddress=None), 201))
    api.on("GET", "/containers/web-01", found(container()))


def test_every_step_is_a_line_in_a_pipe(api: FakeApi, pfi: Pfi) -> None:
    """Steps in the server's order, the download in few of them, and the result last."""
    steps = [event(3 + n, "container.progress", stage="image", percent=percent) for n, percent in enumerate((1, 2, 55))]
    starting = event(7, "container.progress", stage="start", percent=None)
    api.on("GET", "/events/stream", streaming(SCHEDULED, *steps, starting, PROVISIONED))

    ran = pfi("create", "container", "web-01", "--wait")

    assert ran.code == 0
    assert ran.lines == [
        "web-01: scheduled on node-01",
        "web-01: getting the image 1%",
        "web-01: getting the image 55%",
        "web-01: starting it",
        "web-01: running at 10.0.0.5",
        "container web-01 is PROVISIONED on node-01 at 10.0.0.5",
    ]


def test_the_whole_life_of_the_container_is_followed(api: FakeApi, pfi: Pfi) -> None:
    """From its first event on, so that a container that is quicker than the stream is not missed."""
    api.on("GET", "/events/stream", streaming(PROVISIONED))

    pfi("create", "container", "web-01", "--wait")

    request = next(request for request in api.requests if request.url.path.endswith("/stream"))
    assert request.url.params["subject"] == container()["id"]
    assert request.headers["Last-Event-ID"] == "0"


def test_a_provision_that_fails_gives_its_reason_and_exit_code_one(api: FakeApi, pfi: Pfi) -> None:
    """LXD's own words."""
    api.on("GET", "/events/stream", streaming(event(3, "container.provision_failed", reason="No space left.")))

    ran = pfi("create", "container", "web-01", "--wait")

    assert ran.code == 1
    assert "error: container web-01: No space left.\nhint: see what happened with: pfi describe" in ran.err


def test_a_wait_goes_on_while_a_provision_is_tried_again(api: FakeApi, pfi: Pfi) -> None:
    """A failure that is not the last is a step on the way, with the time of the next."""
    body = {"reason": "No space left.", "attempt": 1, "max_attempts": 5, "retry_at": "2026-11-23T20:30:06+00:00"}
    api.on("GET", "/events/stream", streaming(event(3, "container.provision_failed", **body), PROVISIONED))

    ran = pfi("create", "container", "web-01", "--wait")

    assert ran.code == 0
    (step,) = [line for line in ran.lines if "failed" in line]
    assert step.startswith("web-01: failed: No space left (attempt 1 of 5, again at 2026-11-23 ")


def test_patience_ends_with_exit_code_four_and_the_last_step(api: FakeApi, pfi: Pfi) -> None:
    """Why it waits is the most useful thing to know then."""
    api.on(
        "GET",
        "/events/stream",
        streaming(event(2, "container.unplaceable", on=None, reason="Waiting for a node: none has room.")),
    )

    ran = pfi("create", "container", "web-01", "--wait", "--timeout", "50ms")

    assert ran.code == 4
    assert ran.lines == ["web-01: waiting for a node: none has room"]
    assert "not there yet after 0.05 s (waiting for a node: none has room)" in ran.err


def test_a_wait_survives_a_lost_connection(api: FakeApi, pfi: Pfi) -> None:
    """The server may restart while a container starts."""
    api.on("GET", "/events/stream", ended(SCHEDULED), streaming(PROVISIONED))

    ran = pfi("create", "container", "web-01", "--wait")

    assert ran.code == 0
    assert ran.lines[:2] == ["web-01: scheduled on node-01", "web-01: running at 10.0.0.5"]
    assert ran.err.startswith("pfi: lost the connection")


def test_data_asked_for_is_all_that_standard_output_gets(api: FakeApi, pfi: Pfi) -> None:
    """Progress goes to stderr then."""
    api.on("GET", "/events/stream", streaming(SCHEDULED, PROVISIONED))

    ran = pfi("create", "container", "web-01", "--wait", "-o", "json")

    assert json.loads(ran.out) == container()
    assert "scheduled on node-01" in ran.err


def test_a_reschedule_does_not_take_an_old_end_for_its_own(api: FakeApi, pfi: Pfi) -> None:
    """The stream begins after everything that had happened before the request."""
    api.on("GET", "/events", page(PROVISIONED))
    api.on("POST", "/containers/web-01/reschedule", found(container(status="PENDING"), 202))
    api.on("GET", "/events/stream", streaming(event(11, "container.provisioned", ipaddress="10.0.0.6")))

    ran = pfi("reschedule", "container", "web-01", "--wait")

    assert ran.lines[0] == "web-01: running at 10.0.0.6"
    assert api.requests[-2].headers["Last-Event-ID"] == "9"


def test_deletions_are_waited_for_together(api: FakeApi, pfi: Pfi) -> None:
    """All requests first, then the waiting; one that never ran is gone at once, one that is not there is reported."""
    api.on("DELETE", "/containers/web-01", found(container(status="SCHEDULE_DELETION"), 202))
    api.on("DELETE", "/containers/web-02", found(container("web-02", status="DELETED"), 202))
    api.on("DELETE", "/containers/web-03", problem(404, "There is no container named 'web-03'."))
    api.on("GET", "/events/stream", streaming(PROVISIONED, event(10, "container.deleted")))

    ran = pfi("delete", "container", "web-03", "web-01", "web-02", "--wait")

    assert ran.code == 1
    assert ran.lines == ["web-01: deleted", "web-02: deleted"]
    assert [request.method for request in api.requests] == ["DELETE", "DELETE", "DELETE", "GET"]


def test_a_terminal_gets_a_moving_display(api: FakeApi, pfi: Pfi, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a row for each step, ticked off when it is done."""
    monkeypatch.setattr("pathfinder.cli.pfi.progress.is_live", lambda stream: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    image = event(3, "container.progress", stage="image", percent=40)
    api.on("GET", "/events/stream", streaming(SCHEDULED, image, PROVISIONED))

    ran = pfi("create", "container", "web-01", "--wait")

    assert ran.code == 0
    assert "getting the image 40%" in ran.out
    assert "✔" in ran.out
    assert ran.lines[-1].endswith("container web-01 is PROVISIONED on node-01 at 10.0.0.5")


def test_interrupting_a_wait_is_exit_code_130_without_a_traceback(api: FakeApi, pfi: Pfi) -> None:
    """Ctrl-C leaves the wait, not the container."""

    def interrupt(_: httpx2.Request) -> httpx2.Response:
        raise KeyboardInterrupt

    api.on("GET", "/events/stream", interrupt)

    ran = pfi("create", "container", "web-01", "--wait")

    assert (ran.code, ran.err) == (130, "")


def test_several_are_waited_for(api: FakeApi, pfi: Pfi) -> None:
    """Each of them, whichever is there first."""
    pending = [container(name, status="PENDING", node=None, ipaddress=None) for name in ("web-01", "web-02")]
    api.on("POST", "/containers/batch", found({"items": pending, "next_cursor": None}, 201))
    api.on("GET", "/containers/web-02", found(container("web-02")))
    api.on("GET", "/events/stream", lambda _: streaming(PROVISIONED))

    ran = pfi("create", "container", "web-01", "web-02", "--wait")

    assert ran.code == 0
    assert [line.partition(" is ")[0] for line in ran.lines if " is " in line] == [
        "container web-01",
        "container web-02",
    ]

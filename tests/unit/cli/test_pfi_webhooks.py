"""`pfi` and webhooks."""

import json

from fake_api import AT, FakeApi, Pfi, found, page

OPS = {
    "name": "ops",
    "url": "https://example.org/hook",
    "format": "json",
    "kinds": [],
    "created_at": AT,
    "pending": 0,
    "last_delivery": None,
}


def test_a_webhook_is_made_and_its_secret_shown_once(api: FakeApi, pfi: Pfi) -> None:
    """Only where the server made it."""
    api.on("POST", "/webhooks", found(OPS | {"secret": "whs_x"}, 201))

    made = pfi("create", "webhook", "ops", "--url", "https://example.org/hook", "--kind", "node.down")
    own = pfi("create", "webhook", "ops", "--url", "https://example.org/hook", "--secret", "my own secret")

    assert made.lines[-1].endswith("whs_x")
    assert "whs_x" not in own.out
    assert json.loads(api.requests[0].content)["kinds"] == ["node.down"]
    assert json.loads(api.requests[1].content)["secret"] == "my own secret"


def test_webhooks_are_listed_with_their_last_delivery(api: FakeApi, pfi: Pfi) -> None:
    """What became of it, in a column."""
    last = {"at": AT, "state": "firing", "kind": "node.down", "attempts": 2, "taken": False, "error": "answered 500"}
    api.on("GET", "/webhooks", page(OPS, OPS | {"name": "two", "last_delivery": last}))

    header, first, second = pfi("get", "webhooks").lines

    assert header.split("   ")[0] == "NAME"
    assert "LAST DELIVERY" in header
    assert first.split()[-1] == "-"
    assert "2026-11-23 20:30:05 node.down firing, not taken: answered 500" in second


def test_a_test_that_is_not_taken_fails(api: FakeApi, pfi: Pfi) -> None:
    """With what the receiver said."""
    api.on(
        "POST",
        "/webhooks/ops/test",
        found({"taken": True, "answer": "answered 200", "seconds": 0.1}),
        found({"taken": False, "answer": "answered 404: who?", "seconds": 0.1}),
    )

    assert pfi("test", "webhook", "ops").out == "webhook ops answered 200, after 0.10 s\n"
    refused = pfi("test", "webhook", "ops")
    assert refused.code == 1
    assert "answered 404: who?" in refused.err

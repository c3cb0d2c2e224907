"""`pfi get problems`: what is wrong, and what to do about it."""

import json

from fake_api import AT, ID, FakeApi, Pfi, page

DOWN = {
    "id": str(ID),
    "kind": "node.down",
    "severity": "critical",
    "cluster": "default",
    "subject": "node-01",
    "summary": "node-01 is not heard any more.",
    "advice": "See whether it runs.",
    "opened_at": AT,
    "closed_at": None,
}
OVER = DOWN | {"kind": "broker.down", "cluster": None, "subject": "rabbitmq", "closed_at": AT}


def test_what_is_wrong_is_listed_in_columns(api: FakeApi, pfi: Pfi) -> None:
    """The wide table says what to do, too."""
    api.on("GET", "/problems", page(DOWN))

    narrow, wide = pfi("get", "problems"), pfi("get", "problems", "-o", "wide")

    assert narrow.lines[0].split() == ["AGE", "SEVERITY", "KIND", "SUBJECT", "WHAT"]
    assert narrow.lines[1].split()[1:4] == ["critical", "node.down", "node-01"]
    assert wide.lines[1].endswith("See whether it runs.")
    assert "all" not in api.requests[0].url.params


def test_what_is_over_is_listed_when_asked_for(api: FakeApi, pfi: Pfi) -> None:
    """And only the kinds that are."""
    api.on("GET", "/problems", page(DOWN, OVER))

    documents = pfi("get", "problems", "--all", "--kind", "broker.down", "-o", "json")

    assert api.requests[0].url.params["all"] == "true"
    assert [one["subject"] for one in json.loads(documents.out)] == ["rabbitmq"]
    assert pfi("get", "problems", "-o", "name").lines == ["node.down:node-01", "broker.down:rabbitmq"]


def test_nothing_wrong_is_said(api: FakeApi, pfi: Pfi) -> None:
    """On standard error, so that scripts see an empty list."""
    api.on("GET", "/problems", page())

    told = pfi("get", "problems")

    assert told.code == 0
    assert "no problems" in told.err

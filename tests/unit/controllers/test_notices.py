"""Notices as requests: what each format says, how it is signed, and when one is tried again."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers.notices import LONGEST_SECONDS, MAX_ATTEMPTS, prepare, wait_seconds
from pathfinder.domain.webhooks import Format, Notice, State

NOW = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)
NOTICE = Notice(
    id=UUID(int=1),
    state=State.FIRING,
    problem_id=UUID(int=2),
    key="node.down:node-1",
    kind="node.down",
    severity="critical",
    cluster="default",
    subject="node-1",
    summary="Node <node-1> is DOWN & out.",
    advice="Look at it.",
    opened_at=NOW - timedelta(minutes=1),
    closed_at=None,
)
OVER = replace(NOTICE, state=State.RESOLVED, closed_at=NOW)
URL = "https://example.org/hook?a=1"


def body(form: Format, notice: Notice) -> Any:
    """What is sent."""
    return json.loads(prepare(form, URL, "secret", notice, NOW).body)


@pytest.mark.parametrize("form", Format)
def test_a_receiver_can_verify_a_notice_as_the_guide_says(form: Format) -> None:
    """The guide's own code accepts it, and nothing that was changed on the way."""
    guide = (Path(__file__).parents[3] / "docs/guides/alerts.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    there: dict[str, Any] = {}
    exec(code, there)  # noqa: S102 - our own document
    now = datetime.now(UTC)
    sent = prepare(form, URL, "secret", NOTICE, now)
    verify = there["is_from_pathfinder"]

    assert verify("secret", sent.headers, sent.body)
    assert not verify("another", sent.headers, sent.body)
    assert not verify("secret", sent.headers, sent.body + b" ")
    old = prepare(form, URL, "secret", NOTICE, now - timedelta(hours=1))
    assert not verify("secret", old.headers, old.body)
    later = {**old.headers, "X-Pathfinder-Timestamp": sent.headers["X-Pathfinder-Timestamp"]}
    assert not verify("secret", later, old.body)


def test_json_has_the_fields_the_guide_lists() -> None:
    """And a notice that it is over is about the same problem."""
    firing, over = body(Format.JSON, NOTICE), body(Format.JSON, OVER)

    assert firing["version"] == 1
    assert firing["id"] == str(NOTICE.id)
    assert (firing["state"], over["state"]) == ("firing", "resolved")
    assert firing["problem"]["id"] == over["problem"]["id"]
    assert (firing["problem"]["closed_at"], over["problem"]["closed_at"]) == (None, NOW.isoformat())
    guide = (Path(__file__).parents[3] / "docs/guides/alerts.md").read_text()
    assert all(f'"{field}"' in guide for field in [*firing, *firing["problem"]])


def test_slack_gets_text_it_cannot_misread() -> None:
    """Its three special characters are written out, and the text alone says what is wrong."""
    firing, over = body(Format.SLACK, NOTICE), body(Format.SLACK, OVER)

    assert "Node &lt;node-1&gt; is DOWN &amp; out." in firing["text"]
    assert "Over:" in over["text"]
    assert firing["attachments"][0]["color"] != over["attachments"][0]["color"]
    assert "Look at it." in json.dumps(firing["attachments"])


def test_alertmanager_sees_one_alert_that_ends() -> None:
    """The same labels in both; an alert that is not repeated ends by itself."""
    (firing,), (over,) = body(Format.ALERTMANAGER, NOTICE), body(Format.ALERTMANAGER, OVER)

    assert firing["labels"] == over["labels"]
    assert firing["labels"]["alertname"] == "node.down"
    assert firing["startsAt"] == NOTICE.opened_at.isoformat()
    assert datetime.fromisoformat(firing["endsAt"]) > NOW
    assert over["endsAt"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("written", "posted"),
    [
        ("http://alerts:9093", "http://alerts:9093/api/v2/alerts"),
        ("http://alerts:9093/", "http://alerts:9093/api/v2/alerts"),
        ("https://a/am/?x=1", "https://a/am/api/v2/alerts?x=1"),
        ("http://alerts:9093/api/v2/alerts", "http://alerts:9093/api/v2/alerts"),
    ],
)
def test_alertmanagers_address_is_enough(written: str, posted: str) -> None:
    """The path is added where it is missing; other formats are posted to where they say."""
    assert prepare(Format.ALERTMANAGER, written, "s", NOTICE, NOW).url == posted
    assert prepare(Format.JSON, written, "s", NOTICE, NOW).url == written


@given(st.floats(0, 1))
def test_tries_are_further_and_further_apart_and_end(chance: float) -> None:
    """About an hour in all."""
    waits = [wait_seconds(attempt, chance) for attempt in range(1, MAX_ATTEMPTS + 1)]

    assert waits[-1] is None
    bounded = [wait for wait in waits if wait is not None]
    assert len(bounded) == MAX_ATTEMPTS - 1
    assert bounded == sorted(bounded)
    assert max(bounded) <= LONGEST_SECONDS
    assert 1800 < sum(bounded) < 2 * 3600

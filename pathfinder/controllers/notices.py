"""Notices as HTTP requests: the body each format has, how it is signed, and when one is tried again. Pure."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pathfinder.domain.webhooks import Format, Notice, State

#: Wait after the first failure; it doubles with each, up to the second.
FIRST_SECONDS, LONGEST_SECONDS = 5.0, 600.0

#: With these waits the last try is about an hour after the first.
MAX_ATTEMPTS = 14

#: Alertmanager forgets: an alert is sent again so often, and ends by itself that long after the last time.
REPEAT_SECONDS, ALERT_SECONDS = 60.0, 300.0

_COLOURS = {"critical": "#c62828", "warning": "#ef6c00"}
_MARKS = {State.FIRING: "🔴", State.RESOLVED: "✅", State.TEST: "🔔"}
_ALERTS = "/api/v2/alerts"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One POST."""

    url: str
    body: bytes
    headers: Mapping[str, str]


def prepare(form: Format, url: str, secret: str, notice: Notice, now: datetime) -> Prepared:
    """The request that tells `notice` in the format `form`, signed with `secret` as of `now`."""
    body = json.dumps(_BODIES[form](notice, now), separators=(",", ":"), ensure_ascii=False).encode()
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Pathfinder-Delivery": str(notice.id),
        "X-Pathfinder-Timestamp": timestamp,
        "X-Pathfinder-Signature": sign(secret, timestamp, body),
    }
    return Prepared(_address(form, url), body, headers)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of `timestamp.body` in hexadecimal."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def wait_seconds(attempts: int, chance: float) -> float | None:
    """Seconds until the next try after `attempts` failed ones; None: no more. `chance` (0 to 1) spreads them."""
    if attempts >= MAX_ATTEMPTS:
        return None
    longest: float = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** (attempts - 1))
    return longest * (0.5 + chance / 2)


def _address(form: Format, url: str) -> str:
    parts = urlsplit(url)
    if form is not Format.ALERTMANAGER or parts.path.rstrip("/").endswith(_ALERTS):
        return url
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _ALERTS))


def _json(notice: Notice, _: datetime) -> dict[str, Any]:
    return {
        "version": 1,
        "id": str(notice.id),
        "state": notice.state,
        "problem": {
            "id": str(notice.problem_id),
            "key": notice.key,
            "kind": notice.kind,
            "severity": notice.severity,
            "cluster": notice.cluster,
            "subject": notice.subject,
            "summary": notice.summary,
            "advice": notice.advice,
            "opened_at": notice.opened_at.isoformat(),
            "closed_at": notice.closed_at.isoformat() if notice.closed_at else None,
        },
    }


def _slack(notice: Notice, _: datetime) -> dict[str, Any]:
    over = notice.state is State.RESOLVED
    summary = f"Over: {notice.summary}" if over else notice.summary
    where = f"cluster {notice.cluster}" if notice.cluster else "Pathfinder"
    text = f"{_MARKS[notice.state]} *{_plain(notice.kind)}* {_plain(summary)}"
    context = {"type": "mrkdwn", "text": _plain(f"{where} · {notice.severity}")}
    blocks: list[dict[str, Any]] = [{"type": "context", "elements": [context]}]
    if not over:
        blocks.insert(0, {"type": "section", "text": {"type": "mrkdwn", "text": _plain(notice.advice)}})
    colour = "#2e7d32" if over else _COLOURS.get(notice.severity, "#607d8b")
    return {"text": text, "attachments": [{"color": colour, "fallback": _plain(summary), "blocks": blocks}]}


def _plain(text: str) -> str:
    """Slack reads these three characters as its own; blocks hold at most 3000."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:2900]


def _alertmanager(notice: Notice, now: datetime) -> list[dict[str, Any]]:
    # Alertmanager tells alerts apart by their labels, so they must not change while a problem lasts.
    labels = {"alertname": notice.kind, "subject": notice.subject, "key": notice.key, "source": "pathfinder"}
    ends = notice.closed_at or now + timedelta(seconds=ALERT_SECONDS)
    return [
        {
            "labels": labels | ({"cluster": notice.cluster} if notice.cluster else {}) | {"severity": notice.severity},
            "annotations": {"summary": notice.summary, "description": notice.advice},
            "startsAt": notice.opened_at.isoformat(),
            "endsAt": ends.isoformat(),
        }
    ]


_BODIES = {Format.JSON: _json, Format.SLACK: _slack, Format.ALERTMANAGER: _alertmanager}

"""What is kept of a message that nobody could process: where it was, why it failed, what it is about."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

import orjson

from pathfinder.domain.errors import PathfinderError
from pathfinder.domain.messages import NODE_QUEUE, Exchange

#: The headers a consumer sends along with a message it sets aside.
REASON, QUEUE, FAILED_AT = "x-pathfinder-reason", "x-pathfinder-queue", "x-pathfinder-failed-at"
EXCHANGE, ROUTING_KEY, DELIVERIES = "x-pathfinder-exchange", "x-pathfinder-routing-key", "x-pathfinder-deliveries"

#: A reason is one line, and no novel.
MAX_REASON = 300

#: So many kinds and subjects of one message are listed.
MAX_NAMES = 20

_NAMESPACE = UUID("6f1f8f0e-6f0b-4d0e-9c55-0d6a3a7b1c11")

#: What looks like a secret in words that libraries wrote: a URL's account, our own tokens, `password=…`.
_SECRETS = (
    (re.compile(r"(?<=://)[^/@\s]+@"), "…@"),
    (re.compile(r"\bpf_[\w-]{8,}"), "pf_…"),
    (
        re.compile(r"(?i)\b(pass\w*|secret\w*|token|authorization|api[_-]?key)(['\"]?\s*[=:]\s*)(bearer\s+)?\S+"),
        r"\1\2…",
    ),
)

#: The broker's own words for why it moved a message to `pathfinder.dead`.
_BROKER = {
    "delivery_limit": "Nobody acknowledged it: each time its consumer died or lost its connection.",
    "rejected": "Its consumer refused it.",
    "expired": "It waited too long.",
}

#: Dropped to make room, not because anything failed: hints, whose news the sweep finds.
OVERFLOW = "maxlen"

_REPLAYABLE = frozenset({Exchange.EVENTS, Exchange.COMMANDS, Exchange.REPORTS})


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead message. `key` is the same whenever the same message dies in the same queue, so doubles are found."""

    key: UUID
    failed_at: datetime
    queue: str
    exchange: str
    routing_key: str
    reason: str
    deliveries: int
    kinds: list[str]
    subjects: list[str]
    body: bytes


def reason(error: BaseException) -> str:
    """Why a message failed, in a line: the words of our own errors, else the error's class and its first line.

    No traceback, and nothing that looks like a secret.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    error = getattr(error, "orig", None) or error
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    if not isinstance(error, PathfinderError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return _plain(text)[:MAX_REASON]


def headers(error: BaseException, queue: str, exchange: str, routing_key: str, deliveries: int) -> dict[str, str]:
    """What travels with a message that is set aside now."""
    return {
        REASON: reason(error),
        QUEUE: queue,
        EXCHANGE: exchange,
        ROUTING_KEY: routing_key,
        DELIVERIES: str(deliveries),
        FAILED_AT: datetime.now(UTC).isoformat(),
    }


def letter(body: bytes, found: Mapping[str, Any], message_id: str | None, routing_key: str) -> Letter | None:
    """A message of `pathfinder.dead`, set aside by a consumer or by the broker; None if it is no loss at all.

    Never fails, whatever is in the message: it has nowhere else to go.
    """
    deaths = found.get("x-death")
    death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping) else {}
    if REASON not in found and death.get("reason") == OVERFLOW:
        return None
    queue = _text(found.get(QUEUE) or death.get("queue") or routing_key)
    keys = death.get("routing-keys")
    first_key = keys[0] if isinstance(keys, list) and keys else routing_key
    exchange = _text(found.get(EXCHANGE) or death.get("exchange") or "")
    if routing_key.startswith(NODE_QUEUE):
        # A node sets aside what was for itself, whatever it says: it must not have others sent anything by a replay.
        queue, exchange, first_key = routing_key, Exchange.COMMANDS, routing_key.removeprefix(NODE_QUEUE)
        found = {**found, ROUTING_KEY: first_key}
    why = _text(death.get("reason", ""))
    kinds, subjects = _about(body)
    return Letter(
        key=uuid5(_NAMESPACE, f"{queue}/{message_id or sha256(body).hexdigest()}"),
        failed_at=_moment(found.get(FAILED_AT)) or _moment(death.get("time")) or datetime.now(UTC),
        queue=queue,
        exchange=exchange,
        routing_key=_text(found.get(ROUTING_KEY) or first_key),
        reason=_text(found.get(REASON) or _BROKER.get(why, why or "It is not known why."))[:MAX_REASON],
        deliveries=_count(found.get(DELIVERIES) or found.get("x-delivery-count")),
        kinds=kinds,
        subjects=subjects,
        body=body,
    )


def replayed(exchange: str, body: bytes) -> bytes | None:
    """The body to publish once more; None where that is no use, because no reader would ever take it."""
    parts = _parts(body)
    return orjson.dumps(parts) if parts and exchange in _REPLAYABLE else None


def _about(body: bytes) -> tuple[list[str], list[str]]:
    """The kinds of a message's envelopes, and the names of what they are about; ids where they tell no name."""
    envelopes = [part for part in _parts(body) if isinstance(part, dict)]
    kinds = [_text(one.get("kind", "?")) for one in envelopes]
    subjects = []
    for one in envelopes:
        inner = one.get("body")
        named = inner if isinstance(inner, dict) else {}
        subjects.append(_text(named.get("hostname") or named.get("name") or one.get("subject", "?")))
    return list(dict.fromkeys(kinds))[:MAX_NAMES], list(dict.fromkeys(subjects))[:MAX_NAMES]


def _parts(body: bytes) -> Sequence[Any]:
    try:
        parts = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    return parts if isinstance(parts, list) else []


def _text(value: object) -> str:
    return _plain(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _plain(text: str) -> str:
    """One line that PostgreSQL can store: no control characters, no lone surrogates."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean.encode(errors="replace").decode()


def _moment(value: object) -> datetime | None:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _count(value: object) -> int:
    """A header as a count of deliveries; 1 where there is none, since it came here by failing once."""
    try:
        return max(1, min(int(str(value)), 1_000_000))
    except ValueError:
        return 1

"""What is written on a command line and understood here; what things mean is the server's to decide."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from typer import BadParameter

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")


def duration(text: str) -> float:
    """Seconds from `90`, `90s`, `1h30m` or `2d`."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise BadParameter(f"{text!r} is not a duration; write it like 30s, 10m, 1h30m or 2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def moment(text: str) -> str:
    """A start of time as the API reads it: an RFC 3339 moment in UTC, or seconds back from the server's now.

    A date without a zone is meant on the clock on the wall.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        if not text[:1].isdigit() or "-" in text:
            raise BadParameter(
                f"{text!r} is neither a duration (10m, 2h) nor a moment (2026-11-23 21:30, 2026-11-23T20:30:05Z)"
            ) from None
        return f"{max(1, round(duration(text)))}s"
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`["a=1", "b=2"]` as a dictionary."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadParameter(f"{text!r} is not of the form KEY=VALUE")
        found[key] = value
    return found


def kinds(texts: Sequence[str]) -> tuple[str, ...]:
    """Kinds of events: `container.deleted` is one kind, `container` all of that noun."""
    return tuple(text if "." in text else f"{text}." for text in texts)

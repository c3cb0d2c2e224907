"""The rules for names: what a hostname, a label and a cluster may be called."""

import re
from urllib.parse import urlsplit

MAX_HOSTNAME = 63

_LABEL_1123 = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_USER = re.compile(r"[a-z0-9]([a-z0-9._@-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"([a-z0-9][a-z0-9-]{0,62}:)?[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")


def hostname(text: str) -> str:
    """`text` if it is an RFC 1123 label LXD accepts; ValueError with the rule otherwise."""
    if not _LABEL_1123.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a host name; use 1 to {MAX_HOSTNAME} lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends (an RFC 1123 label)"
        )
    if text.isdigit():
        raise ValueError(f"{text!r} has only digits; LXD wants at least one letter in a host name")
    return text


def label_key(text: str) -> str:
    """`text` if it may be a label's key; ValueError with the rule otherwise."""
    if not _KEY.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a label key; use 1 to 63 letters, digits and . _ / - between two of the former"
        )
    return text


def label_value(text: str) -> str:
    """`text` if it may be a label's value; ValueError with the rule otherwise."""
    if not _VALUE.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a label value; use at most 63 letters, digits and . _ - between two of the former"
        )
    return text


def user(text: str) -> str:
    """`text` if it may be the name of a user, a token or a secret; ValueError with the rule otherwise."""
    if not _USER.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a name; use 1 to 63 lower-case letters, digits and . _ @ - between two of the former"
        )
    return text


def secret(text: str) -> str:
    """`text` if it may be the name of a secret; ValueError with the rule otherwise."""
    if not text or not _VALUE.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a name; use 1 to 63 letters, digits and . _ - between two of the former"
        )
    return text


def image(text: str) -> str:
    """`text` if it reads `[REMOTE:]ALIAS`; ValueError with the form otherwise."""
    if not _IMAGE.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not an image; write [REMOTE:]ALIAS, like ubuntu:26.04, images:debian/13 or local:mine"
        )
    return text


def web_address(text: str) -> str:
    """`text` if it is an http or https URL that can be posted to; ValueError with what to write otherwise."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text[:80]!r} is not a web address; write one like https://example.org/hooks/pathfinder")
    if parts.username is not None or parts.fragment:
        raise ValueError(
            "a web address may hold no user name, password or #fragment here; sign in by the path or query"
        )
    return text

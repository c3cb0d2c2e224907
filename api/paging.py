"""Cursors of lists: opaque to clients, the last row of the page before to us."""

import base64
import binascii
from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.views import Page

BEGINNING = ("", UUID(int=0))


class Listed(Protocol):
    """A row of a list ordered by hostname, then id."""

    @property
    def hostname(self) -> str: ...
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Listed)


def after(cursor: str | None) -> tuple[str, UUID]:
    """The row a list goes on behind. Raises Invalid for anything a list did not give."""
    if cursor is None:
        return BEGINNING
    try:
        hostname, _, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().rpartition("/")
        return hostname, UUID(id_)
    except (binascii.Error, ValueError) as error:
        hint = "leave it out to start from the beginning, or send the next_cursor of a page"
        raise Invalid("The cursor is not one that a list gave.", [FieldProblem("cursor", hint)]) from error


def page(rows: Sequence[Row], limit: int) -> Page[Row]:
    """`rows`, read with a limit of `limit` + 1, as a page."""
    shown = list(rows[:limit])
    if len(rows) <= limit:
        return Page(items=shown)
    last = shown[-1]
    return Page(items=shown, next_cursor=base64.urlsafe_b64encode(f"{last.hostname}/{last.id}".encode()).decode())

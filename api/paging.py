"""Cursors of lists: opaque to clients, the last row of the page before to us."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from pathfinder.domain import views
from pathfinder.domain.deployment_views import Deployment
from pathfinder.domain.errors import FieldProblem, Invalid

BEGINNING = ("", UUID(int=0))


Row = TypeVar("Row", views.Container, views.Node, Deployment)


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


def page(rows: Sequence[Row], limit: int) -> views.Page[Row]:
    """`rows`, read with a limit of `limit` + 1, as a page."""
    shown = list(rows[:limit])
    if len(rows) <= limit:
        return views.Page(items=shown)
    last = shown[-1]
    name = last.name if isinstance(last, Deployment) else last.hostname
    return views.Page(items=shown, next_cursor=base64.urlsafe_b64encode(f"{name}/{last.id}".encode()).decode())

"""Which items of a list, and which events, a request is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from pathfinder.client.connection import Params


@dataclass(frozen=True, slots=True)
class Selection:
    """Which containers or nodes: every condition must hold; of several statuses, one."""

    statuses: tuple[str, ...] = ()
    node: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    prefix: str | None = None

    def __bool__(self) -> bool:
        """Whether anything is asked for at all."""
        return bool(self.statuses or self.node or self.labels or self.prefix)

    def params(self) -> Params:
        """As query parameters."""
        return [
            *(("status", status) for status in self.statuses),
            *_given(node=self.node, prefix=self.prefix),
            *(("label", f"{key}={value}") for key, value in self.labels.items()),
        ]

    def admits(self, *, hostname: str, status: str, node: str | None, labels: Mapping[str, str]) -> bool:
        """Whether something that changed belongs to the selection: what the server decides for a list."""
        return (
            (not self.statuses or status in self.statuses)
            and (self.node is None or node == self.node)
            and labels.items() >= self.labels.items()
            and hostname.startswith(self.prefix or "")
        )


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Which events: every condition must hold; of several kinds, one.

    A kind is exact (`container.deleted`) or the start of several (`container.`), and so is an actor (`user:alice`,
    `user:`). `since` is a moment as RFC 3339, or a duration back from now (`10m`).
    """

    kinds: tuple[str, ...] = ()
    subject: UUID | None = None
    container: str | None = None
    node: str | None = None
    since: str | None = None
    actors: tuple[str, ...] = ()

    def params(self) -> Params:
        """As query parameters."""
        subject = str(self.subject) if self.subject else None
        return [
            *(("kind", kind) for kind in self.kinds),
            *(("actor", actor) for actor in self.actors),
            *_given(subject=subject, container=self.container, node=self.node, since=self.since),
        ]


def _given(**values: str | None) -> list[tuple[str, str]]:
    return [(key, value) for key, value in values.items() if value is not None]

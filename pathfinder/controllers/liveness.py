"""Which nodes are to be declared DOWN."""

from collections.abc import Collection
from typing import TypeVar

Node = TypeVar("Node")


def judge(expired: Collection[Node], unread_heartbeats: int) -> list[Node]:
    """The nodes whose lease has ended and that are really silent.

    While heartbeats wait unread, the silence may be ours: nobody is judged until they are drained.
    """
    return [] if unread_heartbeats else list(expired)

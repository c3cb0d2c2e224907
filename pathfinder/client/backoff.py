"""How long to wait before connecting again."""

from random import SystemRandom

_RANDOM = SystemRandom()


class Backoff:
    """Growing pauses with full jitter, so that a thousand clients do not come back in the same instant.

    Args:
        first: the most the first pause may take, in seconds; each next one may take twice as long
        most: no pause takes longer, in seconds
    """

    def __init__(self, first: float = 0.25, most: float = 5.0) -> None:
        self._first, self._most = first, most
        self._ceiling = first

    def next(self) -> float:
        """The next pause in seconds."""
        pause = _RANDOM.uniform(self._ceiling / 4, self._ceiling)
        self._ceiling = min(self._ceiling * 2, self._most)
        return pause

    def reset(self) -> None:
        """Start small again: the last connection worked."""
        self._ceiling = self._first

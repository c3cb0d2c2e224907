"""What the user hears of a connection that comes and goes."""

from pathfinder.cli.pfi.terminal import harmless, note


class Notices:
    """A stream's listener: one line on stderr when the connection is lost, one when it is back."""

    def __init__(self) -> None:
        self._lost = False

    async def connected(self) -> None:
        """The connection is there, for the first time or again."""
        if self._lost:
            note("pfi: connected again, nothing was missed")
        self._lost = False

    async def lost(self, reason: str) -> None:
        """The connection is gone, or still is."""
        if not self._lost:
            note(f"pfi: lost the connection ({harmless(reason)}), connecting again …")
        self._lost = True

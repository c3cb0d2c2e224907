"""When tokens and sessions were used last: noted in memory, written once a minute, beside the requests."""

from uuid import UUID

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.domain.errors import Unavailable
from pathfinder.store import tokens

WRITE_SECONDS = 60.0


class Uses:
    """What was used in one api process since it was written last."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._used: set[UUID] = set()

    def note(self, id_: UUID) -> None:
        """A token or session was used just now."""
        self._used.add(id_)

    async def run(self) -> None:
        """Write until the process stops, and once more then."""
        while not self._process.stopping.is_set():
            await pause(self._process.stopping, WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write what was used. While PostgreSQL is away it is kept."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            async with self._process.database.begin() as tx:
                await tokens.note_use(tx, used)
        except Unavailable:
            self._used |= used

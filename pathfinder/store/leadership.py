"""One leader among several processes: who holds a lock that lives with a session of PostgreSQL.

Four bounds make it safe, each longer than the one before:

- the leader proves every second that its session lives;
- without a proof for `PROOF_SECONDS` it does not call itself leader any more;
- PostgreSQL ends a session it has heard nothing of for `IDLE_SECONDS`, be its process stopped, its machine gone or the
  network cut, and with the session the lock;
- so a follower, which tries again and again, leads at most `IDLE_SECONDS` later. After `kill -9` it is at once, for the
  kernel closes the connection.

What the leader writes through `Leadership.begin` it writes in the very session that holds the lock: when that is gone,
the transaction is too.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain.errors import Unavailable
from pathfinder.store.database import Database, translated

#: How old the last proof may be.
PROOF_SECONDS = 5.0

#: How long PostgreSQL hears nothing before it ends the session.
IDLE_SECONDS = 10

#: How long a transaction of the leader's waits for others.
LOCK_SECONDS = 3

_SETTINGS = {
    "idle_session_timeout": f"{IDLE_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    # What cannot be done now costs its transaction, not the lead: PostgreSQL ends it before this side gives it up.
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{IDLE_SECONDS - 2}s",
    # The same for a machine that vanished while it was sent something.
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{IDLE_SECONDS * 1000}",
}
_TAKE = text("SELECT pg_try_advisory_lock(hashtextextended('pathfinder.leader.' || :name, 0))")


class LeadershipLost(Unavailable):
    """This process is not, or cannot be sure to be, the leader any more."""


class Leadership:
    """The right to act as the one leader called `name`."""

    def __init__(self, name: str, session: AsyncConnection) -> None:
        self.name = name
        self._session = session
        self._turn = asyncio.Lock()
        self._proven = _now()

    @property
    def held(self) -> bool:
        """Whether this process leads, as far as it was proven in the last `PROOF_SECONDS`."""
        # SQLAlchemy would quietly put another session, one without the lock, in the place of a broken one.
        return not self._session.invalidated and _now() - self._proven < PROOF_SECONDS

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction like `Database.begin`, that can only commit while the lock is held.

        One at a time. Raises LeadershipLost, or Unavailable when PostgreSQL does not answer.
        """
        async with self._turn:
            self._check()
            asked = self._proven
            try:
                with translated():
                    async with self._session.begin():
                        try:
                            yield self._session
                        finally:
                            asked = _now()
            finally:
                # Committed or rolled back, it was answered; what was not answered takes the session with it.
                self._proven = asked

    async def prove(self) -> None:
        """Ask the session for a sign of life. Raises Unavailable when it gives none in time."""
        async with self._turn:
            self._check()
            asked = _now()
            with translated():
                async with asyncio.timeout(self._proven + PROOF_SECONDS - asked), self._session.begin():
                    await self._session.execute(text("SELECT"))
            self._proven = asked

    def _check(self) -> None:
        if not self.held:
            raise LeadershipLost(f"Not sure to be the leader ({self.name}) any more.")


def session(database: Database, name: str) -> AbstractAsyncContextManager[AsyncConnection]:
    """A session that can take the lock called `name`; left, it gives the lock back. Raises Unavailable."""
    return database.session(f"pathfinder {name} leader {os.getpid()}", IDLE_SECONDS, _SETTINGS)


async def take(session: AsyncConnection, name: str) -> Leadership | None:
    """The leadership called `name` if nobody has it, else None. Raises Unavailable."""
    leadership = Leadership(name, session)  # as of before the lock is asked for
    with translated():
        async with session.begin():
            taken = (await session.execute(_TAKE, {"name": name})).scalar_one()
    return leadership if taken else None


def _now() -> float:
    """Seconds that also pass while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)

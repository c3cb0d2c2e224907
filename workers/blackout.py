"""Part of the controller: tells webhooks that PostgreSQL is away, which nothing that is kept there can tell.

The one process that looks for problems remembers who is to be told. Once PostgreSQL has been away for long, it sends
the notice itself, and another when it is back. Followers are silent: they cannot know whether somebody else told it.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

import structlog

from pathfinder.bootstrap import Process
from pathfinder.broker.connection import pause
from pathfinder.controllers.notices import REPEAT_SECONDS, prepare, wait_seconds
from pathfinder.domain.errors import Unavailable
from pathfinder.domain.ids import uuid7
from pathfinder.domain.problems import Problem, ProblemKind, Severity
from pathfinder.domain.webhooks import Format, Notice, State
from pathfinder.posting import post
from pathfinder.store import webhooks
from pathfinder.store.webhooks import Receiver

log = structlog.get_logger()

#: How often it is asked whether PostgreSQL is there, and how long it may take to say so.
LOOK_SECONDS, ANSWER_SECONDS = 2.0, 5.0

#: A promotion of the standby, or a restart, is over within this time; it is told by the standby's own problems.
SILENT_SECONDS = 20.0

PROBLEM = Problem(
    ProblemKind.DATABASE_DOWN,
    Severity.CRITICAL,
    "PostgreSQL",
    "PostgreSQL does not answer the controller: nothing can be asked for or started. What runs goes on.",
    "Start PostgreSQL, or promote its standby (`pathfinder up` where it is embedded); PATHFINDER_DATABASE_URL says "
    "where it should be.",
)


@dataclass(slots=True)
class _Delivery:
    """One notice on its way to one receiver. `due` is a moment of the steady clock; None: nothing more is sent."""

    receiver: Receiver
    notice: Notice
    due: float | None = 0.0
    attempts: int = 0
    taken: bool = False


@dataclass(slots=True)
class Blackout:
    """What one controller knows of PostgreSQL's absence. `receivers` are from when it was there last."""

    receivers: Sequence[Receiver] = ()
    since: float | None = None
    notices: list[_Delivery] = field(default_factory=list)

    def there(self, receivers: Sequence[Receiver], now: datetime) -> None:
        """PostgreSQL answered; `receivers` are to be told if it goes away, none where another process would tell."""
        self.receivers, self.since = receivers, None
        for one in self.notices:
            if one.notice.state is State.FIRING:
                over = replace(one.notice, id=_id(one.notice.problem_id, one.receiver, "over"), state=State.RESOLVED)
                one.notice, one.due = replace(over, closed_at=now), 0.0 if one.taken else None
                one.attempts, one.taken = 0, False

    def away(self, steady: float, now: datetime) -> None:
        """PostgreSQL did not answer: if for long, everybody is to be told once."""
        self.since = steady if self.since is None else self.since
        telling = any(one.notice.state is State.FIRING for one in self.notices)
        if not telling and self.receivers and steady - self.since >= SILENT_SECONDS:
            id_ = uuid7()
            # What is left to be said of the last time is said no more: it is away again.
            self.notices = [_Delivery(one, _notice(id_, one, now)) for one in self.receivers]

    async def tell(self, steady: float, now: datetime) -> None:
        """Send what is due at the moment `steady`, to all at once."""
        due = [one for one in self.notices if one.due is not None and one.due <= steady]
        await asyncio.gather(*(_send(one, steady, now) for one in due))
        self.notices = [one for one in self.notices if one.due is not None or one.notice.state is State.FIRING]


async def run(process: Process, lead: str) -> None:
    """Watch PostgreSQL until told to stop; the process that leads in `lead` is the one that tells."""
    blackout = Blackout()
    while not process.stopping.is_set():
        leads = lead in process.leading  # as of before it is asked: the lead goes with the database
        try:
            async with asyncio.timeout(ANSWER_SECONDS), process.database.read() as tx:
                receivers = await webhooks.who_hear(tx, ProblemKind.DATABASE_DOWN)
            blackout.there(receivers if leads else (), datetime.now(UTC))
        except (Unavailable, TimeoutError):
            blackout.away(time.monotonic(), datetime.now(UTC))
        await blackout.tell(time.monotonic(), datetime.now(UTC))
        await pause(process.stopping, LOOK_SECONDS)


async def _send(one: _Delivery, steady: float, now: datetime) -> None:
    receiver = one.receiver
    answer = await post(prepare(receiver.format, receiver.url, receiver.secret, one.notice, now))
    told = {"webhook": receiver.name, "key": one.notice.key, "state": one.notice.state}
    if answer.taken:
        one.taken, one.attempts = True, 0
        repeats = receiver.format is Format.ALERTMANAGER and one.notice.state is State.FIRING
        one.due = steady + REPEAT_SECONDS if repeats else None
        log.info("notice taken", **told)
        return
    one.attempts += 1
    again = wait_seconds(one.attempts, random.random())  # noqa: S311 - jitter is no secret
    one.due = None if again is None else steady + again
    log.warning("notice not taken" if again else "notice given up", reason=answer.words, **told)


def _id(problem_id: UUID, receiver: Receiver, state: str) -> UUID:
    """The same each time the same notice is sent."""
    return uuid5(problem_id, f"{receiver.id}:{state}")


def _notice(problem_id: UUID, receiver: Receiver, now: datetime) -> Notice:
    return Notice(
        id=_id(problem_id, receiver, "there"),
        state=State.FIRING,
        problem_id=problem_id,
        key=PROBLEM.key,
        kind=PROBLEM.kind,
        severity=PROBLEM.severity,
        cluster=None,
        subject=PROBLEM.subject,
        summary=PROBLEM.summary,
        advice=PROBLEM.advice,
        opened_at=now,
        closed_at=None,
    )

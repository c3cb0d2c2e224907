"""PostgreSQL is away: who is told, when, and when no more."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pathfinder.controllers.notices import Prepared
from pathfinder.domain.webhooks import Format
from pathfinder.posting import Answer
from pathfinder.store.webhooks import Receiver
from workers import blackout
from workers.blackout import SILENT_SECONDS, Blackout

NOW = datetime(2026, 11, 28, tzinfo=UTC)
OPS = Receiver(UUID(int=1), "ops", "http://ops/", Format.JSON, "s")
ALERTS = Receiver(UUID(int=2), "alerts", "http://alerts/", Format.ALERTMANAGER, "s")


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The address of each notice that is sent; all are taken."""
    sent: list[str] = []

    async def post(prepared: Prepared) -> Answer:
        sent.append(prepared.url)
        return Answer(True, "ok", 0.0)

    monkeypatch.setattr(blackout, "post", post)
    return sent


async def pass_by(it: Blackout, begin: float, end: float) -> None:
    """PostgreSQL does not answer, second by second."""
    for second in range(int(begin), int(end)):
        it.away(second, NOW + timedelta(seconds=second))
        await it.tell(second, NOW + timedelta(seconds=second))


async def test_a_short_absence_is_not_told(posted: list[str]) -> None:
    """A restart or a promotion takes seconds; each absence is counted by itself."""
    it = Blackout()
    for _ in range(3):
        it.there([OPS], NOW)
        await pass_by(it, 0, SILENT_SECONDS)
    it.there([OPS], NOW)
    await it.tell(100, NOW)

    assert posted == []


async def test_a_long_absence_is_told_once_and_so_is_its_end(posted: list[str]) -> None:
    """Alertmanager forgets: it alone is told each minute, until it is over."""
    it = Blackout()
    it.there([OPS, ALERTS], NOW)
    await pass_by(it, 0, SILENT_SECONDS + 90)
    it.there([OPS, ALERTS], NOW)
    for second in (200, 300):
        await it.tell(second, NOW)

    addresses = [one.partition("/api/")[0].rstrip("/") for one in posted]
    assert addresses == ["http://ops", "http://alerts", "http://alerts", "http://ops", "http://alerts"]


async def test_one_that_did_not_lead_tells_nothing(posted: list[str]) -> None:
    """It cannot know whether somebody else told it."""
    it = Blackout()
    it.there([OPS], NOW)
    it.there([], NOW)
    await pass_by(it, 0, SILENT_SECONDS + 90)

    assert posted == []

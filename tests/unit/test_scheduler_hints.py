"""After which hints a scheduler sets its alarm anew, whatever it finds to place."""

from unittest.mock import AsyncMock, Mock
from uuid import UUID

import pytest

import workers.scheduler
from pathfinder.broker.consume import Delivery
from pathfinder.domain.messages import Envelope, Kind
from workers.scheduler import _handle


@pytest.mark.parametrize(
    ("kind", "later"),
    [
        (Kind.CONTAINER_PROVISION_FAILED, True),
        (Kind.CONTAINER_DEPARTED, True),
        (Kind.NODE_DOWN, True),
        (Kind.CONTAINER_REQUESTED, False),
    ],
)
async def test_the_alarm_is_set_anew_by_all_that_may_bring_a_moment(
    kind: Kind, later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed provision that may have left something is not due before that is gone, and is when its pause is over."""
    monkeypatch.setattr(workers.scheduler, "_place", AsyncMock())
    alarm = Mock()

    await _handle(Mock(), alarm, [Delivery(Mock(), [Envelope(kind, str(UUID(int=1)), str(UUID(int=2)))])])

    assert alarm.set_anew.called is later

"""Forecasts for deployments that are scaled ahead of their load: made anew every five minutes."""

from collections.abc import Collection
from uuid import UUID

from pathfinder.bootstrap import Process
from pathfinder.controllers.forecasting import MOST_SEASONS, SLOT_SECONDS, Forecast, forecast
from pathfinder.controllers.scaling_trace import target
from pathfinder.controllers.wishes import Wish, foreseen, largest
from pathfinder.domain.autoscaling import Autoscaling
from pathfinder.store import autoscaling

#: The longest season, so often as it is looked at.
HISTORY_DAYS = 7.0 * MOST_SEASONS


class Foresight:
    """What forecasts ask for, by deployment."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._wishes: dict[UUID, tuple[int, Autoscaling, Wish | None]] = {}

    async def wish(self, id_: UUID, rules: Autoscaling, now: float) -> Wish | None:
        """The largest wish of the forecasts of its metrics at `now`, seconds since 1970; None if there is none."""
        predictive = rules.predictive
        if predictive is None or not predictive.enabled:
            return None
        slot = int(now // SLOT_SECONDS)
        known = self._wishes.get(id_)
        if known is None or known[:2] != (slot, rules):
            known = slot, rules, await self._made(id_, rules, predictive.ahead_seconds, now)
            self._wishes[id_] = known
        return known[2]

    def forget(self, but: Collection[UUID]) -> None:
        """Forget all but these."""
        self._wishes = {id_: one for id_, one in self._wishes.items() if id_ in but}

    async def _made(self, id_: UUID, rules: Autoscaling, ahead_seconds: float, now: float) -> Wish | None:
        wishes = []
        for metric in rules.metrics:
            if (shared := target(metric)) is None:
                continue
            async with self._process.database.begin() as tx:
                points = await autoscaling.history(tx, id_, metric.called, HISTORY_DAYS)
            found = forecast(points, now, ahead_seconds)
            if isinstance(found, Forecast):
                wishes.append(foreseen(metric.called, shared, found))
        return largest(wishes)

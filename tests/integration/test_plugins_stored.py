"""Policies in the store that name filters and scorers of other packages."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from workbench import Fleet

from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.domain.errors import Invalid
from pathfinder.domain.policies import PolicyDocument
from pathfinder.scheduling.filters import FILTERS
from pathfinder.scheduling.plugins import PluginScorer
from pathfinder.scheduling.policy import BUILT_IN, Rules
from pathfinder.scheduling.scorers import SCORERS
from pathfinder.store import decisions, policies, situation
from workers.scheduler import place_pending


@dataclass
class Last:
    """Prefers the node whose name ends in 2, as long as it is `well`."""

    well: bool = True

    def score(self, fleet: Any, ask: Any) -> Any:
        if not self.well:
            raise ValueError("the rack is away")
        return np.array([float(name.endswith("2")) for name in fleet.hostnames])


@pytest.fixture
async def last(process: Process, fleet: Fleet) -> Last:
    """Three nodes, and a cluster whose policy names an installed scorer."""
    for number in range(3):
        await fleet.node(f"node-{number}", cpu_millicores=64_000)
    made = Last()
    process.rules = Rules(FILTERS, {**SCORERS, "last": PluginScorer("last", made)})
    document = PolicyDocument.model_validate({"name": "mine", "scorers": {"last": 10.0, "free-share": 1.0}})
    async with process.database.begin() as tx:
        await policies.apply(tx, document, "test", "trace", rules=process.rules)
    await fleet.rows("UPDATE clusters SET policy = 'mine' RETURNING id")
    return made


async def decided(process: Process, fleet: Fleet, *names: str) -> list[dict[str, Any]]:
    """Place these containers; the decisions on them."""
    ids = await fleet.ask(*names, cpu=1)
    await place_pending(process, fleet.cluster_id)
    async with process.database.begin() as tx:
        return [await decisions.about(tx, id_) for id_ in ids]


async def test_containers_go_where_an_installed_scorer_wants_them(process: Process, fleet: Fleet, last: Last) -> None:
    """It has its part in the explanation, like any other."""
    for one in await decided(process, fleet, "a", "b", "c"):
        assert (one["policy"], one["skipped"]) == ("mine", [])
        assert one["recomputed"] == one["candidates"][0]["node"] == "node-2"
        assert one["candidates"][0]["scores"]["last"] == 1.0


async def test_one_that_fails_is_left_out_and_told_of(process: Process, fleet: Fleet, last: Last) -> None:
    """In the decision, which can be made again from what is stored, and in the metrics; then it is heeded again."""
    count = telemetry.PLUGIN_FAILED.labels("scorer", "last")
    before = count._value.get()
    last.well = False
    (one,) = await decided(process, fleet, "a")
    assert one["policy"] == "mine"
    assert one["skipped"] == ["scorer last: raised ValueError: the rack is away"]
    assert "last" not in one["weights"]
    assert one["recomputed"] == one["candidates"][0]["node"]
    assert count._value.get() > before
    async with process.database.begin() as tx:
        seen = await situation.read(tx, None, 0.0, None)
    assert [(one.plugin, one.words) for one in seen.plugins] == [("scorer last", "raised ValueError: the rack is away")]

    last.well = True
    (one,) = await decided(process, fleet, "b")
    assert (one["skipped"], one["recomputed"]) == ([], "node-2")


async def test_what_is_not_installed_any_more_stops_nobody(process: Process, fleet: Fleet, last: Last) -> None:
    """Who still goes by it is placed by the usual policy; who wants to use it is told."""
    process.rules = BUILT_IN
    (one,) = await decided(process, fleet, "a")

    assert one["policy"] == "spread"
    assert "'last' is not a scorer here" in one["skipped"][0]
    async with process.database.begin() as tx:
        with pytest.raises(Invalid, match="'last' is not a scorer here"):
            await policies.named(tx, "mine", rules=process.rules)

"""What benchmarks measure with: requests in open loop, commits told apart, and what is kept of a run."""

import asyncio
import json
from pathlib import Path

import pytest

from benchmarks import figures, mixes, packing
from benchmarks.arrivals import Arrived, Plan, Stream, open_loop
from benchmarks.mixes import Mix
from benchmarks.observe import Commits


async def test_requests_are_sent_when_they_are_due_though_none_was_answered() -> None:
    """Open loop: the slowness of one is no rest for the others, and counts from the moment it was due."""
    asked: list[int] = []
    all_asked = asyncio.Event()

    async def ask(number: int) -> bool:
        asked.append(number)
        if len(asked) == 10:
            all_asked.set()
        await all_asked.wait()
        return number != 3

    stream = await open_loop(ask, per_second=100, seconds=0.1)

    assert asked == list(range(10))
    assert stream.seconds[3] is None
    assert stream.seconds[0] is not None
    assert stream.seconds[0] >= 0.09  # answered with the last one
    assert len(stream.answered) == 9
    assert stream.due[9] - stream.due[0] == pytest.approx(0.09)


def test_containers_that_were_refused_are_not_waited_for() -> None:
    """Only what was accepted can become SCHEDULED."""
    plan = Plan(containers=100, gone=7, changes=4, gets=1, pages=1, seconds=1)

    arrived = Arrived({"create": Stream([1.0, 2.0], [None, 0.1])}, processor=0.0)

    assert arrived.created(plan) == {"c-0000108": 2.0}


def test_each_of_several_commits_has_an_announcement_of_its_own() -> None:
    """One that is told late is not taken for the next one, and those of others are none of theirs."""
    commits = Commits([1.0, 2.5, 2.6, 4.0, 5.0], [11, 12, 11, 12, 11])

    assert commits.of({11}).each([0.9, 2.4, 4.9]) == [1.0, 2.6, 5.0]
    assert commits.of({11}).each([0.5, 0.9]) == [1.0, 2.6]
    assert commits.after(2.5) == 2.5


def test_what_scripts_ask_for_is_kept_beside_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure has its key, whatever the tables are called."""
    monkeypatch.setattr(figures, "RESULTS", tmp_path)

    path = figures.keep("c1m", {"cpu": "one"}, [], {"placements_per_s": 12.5})

    assert json.loads(path.read_text())["placements_per_s"] == 12.5


@pytest.mark.parametrize(("mix", "machines"), [(mixes.google_like(1000, 1), 38), (mixes.azure_like(1000, 1), 36)])
def test_balanced_packs_what_comes_nearly_as_well_as_if_it_were_known(mix: Mix, machines: int) -> None:
    """One drawing of each likeness, on one or two machines more than the lower bound."""
    assert packing.by_policy("balanced")(mix, machines, 1)

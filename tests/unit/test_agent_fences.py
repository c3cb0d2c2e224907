"""What was deleted on a node stays deleted, whatever comes late."""

from pathlib import Path

import pytest

from workers.agent import fences
from workers.agent.fences import Fences


async def test_a_fence_outlives_the_agent(tmp_path: Path) -> None:
    """A copy of an old command also comes after a restart; only the highest generation counts."""
    first = Fences(tmp_path / "state" / "fences.jsonl")
    await first.put("web", 3)
    await first.put("web", 2)

    again = Fences(tmp_path / "state" / "fences.jsonl")

    assert (again.of("web"), again.of("never-here")) == (3, 0)


async def test_a_line_cut_short_by_a_kill_costs_that_line_only(tmp_path: Path) -> None:
    """And the next start writes a whole file again."""
    path = tmp_path / "fences.jsonl"
    await Fences(path).put("web", 1)
    with path.open("ab") as file:
        file.write(b'["db", ')

    await Fences(path).put("mail", 4)

    again = Fences(path)
    assert (again.of("web"), again.of("db"), again.of("mail")) == (1, 0, 4)


async def test_only_the_latest_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays small however long a node lives."""
    monkeypatch.setattr(fences, "REMEMBERED", 2)
    kept = Fences(tmp_path / "fences.jsonl")
    for hostname in ("old", "new", "newer"):
        await kept.put(hostname, 1)
    await kept.put("old", 2)

    again = Fences(tmp_path / "fences.jsonl")

    assert [again.of(name) for name in ("new", "newer", "old")] == [0, 1, 2]
    assert len((tmp_path / "fences.jsonl").read_text().splitlines()) == 2

"""What was deleted on a node stays deleted, whatever comes late."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from workers.agent import fences
from workers.agent.fences import FenceNotKept, Fences


async def test_a_fence_outlives_the_agent(tmp_path: Path) -> None:
    """A copy of an old command also comes after a restart; only the highest generation counts."""
    first = Fences(tmp_path / "state" / "fences.jsonl", "c")
    await first.put("web", 3)
    await first.put("web", 2)

    again = Fences(tmp_path / "state" / "fences.jsonl", "c")

    assert (again.of("web"), again.of("never-here")) == (3, 0)


async def test_a_line_cut_short_by_a_kill_costs_that_line_only(tmp_path: Path) -> None:
    """And the next start writes a whole file again."""
    path = tmp_path / "fences.jsonl"
    await Fences(path, "c").put("web", 1)
    with path.open("ab") as file:
        file.write(b'["db", ')

    await Fences(path, "c").put("mail", 4)

    again = Fences(path, "c")
    assert (again.of("web"), again.of("db"), again.of("mail")) == (1, 0, 4)


async def test_only_the_latest_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays small however long a node lives."""
    monkeypatch.setattr(fences, "REMEMBERED", 2)
    kept = Fences(tmp_path / "fences.jsonl", "c")
    for hostname in ("old", "new", "newer"):
        await kept.put(hostname, 1)
    await kept.put("old", 2)

    again = Fences(tmp_path / "fences.jsonl", "c")

    assert [again.of(name) for name in ("new", "newer", "old")] == [0, 1, 2]
    assert len((tmp_path / "fences.jsonl").read_text().splitlines()) == 2


async def test_the_file_stays_small_while_the_agent_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are deleted, at once or again and again; the latest are never among the forgotten."""
    monkeypatch.setattr(fences, "REMEMBERED", 4)
    path = tmp_path / "fences.jsonl"
    kept = Fences(path, "c")

    for turn in range(10):
        await asyncio.gather(*(kept.put(f"many-{turn}-{number}", 1) for number in range(3)), kept.put("web", turn + 1))
        assert len(path.read_text().splitlines()) <= 4 + 8  # some come while it is written anew

    again = Fences(path, "c")
    for fence in (kept, again):
        assert [fence.of(name) for name in ("many-0-0", "many-9-0", "web")] == [0, 1, 10]


async def test_a_node_that_moves_to_another_cluster_starts_without_fences(tmp_path: Path) -> None:
    """Generations of the same hostname elsewhere say nothing here; and they hold again where they were made."""
    path = tmp_path / "fences.jsonl"
    await Fences(path, "one").put("web", 7)

    assert Fences(path, "other").of("web") == 0
    assert Fences(path, "one").of("web") == 7


async def test_fences_that_name_no_cluster_are_read(tmp_path: Path) -> None:
    """As former versions wrote them."""
    path = tmp_path / "fences.jsonl"
    path.write_text('["web",3]\n')

    assert Fences(path, "c").of("web") == 3


async def test_a_fence_that_the_disk_did_not_take_is_kept_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds meanwhile; and half a line of it does not spoil the next one."""
    path = tmp_path / "fences.jsonl"
    kept = Fences(path, "c")
    await kept.put("db", 1)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        with pytest.raises(FenceNotKept):
            await kept.put("web", 2)
    assert (kept.of("web"), Fences(path, "c").of("web")) == (2, 0)

    await kept.put("web", 2)

    again = Fences(path, "c")
    assert (again.of("db"), again.of("web")) == (1, 2)


def no_space(*_: object) -> None:
    """What a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device")

"""The node's credential on its disk, and when it is changed."""

import asyncio
from pathlib import Path
from stat import S_IMODE

import httpx2
import pytest

from workers.agent import credential
from workers.agent.credential import Kept, Refused, keep_young


def test_credentials_are_for_the_agent_alone_whatever_was_there_before(tmp_path: Path) -> None:
    """A draft that an agent left when it died, readable by others, is not written into."""
    path = tmp_path / "state" / "agent.json"
    path.parent.mkdir()
    draft = path.with_suffix(".new")
    draft.touch(0o666)
    draft.chmod(0o666)

    Kept(path).keep({"token": "one", "next": "two"})

    assert S_IMODE(path.stat().st_mode) == 0o600
    assert Kept(path).tokens() == ["two", "one"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"token": null}', b"\xff"])
def test_what_cannot_be_read_is_no_credential(tmp_path: Path, content: bytes) -> None:
    """The agent goes on to its join token."""
    path = tmp_path / "agent.json"
    path.write_bytes(content)

    assert Kept(path).tokens() == []
    assert Kept(path).following() is None


def test_a_disk_that_takes_nothing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader ever sees half of it."""
    kept = Kept(tmp_path / "agent.json")
    kept.keep({"token": "one"})

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(credential.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        kept.keep({"token": "two"})

    assert kept.tokens() == ["one"]


@pytest.mark.parametrize("failure", [Refused("no"), httpx2.ReadTimeout("lost"), OSError("full")])
async def test_a_change_that_failed_is_tried_again_until_it_succeeds(failure: Exception) -> None:
    """And the next one comes when that credential is old."""
    stopping, failures, changes = asyncio.Event(), [failure, failure], []

    class Holder:
        async def renew(self) -> None:
            if failures:
                raise failures.pop()
            changes.append(len(failures))
            if len(changes) == 2:
                stopping.set()

    async with asyncio.timeout(30):
        await keep_young(Holder(), 1e-7, stopping)

    assert changes == [0, 0]


async def test_an_agent_that_stops_changes_nothing_any_more() -> None:
    """Not even one whose credential is old."""
    stopping = asyncio.Event()
    stopping.set()

    class Holder:
        async def renew(self) -> None:
            raise AssertionError("changed")

    async with asyncio.timeout(30):
        await keep_young(Holder(), 24, stopping)

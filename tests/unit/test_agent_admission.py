"""How an agent registers: one registration at a time, with the credential that counts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pathfinder.runtime.simulated import SimulatedRuntime
from pathfinder.settings import Settings
from workers.agent import admission
from workers.agent.admission import Admission, Membership, _admitted
from workers.agent.credential import Kept


async def test_two_that_want_to_register_do_it_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The later one goes by the credential that the earlier one got."""
    seen: list[tuple[str, str | None]] = []

    async def register(*given: Any) -> Admission:
        present: Admission | None = given[-1]
        seen.append(("begins", present and present.token))
        await asyncio.sleep(0)
        seen.append(("ends", present and present.token))
        return Admission("n", "node-01", "c", f"token-{len(seen) // 2}", 0, 5.0, 15.0)

    monkeypatch.setattr(admission, "_register", register)
    membership = Membership(Settings(state_dir=tmp_path), SimulatedRuntime())

    assert await asyncio.gather(membership.join(asyncio.Event()), membership.rejoin()) == [True, True]

    assert seen == [("begins", None), ("ends", None), ("begins", "token-1"), ("ends", "token-1")]
    assert membership.now.token == "token-2"


def test_a_credential_that_the_disk_does_not_take_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The node is admitted, and the agent goes by what it has in memory."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Kept, "keep", full)
    body: dict[str, object] = {"node_id": "n", "cluster_id": "c", "token": "t", "epoch": 0}

    admitted = _admitted(Kept(tmp_path / "agent.json"), "node-01", body | {"heartbeat_seconds": 5, "lease_seconds": 15})

    assert admitted.token == "t"

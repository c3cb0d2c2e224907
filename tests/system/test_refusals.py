"""Requests a node cannot carry out: they end, say why in LXD's words, and leave nothing behind."""

from pathlib import Path

import pytest
from harness import Harness

from pathfinder.client import ApiError
from pathfinder.domain.lifecycle import Status

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"image": "local:no-such-image", "max_attempts": 3}, "no-such-image"),
        ({"profiles": ["default", "no-such-profile"]}, "profile"),
        ({"config": {"limits.nonsense": "1"}}, "limits.nonsense"),
        ({"devices": {"eth1": {"type": "nic", "nictype": "bridged", "parent": "no-such-bridge"}}}, "no-such-bridge"),
    ],
    ids=["image", "profile", "config", "device"],
)
async def test_a_provision_that_fails_says_why_and_leaves_nothing(
    harness: Harness, tmp_path: Path, wishes: dict[str, object], reason: str
) -> None:
    """PROVISION_ERROR with the reason in `pfi describe`, no instance, no claim, and the name can be used again."""
    made = (await harness.create("refused", memory="64MiB", **wishes))["refused"]

    assert made.status == Status.PROVISION_ERROR
    assert reason in (made.message or "").lower()
    told = await harness.pfi(harness.pfi_environment(tmp_path), "describe", "container", "refused")
    assert (told.code, told.err) == (0, "")
    assert (made.message or "?") in told.out
    assert await harness.placements() == []
    assert await harness.mistakes_in_the_books() == []
    assert {one.allocated.containers async for one in harness.client.nodes.list()} == {0}
    await harness.client.containers.delete("refused")
    assert (await harness.create("refused"))["refused"].status == Status.PROVISIONED


@pytest.mark.parametrize(
    ("wishes", "status"),
    [
        ({"memory": "900TiB"}, 422),
        ({"memory": "-1"}, 422),
        ({"cpu": "0"}, 422),
        ({"config": {"user.pathfinder.cluster": "mine"}}, 422),
    ],
    ids=["absurd", "negative", "none", "reserved"],
)
async def test_a_wish_no_node_could_ever_grant_is_refused_at_once(
    harness: Harness, wishes: dict[str, object], status: int
) -> None:
    """Nothing is written for it."""
    events = len(await harness.events())

    with pytest.raises(ApiError) as refusal:
        await harness.client.containers.create("absurd", **wishes)  # type: ignore[arg-type]

    assert refusal.value.status == status
    assert await harness.containers() == []
    assert len(await harness.events()) == events

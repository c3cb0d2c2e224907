"""What a bare LXD is given."""

import shutil

import pytest

from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.lxd_setup import free_subnet, loop_gib, pool_drivers

GIB = 1 << 30


def test_a_bridge_gets_the_first_subnet_nobody_routes_to() -> None:
    """A wider network, a narrower one and a single address all count as taken."""
    taken = ["10.111.0.0/23", "10.111.2.128/25", "10.111.3.7", "fe80::/64"]
    candidates = [f"10.111.{third}.1/24" for third in range(5)]

    assert free_subnet(taken, candidates) == "10.111.4.1/24"


def test_no_subnet_is_taken_from_somebody_else() -> None:
    """With every candidate taken it is an error, not a collision."""
    with pytest.raises(EmbeddedError, match="taken"):
        free_subnet(["10.0.0.0/8"], ["10.111.0.1/24"])


@pytest.mark.parametrize(("free_gib", "size"), [(1, 5), (50, 10), (4000, 30)])
def test_a_pool_takes_a_fifth_of_the_space_within_limits(free_gib: int, size: int) -> None:
    """Not too little to hold an image, not absurdly much."""
    assert loop_gib(free_gib * GIB) == size


def test_the_best_pool_the_kernel_offers_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """zfs, btrfs, dir; each of the first two needs the kernel and the tools."""
    monkeypatch.setattr(shutil, "which", lambda tool: f"/sbin/{tool}")

    assert pool_drivers(["ext4", "btrfs", "zfs"]) == ["zfs", "btrfs", "dir"]
    assert pool_drivers(["ext4", "btrfs"]) == ["btrfs", "dir"]


def test_without_tools_plain_directories_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that could is not enough."""
    monkeypatch.setattr(shutil, "which", lambda tool: None)

    assert pool_drivers(["btrfs", "zfs"]) == ["dir"]

"""Whether LXD can run here."""

from dataclasses import replace

import pytest

from pathfinder.embedded.machine import MachineFacts, why_no_lxd

GOOD = MachineFacts(
    is_root=True,
    mapped_ids=4294967295,
    can_administer=True,
    has_lxd=True,
    has_cgroups=True,
    cgroups_writable=True,
    has_systemd=False,
)


def test_nothing_speaks_against_a_plain_machine() -> None:
    """Root, every capability, cgroups, and LXD installed."""
    assert why_no_lxd(GOOD) is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(GOOD, is_root=False), "needs root"),
        (replace(GOOD, mapped_ids=65536), "unprivileged container"),
        (replace(GOOD, can_administer=False), "CAP_SYS_ADMIN"),
        (replace(GOOD, has_cgroups=False), "no cgroups"),
        (replace(GOOD, cgroups_writable=False), "read-only"),
        (replace(GOOD, has_lxd=False), "not installed"),
    ],
)
def test_each_obstacle_has_its_own_reason_in_one_line(facts: MachineFacts, reason: str) -> None:
    """The reason is shown as it is, so it fits a line and names the one thing that is wrong."""
    text = why_no_lxd(facts)

    assert text is not None
    assert reason in text
    assert "\n" not in text


def test_an_obstacle_that_cannot_be_removed_is_named_before_one_that_can() -> None:
    """Whoever sits in an unprivileged container is not sent to install LXD there."""
    text = why_no_lxd(replace(GOOD, mapped_ids=65536, has_lxd=False))

    assert text is not None
    assert "unprivileged container" in text

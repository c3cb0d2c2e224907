"""The tiny image."""

import io
import tarfile

from pathfinder.embedded.image import build_tiny_image


def test_two_builds_are_equal_to_the_byte() -> None:
    """So that importing it again finds it is there already."""
    assert build_tiny_image() == build_tiny_image()


def test_it_holds_what_a_container_needs_to_start_and_get_an_address() -> None:
    """An init, a DHCP client and what that calls."""
    with tarfile.open(fileobj=io.BytesIO(build_tiny_image())) as tar:
        members = {member.name: member for member in tar.getmembers()}

    assert {"metadata.yaml", "rootfs/bin/busybox", "rootfs/bin/sh", "rootfs/bin/udhcpc"} <= set(members)
    assert members["rootfs/sbin/init"].mode & 0o111
    assert members["rootfs/etc/udhcpc.script"].mode & 0o111

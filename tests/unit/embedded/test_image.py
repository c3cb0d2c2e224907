"""The tiny image."""

import io
import tarfile
from pathlib import Path
from typing import Any

import httpx2

from pathfinder.embedded.home import Home
from pathfinder.embedded.image import IMAGES_KEY, build_tiny_image, import_image
from pathfinder.embedded.lxd_cleanup import remove_images
from pathfinder.embedded.lxd_client import Json, LxdClient, LxdRefused


class Store(LxdClient):
    """An LXD's images by fingerprint (their content), and nothing else."""

    def __init__(self, *images: str) -> None:
        self.images = set(images)

    def upload(self, path: str, content: bytes) -> Json:
        if content.hex() in self.images:
            raise LxdRefused("POST", path, httpx2.codes.CONFLICT, "Image with same fingerprint already exists")
        self.images.add(content.hex())
        return {"fingerprint": content.hex()}

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        if method == "DELETE":
            self.images.remove(path.rsplit("/", 1)[1])

    def exists(self, path: str) -> bool:
        return path.rsplit("/", 1)[1] in self.images


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


def test_only_images_that_were_brought_are_removed_again(tmp_path: Path) -> None:
    """One that was there before stays, whatever its alias is, and one that is gone already is no trouble."""
    store, home = Store(b"theirs".hex()), Home(tmp_path)
    for content in (b"theirs", b"ours", b"gone"):
        import_image(store, content, "pathfinder-tiny", home)
    store.images.remove(b"gone".hex())

    assert remove_images(store, home.recall(IMAGES_KEY)) == 1
    assert store.images == {b"theirs".hex()}

"""A Debian image with systemd, made from Debian's packages with debootstrap. About a minute."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from pathfinder.embedded.errors import EmbeddedError, NotInstalled
from pathfinder.embedded.home import Home
from pathfinder.embedded.image import import_image, metadata
from pathfinder.embedded.lxd_client import connect

DEBIAN = "pathfinder-debian"
RELEASE = "bookworm"
_PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "iproute2", "isc-dhcp-client", "ifupdown", "ca-certificates")
_FILES = {
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    # Empty: LXD names the container, systemd makes its id at first boot.
    "etc/hostname": "",
    "etc/machine-id": "",
    # Answer in a fraction of a second instead of waiting for up to a few for a better offer.
    "etc/dhcp/dhclient.conf": "send host-name = gethostname();\nselect-timeout 0;\ninitial-interval 1;\n",
}


def build_debian_image(
    socket: Path, alias: str = DEBIAN, say: Callable[[str], None] = lambda _: None, home: Home | None = None
) -> str:
    """Build the image with the machine's own Debian mirror and import it as `alias`; the alias. Needs root."""
    if not shutil.which("debootstrap"):
        raise NotInstalled("debootstrap")
    if os.geteuid() != 0:
        raise EmbeddedError("debootstrap needs root; run this as root, or build the tiny image.")
    with tempfile.TemporaryDirectory(prefix="pathfinder-image-") as scratch:
        directory = Path(scratch)
        say(f"debootstrap {RELEASE} (about a minute)")
        _bootstrap(directory)
        say("packing")
        tarball = _pack(directory)
        say("importing")
        with connect(socket) as lxd:
            import_image(lxd, tarball, alias, home)
    return alias


def _bootstrap(directory: Path) -> None:
    root = directory / "rootfs"
    _run("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", RELEASE, str(root))
    for path, text in _FILES.items():
        (root / path).write_text(text)
    for archive in (root / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    (directory / "metadata.yaml").write_text(metadata("Debian", f"Debian {RELEASE} with systemd"))


def _pack(directory: Path) -> Path:
    tarball = directory / "image.tar"
    # Uncompressed: it goes to a daemon on this machine, which unpacks it at once.
    _run("tar", "--numeric-owner", "--xattrs", "-C", str(directory), "-cf", str(tarball), "metadata.yaml", "rootfs")
    return tarball


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmbeddedError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")

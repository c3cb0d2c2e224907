"""The tiny image: busybox, a name for each of its tools, and an init of a dozen lines. About a second to build.

It boots, gets its address and stops faster than anything else, which makes it right for trying Pathfinder out where
no image server can be reached, and for tests.
"""

import hashlib
import io
import platform
import subprocess
import tarfile
from pathlib import Path

from pathfinder.embedded.errors import EmbeddedError, NotInstalled
from pathfinder.embedded.home import Home
from pathfinder.embedded.lxd_client import LxdClient, LxdRefused, connect

TINY = "pathfinder-tiny"
#: Fingerprints of the images that this home put into the machine's LXD.
IMAGES_KEY = "lxd.images"
_BUSYBOX = Path("/bin/busybox")
_CONFLICT = 409

#: Process 1. Not busybox's own init: that one sleeps two seconds before it ends, this one ends at once, and with it,
#: by the kernel, everything else in the container. Its `wait` also reaps whatever others leave behind.
_INIT = """\
#!/bin/sh
trap 'exit 0' PWR TERM
trap 'exit 1' INT
while :; do
    udhcpc -f -i eth0 -s /etc/udhcpc.script -t 20 -T 1 -A 1 -x "hostname:$(hostname)" </dev/null >/dev/null 2>&1
    sleep 1
done &
while :; do
    wait
    sleep 1
done
"""

#: What udhcpc calls with each answer of the DHCP server.
_LEASE = """\
#!/bin/sh
case "$1" in
deconfig)
    ip address flush dev "$interface"
    ip link set "$interface" up
    ;;
bound | renew)
    ip address replace "$ip/$mask" dev "$interface"
    [ -n "$router" ] && ip route replace default via "${router%% *}" dev "$interface"
    : >/etc/resolv.conf
    [ -n "$domain" ] && echo "search $domain" >>/etc/resolv.conf
    for server in $dns; do
        echo "nameserver $server" >>/etc/resolv.conf
    done
    ;;
esac
"""

_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "var")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/resolv.conf": "",
}
_SCRIPTS = {"sbin/init": _INIT, "etc/udhcpc.script": _LEASE}


def ensure_tiny_image(socket: Path, alias: str = TINY, home: Home | None = None) -> str:
    """Build the tiny image and import it into the daemon at `socket` as `alias`, unless it is there; the alias."""
    with connect(socket) as lxd:
        if not lxd.exists(f"images/aliases/{alias}"):
            import_image(lxd, build_tiny_image(), alias, home)
    return alias


def import_image(lxd: LxdClient, content: bytes | Path, alias: str, home: Home | None = None) -> str:
    """Import a unified tarball and let `alias` name it, whatever it named before. Returns the fingerprint.

    `home` remembers what was not there before, so that `pathfinder clean` can remove exactly that.
    """
    try:
        posted = lxd.upload("images", content) if isinstance(content, bytes) else lxd.upload_file("images", content)
        fingerprint = str(posted["fingerprint"])
        if home:
            home.remember(IMAGES_KEY, [*(home.recall(IMAGES_KEY) or ()), fingerprint])
    except LxdRefused as refusal:
        if refusal.status != _CONFLICT and "already exists" not in str(refusal):
            raise
        fingerprint = _fingerprint(content)
    if lxd.exists(f"images/aliases/{alias}"):
        lxd.call("PUT", f"images/aliases/{alias}", {"target": fingerprint, "description": ""})
    else:
        lxd.call("POST", "images/aliases", {"name": alias, "target": fingerprint})
    return fingerprint


def build_tiny_image() -> bytes:
    """The image as a unified tarball. Equal busyboxes make equal images, to the byte."""
    if not _BUSYBOX.exists():
        raise NotInstalled("busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "metadata.yaml", metadata("busybox", "Pathfinder's tiny image").encode())
        for directory in ("", *_DIRECTORIES):
            # /tmp is everybody's, as everywhere.
            _add(tar, f"rootfs/{directory}", b"", 0o1777 if directory == "tmp" else 0o755, tarfile.DIRTYPE)
        _add(tar, "rootfs/bin/busybox", _BUSYBOX.read_bytes(), 0o755)
        for tool in _tools():
            _add(tar, f"rootfs/bin/{tool}", b"", 0o777, tarfile.SYMTYPE, "busybox")
        for path, text in _FILES.items():
            _add(tar, f"rootfs/{path}", text.encode())
        for path, text in _SCRIPTS.items():
            _add(tar, f"rootfs/{path}", text.encode(), 0o755)
    return buffer.getvalue()


def metadata(system: str, description: str) -> str:
    """`metadata.yaml` of an image for this machine's architecture. The date is fixed so that builds are repeatable."""
    return (
        f"architecture: {platform.machine()}\n"
        "creation_date: 1\n"
        f"properties:\n  os: {system}\n  description: {description}\n"
    )


def _tools() -> list[str]:
    listed = subprocess.run([str(_BUSYBOX), "--list"], capture_output=True, text=True, check=True)
    tools = [tool for tool in listed.stdout.split() if tool not in {"busybox", "init", "linuxrc"}]
    if "udhcpc" not in tools:
        raise EmbeddedError(f"{_BUSYBOX} has no udhcpc; install the package busybox-static.")
    return sorted(tools)


def _add(
    tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, target: str = ""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.linkname, entry.size = mode, kind, target, len(data)
    tar.addfile(entry, io.BytesIO(data))


def _fingerprint(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""What this machine is, and whether LXD can run on it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

#: The kernel's number of the capability that mounting and making namespaces needs.
_CAP_SYS_ADMIN = 21
#: A user namespace that maps every id is the machine's own.
_ALL_IDS = 4294967295
#: Where packages and administrators put units, and the one of packaging/systemd/ that every role has.
_UNIT_DIRECTORIES = (
    "etc/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
UNIT = "pathfinder@.service"


@dataclass(frozen=True)
class MachineFacts:
    """What decides whether an LXD daemon can be started."""

    is_root: bool
    #: Ids this user namespace maps; fewer than all of them inside an unprivileged container.
    mapped_ids: int
    can_administer: bool
    has_lxd: bool
    has_cgroups: bool
    cgroups_writable: bool
    has_systemd: bool


def read_facts() -> MachineFacts:
    """Look at the machine."""
    cgroups = Path("/sys/fs/cgroup")
    return MachineFacts(
        is_root=os.geteuid() == 0,
        mapped_ids=sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines()),
        can_administer=bool(_effective_capabilities() >> _CAP_SYS_ADMIN & 1),
        has_lxd=shutil.which("lxd") is not None,
        has_cgroups=cgroups.is_dir() and any(cgroups.iterdir()),
        cgroups_writable=os.access(cgroups, os.W_OK),
        has_systemd=has_systemd(),
    )


def has_systemd() -> bool:
    """Whether systemd runs this machine."""
    return Path("/run/systemd/system").is_dir()


def has_units(root: Path = Path("/")) -> bool:
    """Whether Pathfinder's systemd units are installed on the machine whose files are below `root`."""
    return any((root / directory / UNIT).exists() for directory in _UNIT_DIRECTORIES)


def why_no_lxd(facts: MachineFacts) -> str | None:
    """Why an LXD daemon cannot be started here, in one line; None if nothing speaks against it. Pure."""
    if not facts.is_root:
        return "LXD needs root, and no LXD that this user may use is running"
    if facts.mapped_ids < _ALL_IDS:
        return "this is an unprivileged container (its user namespace maps only some ids), where LXD cannot run"
    if not facts.can_administer:
        return "this container lacks the capability CAP_SYS_ADMIN, without which LXD cannot mount anything"
    if not facts.has_cgroups:
        return "no cgroups are mounted at /sys/fs/cgroup, and LXD needs them"
    if not facts.cgroups_writable:
        return "/sys/fs/cgroup is read-only, so LXD could not limit containers"
    if not facts.has_lxd:
        return "LXD is not installed (`make install` does that)"
    return None


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0

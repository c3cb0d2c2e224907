"""An order as LXD's request body: limits, disk, and the marks Pathfinder finds its own instances by."""

from collections.abc import Iterable, Mapping

import orjson

from pathfinder.domain.instances import InstanceOrder
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.resources import Resources

Devices = dict[str, dict[str, str]]

MARK_CONTAINER = "user.pathfinder.container"
MARK_GENERATION = "user.pathfinder.generation"
MARK_CLUSTER = "user.pathfinder.cluster"
MARK_TYPE = "user.pathfinder.type"
MARK_DIGEST = "user.pathfinder.digest"
#: Bodies of `domain/checks.py`, as JSON.
MARK_CHECKS, MARK_RESTART = "user.pathfinder.checks", "user.pathfinder.restart"
#: Which call made the instance: what fails undoes what it made itself, and nothing else that bears the same marks.
MARK_CALL = "user.pathfinder.call"

#: Storage drivers that hold an instance to a disk size.
SIZING_DRIVERS = frozenset({"zfs", "btrfs", "lvm", "ceph"})

_MIB = 1 << 20


def instance_config(order: InstanceOrder) -> dict[str, str]:
    """Config keys of the instance. Limits and marks win over `order.config`: Pathfinder accounts by them.

    A stateless one is not started by LXD when the machine boots: it may run elsewhere by then. The agent starts it,
    once it knows that its placement still counts.
    """
    boot = {"boot.autostart": "false"} if order.type == ContainerType.STATELESS else {}
    user_data = {} if order.user_data is None else {"cloud-init.user-data": order.user_data}
    care = ((MARK_CHECKS, order.checks), (MARK_RESTART, order.restart))
    return {
        **order.config,
        **user_data,
        **{f"environment.{name}": value for name, value in order.environment.items()},
        **{mark: orjson.dumps(body).decode() for mark, body in care if body},
        **({MARK_DIGEST: order.digest} if order.digest else {}),
        **boot,
        **limits(order.resources),
        MARK_CONTAINER: order.container_id,
        MARK_GENERATION: str(order.generation),
        MARK_CLUSTER: order.cluster_id,
        MARK_TYPE: order.type,
    }


def kept_config(config: Mapping[str, str]) -> dict[str, str]:
    """What an update leaves alone of an instance's config: what LXD keeps there itself, and who made it."""
    return {key: value for key, value in config.items() if key.startswith(("volatile.", "image.")) or key == MARK_CALL}


def limits(resources: Resources) -> dict[str, str]:
    """`limits.*` keys for an amount of cpu and memory; what is 0 has no limit.

    LXD counts `limits.cpu` in whole cores. A part of a core is a hard share of time: 1500 millicores are 150 ms of
    CPU time in every 100 ms, on 2 cores.
    """
    config: dict[str, str] = {}
    millicores = resources.cpu_millicores
    if millicores:
        config["limits.cpu"] = str(-(-millicores // 1000))
    if millicores % 1000:
        config["limits.cpu.allowance"] = f"{-(-millicores // 10)}ms/100ms"
    if resources.memory_bytes:
        config["limits.memory"] = format_size(resources.memory_bytes)
    return config


def format_size(size: int) -> str:
    """Bytes as LXD reads them, exactly: `512MiB`, `1000001B`."""
    return f"{size}B" if size % _MIB else f"{size // _MIB}MiB"


def root_disk(devices: Mapping[str, dict[str, str]]) -> str | None:
    """The name of the device that is the instance's root disk, if it is among these."""
    for name, device in devices.items():
        if device.get("type") == "disk" and device.get("path") == "/":
            return name
    return None


def expand(profiles: Iterable[Mapping[str, dict[str, str]]], own: Mapping[str, dict[str, str]]) -> Devices:
    """The devices an instance ends up with: later profiles win over earlier ones, its own over all."""
    devices: Devices = {}
    for profile in profiles:
        devices.update(profile)
    devices.update(own)
    return devices


def with_disk_size(own: Devices, expanded: Devices, size: int) -> Devices:
    """The instance's own devices with its root disk held to `size` bytes.

    LXD replaces a device of a profile as a whole, so the profile's root disk is repeated with the size added.
    """
    name = root_disk(expanded)
    if name is None:
        return own  # LXD refuses an instance without a root disk, and says so better than we could
    return {**own, name: {**expanded[name], "size": format_size(size)}}

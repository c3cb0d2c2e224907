"""What a node is and how busy it is, as LXD and the kernel tell it."""

import hashlib
import os
from pathlib import Path

from pathfinder.domain.instances import ContainerUsage, NodeFacts, NodeUsage
from pathfinder.domain.resources import Resources
from pathfinder.runtime.lxd_address import outward
from pathfinder.runtime.lxd_api import Json, LxdApi
from pathfinder.runtime.lxd_errors import Absent
from pathfinder.runtime.lxd_order import SIZING_DRIVERS, root_disk
from pathfinder.runtime.port import RuntimeUnreachable

#: Those of LXD's API extensions that a container may need on its node, and that not every LXD has.
CAPABILITIES = frozenset(
    {
        "container_syscall_intercept",
        "container_syscall_intercept_mount",
        "container_syscall_intercept_bpf_devices",
        "container_nic_ipvlan",
        "container_nic_routed",
        "cgroup2",
        "gpu_mig",
        "gpu_cdi",
        "limits_hugepages",
        "nvidia_runtime",
        "id_map",
        "idmapped_mounts_v2",
        "migration_stateful",
        "network_ovn",
    }
)

_MACHINE_ID = Path("/etc/machine-id")
_MEMINFO = Path("/proc/meminfo")


async def read_facts(api: LxdApi) -> NodeFacts:
    """The node's facts. `/1.0/resources` is read raw: pylxd's `client.resources` never changes once read.

    Raises RuntimeUnreachable while LXD runs without its storage pool: it would take containers and fail each.
    """
    server = await api.get()
    hardware = await api.get("resources")
    environment = server["environment"]
    pool = await default_pool(api)
    driver = await _pool_driver(api, pool) if pool else "none"
    disk = await _pool_space(api, pool)
    return NodeFacts(
        capacity=Resources(
            cpu_millicores=int(hardware["cpu"]["total"]) * 1000,
            memory_bytes=int(hardware["memory"]["total"]),
            disk_bytes=int(disk.get("total", 0)),
        ),
        architecture=str(environment["kernel_architecture"]),
        runtime="lxd",
        runtime_version=str(environment["server_version"]),
        machine_id=machine_id(environment, _MACHINE_ID),
        pool_driver=driver,
        disk_limits=driver in SIZING_DRIVERS,
        capabilities=tuple(sorted(CAPABILITIES.intersection(server.get("api_extensions", ())))),
    )


async def read_usage(api: LxdApi) -> NodeUsage:
    """How busy the node is. Memory comes from the kernel: LXD's `resources` walks all hardware, 10 ms of CPU and more.

    The question to LXD proves with every heartbeat that it answers.
    """
    disk = await _pool_space(api, await default_pool(api))
    load_1m, load_5m, load_15m = os.getloadavg()
    return NodeUsage(load_1m, load_5m, load_15m, memory_in_use(_read(_MEMINFO)), int(disk.get("used", 0)))


def used(state: Json) -> ContainerUsage:
    """What a running instance uses, as LXD's state of it says. Traffic is that of its ways out."""
    disk = ((state.get("disk") or {}).get("root") or {}).get("usage") or 0
    traffic = [each.get("counters") or {} for each in outward(state)]
    return ContainerUsage(
        cpu_seconds=max(int((state.get("cpu") or {}).get("usage", 0)), 0) / 1e9,
        memory_bytes=max(int((state.get("memory") or {}).get("usage", 0)), 0),
        received_bytes=sum(int(each.get("bytes_received", 0)) for each in traffic),
        sent_bytes=sum(int(each.get("bytes_sent", 0)) for each in traffic),
        disk_bytes=int(disk) if int(disk) > 0 else None,  # nothing at all is what a pool says that does not count
    )


async def default_pool(api: LxdApi) -> str | None:
    """The storage pool new instances get by default, or None where the default profile has no root disk."""
    try:
        devices = (await api.get("profiles", "default"))["devices"]
    except Absent:
        return None
    root = root_disk(devices)
    return str(devices[root]["pool"]) if root else None


async def _pool_driver(api: LxdApi, pool: str) -> str:
    found = await api.get("storage-pools", pool)
    if found.get("status") == "Unavailable":
        raise RuntimeUnreachable(
            f"LXD could not mount its storage pool {pool!r}; it tries again every minute, and its log says why."
        )
    return str(found["driver"])


def machine_id(environment: Json, machine_id_file: Path) -> str:
    """An id that differs between machines, between their clones, and between LXD daemons on one machine.

    Each part alone can be shared: /etc/machine-id by daemons on one machine, the certificate by an LXD cluster's
    members and by a clone whose machine-id was renewed.
    """
    machine = _read(machine_id_file).strip() if machine_id_file.exists() else ""
    parts = (machine, environment.get("certificate_fingerprint", ""), environment.get("server_name", ""))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def memory_in_use(meminfo: str) -> int:
    """Bytes of memory that are not available to new work, from the text of /proc/meminfo (which counts in kB)."""
    fields = dict(line.split(":", 1) for line in meminfo.splitlines())
    return (int(fields["MemTotal"].split()[0]) - int(fields["MemAvailable"].split()[0])) << 10


def _read(path: Path) -> str:
    return path.read_text()  # of files the kernel or a tmpfs holds: reading them does not block


async def _pool_space(api: LxdApi, pool: str | None) -> Json:
    space: Json = (await api.get("storage-pools", pool, "resources"))["space"] if pool else {}
    return space

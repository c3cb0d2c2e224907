"""The ten shapes of container that the scale benchmarks ask for, and the machines they go to."""

from typing import Any

from pathfinder.domain.resources import Resources

#: Cores, GiB of memory, GiB of disk, and how many of a hundred containers have this shape: many small ones, few large.
SHAPES = (
    (0.05, 0.125, 1, 25),
    (0.1, 0.25, 2, 20),
    (0.1, 0.5, 2, 15),
    (0.25, 0.25, 4, 10),
    (0.25, 1.0, 4, 10),
    (0.5, 0.5, 8, 6),
    (0.5, 2.0, 8, 5),
    (1.0, 1.0, 10, 4),
    (1.0, 4.0, 10, 3),
    (2.0, 4.0, 20, 2),
)

#: 64 cores, 256 GiB, 4 TiB: two hundred containers fill a little more than half of it.
NODE = Resources(64_000, 256 << 30, 4 << 40)

ZONES, RACKS = 10, 100


def node_labels(number: int) -> dict[str, str]:
    """Where a machine stands."""
    return {"zone": f"zone-{number % ZONES}", "rack": f"rack-{number % RACKS}"}


def container(number: int, run: str = "c") -> dict[str, Any]:
    """The request for container `number`: shapes come in turn, in their shares of every hundred."""
    cpu, memory, disk, _ = _ORDER[number % len(_ORDER)]
    return {
        "hostname": f"{run}-{number:07d}",
        "cpu": cpu,
        "memory": int(memory * (1 << 30)),
        "disk": disk << 30,
        "labels": {"app": f"app-{number % len(_ORDER) % 10}"},
    }


def _mixed() -> list[tuple[float, float, int, int]]:
    """A hundred shapes, mixed evenly rather than sorted."""
    each = [shape for shape in SHAPES for _ in range(shape[3])]
    return [each[number * 37 % 100] for number in range(100)]


_ORDER = _mixed()

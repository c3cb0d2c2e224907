"""What simulated instances use, as counters that grow with time."""

from dataclasses import dataclass

from pathfinder.domain.instances import ContainerUsage


@dataclass(frozen=True, slots=True)
class Draw:
    """What an instance uses all the time."""

    cores: float
    memory_bytes: int
    bytes_per_second: float


#: Each has a small image, and writes nothing.
DISK_BYTES = 1 << 26

IDLE = Draw(0.001, 16 << 20, 0.0)


class Meters:
    """One for each instance that is not idle; the idle ones cost nothing."""

    def __init__(self) -> None:
        self._draws: dict[str, tuple[float, Draw, float, float]] = {}

    def turn(self, hostname: str, now: float, draw: Draw) -> None:
        """From now on (in seconds that only grow) it uses so much."""
        self._draws[hostname] = (now, draw, *self._counted(hostname, now))

    def read(self, hostname: str, now: float) -> ContainerUsage:
        """Its counters now. Half of its traffic is received."""
        cpu, traffic = self._counted(hostname, now)
        memory = self._draws[hostname][1].memory_bytes if hostname in self._draws else 0
        return ContainerUsage(cpu, memory or IDLE.memory_bytes, int(traffic / 2), int(traffic / 2), DISK_BYTES)

    def _counted(self, hostname: str, now: float) -> tuple[float, float]:
        since, draw, cpu, traffic = self._draws.get(hostname, (0.0, IDLE, 0.0, 0.0))
        return cpu + draw.cores * (now - since), traffic + draw.bytes_per_second * (now - since)

"""Amounts of CPU, memory and disk: how people write them, and the integers they are kept as.

CPU is kept in millicores (1 core = 1000), memory and disk in bytes.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

#: Above these, a size is a typing mistake rather than a wish.
MAX_CPU_MILLICORES = 10_000 * 1000
MAX_BYTES = 1 << 60
MIN_MEMORY_BYTES = 4 << 20
MIN_DISK_BYTES = 1 << 20

_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_BYTES = re.compile(r"(?P<number>\d{1,20}(?:\.\d{1,9})?)\s?(?P<unit>[A-Za-z]{0,3})")
_CPU = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,3})?)(?P<milli>m?)")


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of each resource: cpu in millicores, memory and disk in bytes."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0

    def within(self, size: "Resources") -> bool:
        """Whether something of that size, when empty, could hold this."""
        return (
            self.cpu_millicores <= size.cpu_millicores
            and self.memory_bytes <= size.memory_bytes
            and self.disk_bytes <= size.disk_bytes
        )


def parse_cpu(text: str | float) -> int:
    """Millicores from `"2"`, `"0.5"`, `"500m"`, `2` or `0.5`; ValueError with what to write instead."""
    written = str(text).strip()
    match = _CPU.fullmatch(written)
    if match is None or (match["milli"] and "." in match["number"]):
        raise ValueError(f"{written!r} is not an amount of CPU; write cores like 2 or 0.5, or millicores like 500m")
    millicores = int(Decimal(match["number"]) * (1 if match["milli"] else 1000))
    if not 0 < millicores <= MAX_CPU_MILLICORES:
        raise ValueError(f"{written!r} CPU is out of range; write more than 0 and at most 10000 cores")
    return millicores


def parse_bytes(text: str | int, *, least: int = 1) -> int:
    """Bytes from `"512MiB"`, `"10GB"` or a plain count of bytes; ValueError with what to write instead."""
    written = str(text).strip()
    match = _BYTES.fullmatch(written)
    if match is None or match["unit"] not in _UNITS:
        raise ValueError(f"{written!r} is not a size; write a number with MiB, GiB, TiB, MB, GB or TB, like 512MiB")
    size = int(Decimal(match["number"]) * _UNITS[match["unit"]])
    if not least <= size <= MAX_BYTES:
        raise ValueError(f"{written!r} is out of range; write at least {format_bytes(least)} and at most 1048576TiB")
    return size


def format_cpu(millicores: int) -> str:
    """Millicores as people write them: `2`, `0.5`."""
    return f"{millicores / 1000:g}"


def format_bytes(size: int) -> str:
    """Bytes in the largest binary unit that keeps at most one decimal: `512MiB`, `1.5GiB`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f}".removesuffix(".0") + unit
    return f"{size}B"

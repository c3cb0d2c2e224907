"""Synthetic workloads, seeded: sizes of containers in the likeness of two public traces, and one size of machine.

Google-like: C. Reiss, A. Tumanov, G. Ganger, R. Katz, M. Kozuch, "Heterogeneity and Dynamicity of Clouds at Scale:
Google Trace Analysis", SoCC 2012, section 4: requests are round fractions of the largest machine, most of them small,
memory and CPU are little correlated, and a few are very large. Here: log-normal, rounded to 1/160 of a machine.

Azure-like: E. Cortez et al., "Resource Central: Understanding and Predicting Workloads for Improved Resource Management
in Large Cloud Platforms", SOSP 2017, section 3: virtual machines of few kinds; about 80 % have one or two cores, and
about 70 % less than 4 GiB of memory. Here: those kinds, by weight.

Only the shapes of the distributions are taken from there; the numbers are this file's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.resources import Resources

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Mix:
    """Containers in the order in which they are asked for; `sizes`: cpu in millicores and memory in bytes, (n, 2)."""

    name: str
    machine: Resources
    sizes: NDArray[np.int64]

    @property
    def capacity(self) -> NDArray[np.int64]:
        """What a machine has: shape (2,)."""
        return np.array([self.machine.cpu_millicores, self.machine.memory_bytes], dtype=np.int64)

    def asked(self) -> list[Resources]:
        """The sizes, one by one."""
        return [Resources(int(cpu), int(memory), 0) for cpu, memory in self.sizes]


def google_like(count: int, seed: int) -> Mix:
    """Many different sizes, small ones by far the most."""
    random = np.random.default_rng(seed)
    machine = Resources(64_000, 256 * GIB, 1)
    grain = np.array([machine.cpu_millicores, machine.memory_bytes]) // 160
    logs = random.multivariate_normal([-3.9, -4.0], [[1.0, 0.35], [0.35, 1.1]], count)
    shares = np.clip(np.exp(logs), 1 / 160, 0.5)
    return Mix("Google-like", machine, (np.ceil(shares * 160).astype(np.int64)) * grain)


#: Cores, GiB, weight.
_KINDS = (
    (1, 0.75, 14),
    (1, 1.75, 32),
    (1, 2, 6),
    (2, 3.5, 24),
    (2, 4, 7),
    (2, 7, 3),
    (4, 7, 5),
    (4, 14, 3),
    (4, 28, 1),
    (8, 14, 2),
    (8, 28, 1),
    (8, 56, 0.6),
    (16, 56, 0.3),
    (16, 112, 0.4),
)


def azure_like(count: int, seed: int) -> Mix:
    """Few kinds, most with one or two cores."""
    random = np.random.default_rng(seed)
    weights = np.array([weight for *_, weight in _KINDS])
    kinds = np.array([(cores * 1000, int(memory * GIB)) for cores, memory, _ in _KINDS], dtype=np.int64)
    chosen = random.choice(len(_KINDS), count, p=weights / weights.sum())
    return Mix("Azure-like", Resources(64_000, 144 * GIB, 1), kinds[chosen])

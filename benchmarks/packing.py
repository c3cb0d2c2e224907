"""How few machines are enough: by policies, by what others do, and by knowing everything in advance."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixes import Mix
from benchmarks.pool import Pool
from pathfinder.scheduling import policy
from pathfinder.scheduling.request import Ask

#: Containers that are asked for at the same moment, of those that come one after the other.
FEW = 100

Shares = NDArray[np.float64]
#: Whether everything fits on so many machines.
Fits = Callable[[Mix, int, int], bool]


def needed(mix: Mix, fits: Fits, seed: int) -> int:
    """The fewest machines on which everything fits, as far as halving finds it (Borg calls it cell compaction)."""
    low = bound(mix)
    high = low + max(1, low // 50)
    while not fits(mix, high, seed):
        low, high = high + 1, high + max(1, high // 8)
    while low < high:
        middle = (low + high) // 2
        if fits(mix, middle, seed):
            high = middle
        else:
            low = middle + 1
    return high


def bound(mix: Mix) -> int:
    """No fewer machines can be enough: each resource's sum by what one machine has."""
    return int(np.ceil(mix.sizes.sum(axis=0) / mix.capacity).max())


def by_policy(name: str, batch: int = 0) -> Fits:
    """As the scheduler places them: so many at once in the order in which they come, or all."""
    return lambda mix, machines, seed: _placed(mix, name, batch, machines, seed) is not None


def in_use(mix: Mix, name: str, machines: int, seed: int) -> int:
    """On how many of more machines than are needed something is, when few come at a time."""
    pool = _placed(mix, name, FEW, machines, seed)
    assert pool is not None, "there is more room than that"
    return int(np.count_nonzero(pool.fleet.containers))


def _placed(mix: Mix, name: str, batch: int, machines: int, seed: int) -> Pool | None:
    """The machines with everything on them; None where not everything fits."""
    pool, asks = Pool(machines, mix.machine), [Ask(one) for one in mix.asked()]
    chosen, step = policy.named(name), batch or len(asks)
    starts = range(0, len(asks), step)
    return pool if all(pool.place(asks[at : at + step], chosen, seed + at) for at in starts) else None


#: Who is large, of shares of a machine: by the greater one, by their sum, or by their product.
LARGE: dict[str, Callable[[Shares], Shares]] = {
    "greater": lambda shares: shares.max(axis=1),
    "sum": lambda shares: shares.sum(axis=1),
    "product": lambda shares: shares.prod(axis=1),
}
#: Which machine is best, by what would be left: the fullest; or the one with equal shares left, of those the fullest.
BEST: dict[str, Callable[[Shares], Shares]] = {
    "fullest": lambda left: left.sum(axis=1),
    "even": lambda left: np.abs(left[:, 0] - left[:, 1]) + 0.1 * left.sum(axis=1),
}


def best_fit_decreasing(large: str, best: str) -> Fits:
    """All known in advance: the largest first, each where it is best."""

    def fits(mix: Mix, machines: int, _: int) -> bool:
        order = np.argsort(-LARGE[large](mix.sizes / mix.capacity), kind="stable")
        return _one_by_one(mix, machines, order, lambda left, _: BEST[best](left))

    return fits


def least_count(mix: Mix, machines: int, _: int) -> bool:
    """The machine with the fewest containers, of those with room: as LXD and Incus choose, but for the room."""
    return _one_by_one(mix, machines, np.arange(len(mix.sizes)), lambda _, count: count)


def at_random(mix: Mix, machines: int, seed: int) -> bool:
    """Any machine with room."""
    random = np.random.default_rng(seed)
    return _one_by_one(mix, machines, np.arange(len(mix.sizes)), lambda left, _: random.random(len(left)))


def _one_by_one(
    mix: Mix,
    machines: int,
    order: NDArray[np.intp],
    cost: Callable[[Shares, Shares], Shares],
) -> bool:
    free = np.tile(mix.capacity, (machines, 1))
    count = np.zeros(machines)
    for size in mix.sizes[order]:
        room = (free >= size).all(axis=1)
        if not room.any():
            return False
        chosen = int(np.where(room, cost((free - size) / mix.capacity, count), np.inf).argmin())
        free[chosen] -= size
        count[chosen] += 1
    return True

"""How often something may be tried: token buckets, in the memory of each api process and for it alone."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from uuid import UUID

from pathfinder.domain.errors import RateLimited

#: So many buckets are kept; a full one is as good as none, and the one that was used least lately goes first.
MOST = 20_000

#: An IPv6 host has a network of this many bits to choose its addresses from.
IPV6_BITS = 64


@dataclass(slots=True)
class Buckets:
    """Buckets of `burst` tries, each filled again at `rate` tries a second; `clock` is in seconds."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _left: "OrderedDict[Hashable, tuple[float, float]]" = field(default_factory=OrderedDict)

    def wait(self, key: Hashable) -> float:
        """For how many seconds `key` has no try left; 0 if it has one."""
        return max(0.0, (1 - self._now(key)) / self.rate)

    def take(self, key: Hashable, tries: float = 1) -> None:
        """Use up tries, or give some back."""
        self._left[key] = (min(self.burst, self._now(key) - tries), self.clock())
        self._left.move_to_end(key)
        if len(self._left) > MOST:
            self._left.popitem(last=False)

    def _now(self, key: Hashable) -> float:
        left, at = self._left.get(key, (self.burst, 0.0))
        return min(self.burst, left + (self.clock() - at) * self.rate)


class Logins:
    """How often a password may be tried.

    By source, and by name and source: nobody can lock out a user who is elsewhere. Whoever has logged in before has
    tries of the device's own, so not even a neighbour behind the same address can.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = Buckets(rate=1 / 3, burst=20, clock=clock)
        self._names = Buckets(rate=1 / 12, burst=5, clock=clock)
        self._devices = Buckets(rate=1 / 12, burst=5, clock=clock)

    def admit(self, source: str, name: str, device: str | None) -> None:
        """Use up a try; `device` is one that is known. Raises RateLimited."""
        used = self._used(source, name, device)
        if (seconds := max(buckets.wait(key) for buckets, key in used)) > 0:
            raise RateLimited("Too many logins were tried from here; wait a little.", math.ceil(seconds))
        for buckets, key in used:
            buckets.take(key)

    def succeeded(self, source: str, name: str, device: str | None) -> None:
        """Give the try back: only failures count."""
        for buckets, key in self._used(source, name, device):
            buckets.take(key, -1)

    def _used(self, source: str, name: str, device: str | None) -> list[tuple[Buckets, Hashable]]:
        if device is not None:
            return [(self._devices, device)]
        return [(self._sources, network(source)), (self._names, (network(source), name))]


class Rates:
    """How often one token or session may ask: at `rate` a second, and for one second twice as often."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(rate, burst=2 * rate, clock=clock) if rate else None

    def admit(self, id_: UUID) -> None:
        """Count a request. Raises RateLimited."""
        if self._buckets is None:
            return
        if (seconds := self._buckets.wait(id_)) > 0:
            raise RateLimited("This token asks too often; ask less often, or for more at once.", math.ceil(seconds))
        self._buckets.take(id_)


def network(source: str) -> str:
    """What one caller cannot easily change of its address."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if isinstance(address, IPv6Address):
        return str(IPv6Address(int(address) >> IPV6_BITS << IPV6_BITS))
    return source

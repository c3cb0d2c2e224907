"""What replicas use, out of what their nodes' heartbeats tell: counters become rates from one look to the next.

Kept in memory only, by whoever leads and so hears the heartbeats, and only of the containers that somebody watches:
neither PostgreSQL nor the heartbeats of a large fleet pay for it. A new leader knows everything after two looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

#: What was heard longer ago says nothing of now. Agents look every 15 s, or 30 at most.
STALE_SECONDS = 60.0

#: A rate over less is more noise than rate.
LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Use:
    """What a container uses now: cores, bytes of memory, and bytes received and sent in a second."""

    cores: float
    memory_bytes: int
    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    cpu_seconds: float
    memory_bytes: int
    traffic_bytes: int


class Usages:
    """The newest use of each watched container. `watched` are their ids, with the id of the node each is on."""

    def __init__(self) -> None:
        self.watched: Mapping[str, str] = {}
        self._samples: dict[str, tuple[str, _Sample]] = {}
        self._uses: dict[str, tuple[str, float, Use]] = {}

    def watch(self, watched: Mapping[str, str]) -> None:
        """Keep what is heard of these from now on, and forget all others."""
        self.watched = watched
        self._samples = {id_: one for id_, one in self._samples.items() if watched.get(id_) == one[0]}
        self._uses = {id_: one for id_, one in self._uses.items() if watched.get(id_) == one[0]}

    def hear(self, node_id: str, told: object, now: float) -> None:
        """A node's look, heard at `now` in seconds. Never raises: what is no look is passed over."""
        if not isinstance(told, dict) or not isinstance(told.get("usages"), dict):
            return
        at = told.get("at")
        if not isinstance(at, int | float):
            return
        for id_, counters in told["usages"].items():
            if self.watched.get(id_) == node_id and (sample := _sample(at, counters)):
                self._keep(id_, node_id, sample, now)

    def use(self, id_: str, now: float) -> Use | None:
        """What that container uses; None if that is not known."""
        found = self._uses.get(id_)
        if found is None or found[0] != self.watched.get(id_) or now - found[1] > STALE_SECONDS:
            return None
        return found[2]

    def _keep(self, id_: str, node_id: str, sample: _Sample, now: float) -> None:
        node_before, before = self._samples.get(id_, (None, None))
        if before is not None and node_before == node_id and 0 <= sample.at - before.at < LEAST_SECONDS:
            return
        self._samples[id_] = node_id, sample
        if before is None or node_before != node_id or (use := _rates(before, sample)) is None:
            self._uses.pop(id_, None)
        else:
            self._uses[id_] = node_id, now, use


def _sample(at: float, counters: object) -> _Sample | None:
    if not isinstance(counters, list) or len(counters) < 4:
        return None
    cpu, memory, received, sent = counters[:4]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and one >= 0 for one in counters[:4]):
        return None
    return _Sample(at, cpu, int(memory), int(received + sent))


def _rates(before: _Sample, now: _Sample) -> Use | None:
    """None where the counters began anew, by a restart of the container or of its node, or are too far apart."""
    seconds = now.at - before.at
    cpu, traffic = now.cpu_seconds - before.cpu_seconds, now.traffic_bytes - before.traffic_bytes
    if not LEAST_SECONDS <= seconds <= 10 * STALE_SECONDS or cpu < 0 or traffic < 0:
        return None
    return Use(cpu / seconds, now.memory_bytes, traffic / seconds)

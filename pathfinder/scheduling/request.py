"""What the scheduler is asked to place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from pathfinder.domain import rules
from pathfinder.domain.asking import Affinity, Spread, Toleration
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector


@dataclass(frozen=True, slots=True)
class Ask:
    """All that a placement depends on. Requests with equal asks can go to the same nodes with the same scores.

    `constraints` are on the attributes of nodes. `labels` are the container's own: company is chosen by them.
    """

    resources: Resources = field(default_factory=Resources)
    stateful: bool = False
    constraints: Selector = field(default_factory=Selector)
    tolerations: tuple[Toleration, ...] = ()
    affinities: tuple[Affinity, ...] = ()
    spreads: tuple[Spread, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    priority: int = 0
    image: str = ""
    pool: str = rules.DEFAULT_POOL
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asks are looked up for every container, and many containers share one.
        values = tuple(getattr(self, one.name) for one in fields(self) if one.compare)
        object.__setattr__(self, "_hash", hash(values))

    def __hash__(self) -> int:
        return self._hash

    @property
    def own_labels(self) -> Mapping[str, str]:
        """`labels` as a mapping."""
        return dict(self.labels)


@dataclass(frozen=True, slots=True)
class Gang:
    """Containers that are placed all together or not at all: `size` of them, whether they are in this batch or not."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Request:
    """One container waiting for a placement.

    `avoid` are the hostnames of nodes where it failed, the latest last: other nodes are preferred to them, and the
    earlier ones to the later. It `waited` if there was no place for it before.
    """

    id: str
    ask: Ask = field(default_factory=Ask)
    avoid: tuple[str, ...] = ()
    gang: Gang | None = None
    waited: bool = False

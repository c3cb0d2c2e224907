"""What operators set on nodes and clusters: the bodies, and what comes of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from pathfinder.domain.asking import Effect, Taint
from pathfinder.domain.fields import Body, Cpu, Disk, LabelKey, LabelValue, Memory
from pathfinder.domain.rules import PoolName, TaintText

#: What Pathfinder itself says of a node: no label begins so.
RESERVED = ("node.", "lxd.")

Ratio = Annotated[float | None, Field(gt=0, le=100, allow_inf_nan=False)]
Count = Annotated[int | None, Field(ge=0, le=1_000_000_000)]


def _free(key: str) -> str:
    if key.startswith(RESERVED):
        raise ValueError(
            f"{key!r} begins with {key.partition('.')[0]}., which is what Pathfinder itself tells of a node"
        )
    return key


def _untaint(text: str) -> str:
    key, _, effect = text.partition(":")
    Taint.parse(f"{key}:{effect or Effect.NO_SCHEDULE}")
    if "=" in key:
        raise ValueError(f"{text[:80]!r} names a value; a taint is removed by KEY, or by KEY:EFFECT")
    return text


class Overcommit(Body):
    """How often each resource of a node may be promised: 2.0 is twice what it has, 0.9 leaves a tenth free."""

    cpu: Ratio = None
    memory: Ratio = None
    disk: Ratio = None


class Quota(Body):
    """The most that the living containers of a cluster may ask for together."""

    cpu: Cpu = None
    memory: Memory = None
    disk: Disk = None
    containers: Count = None

    def amounts(self) -> dict[str, int | None]:
        """The parts that were given, by the names they are kept under; None removes one."""
        return {_AMOUNTS.get(name, name): getattr(self, name) for name in self.model_fields_set}


_AMOUNTS = {"cpu": "cpu_millicores", "memory": "memory_bytes", "disk": "disk_bytes"}


class NodePatch(Body):
    """Changes to what an operator set on a node; what is left out stays."""

    labels: dict[Annotated[LabelKey, AfterValidator(_free)], LabelValue | None] = Field(
        default_factory=dict, max_length=64, description="Labels to set; null removes one."
    )
    taints: list[TaintText] = Field(
        default_factory=list, max_length=64, description="Taints to set: `KEY[=VALUE]:NoSchedule|PreferNoSchedule`."
    )
    untaint: list[Annotated[str, AfterValidator(_untaint)]] = Field(
        default_factory=list, max_length=64, description="Taints to remove: `KEY`, or `KEY:EFFECT`."
    )
    pool: PoolName | None = Field(None, description="Pool it belongs to; only containers that name it go there.")
    max_containers: Count = Field(None, description="The most containers it may have; null: no limit.")
    max_stateful: Count = Field(None, description="The most stateful ones; null: no limit.")
    overcommit: Overcommit = Field(default_factory=Overcommit, description="null in a part: as its cluster says.")

    @field_validator("pool")
    @classmethod
    def _named(cls, pool: str | None) -> str:
        if pool is None:
            raise ValueError("a node is always in a pool; the usual one is default")
        return pool


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with these changes; None removes."""
    return {key: value for key, value in {**before, **changes}.items() if value is not None}


def tainted(before: Sequence[str], add: Iterable[str], remove: Iterable[str]) -> list[str]:
    """The taints of a node after some were removed and some added; one for each key and effect, sorted."""
    gone = set(remove)
    kept = [one for one in map(Taint.parse, before) if not gone & {one.key, f"{one.key}:{one.effect}"}]
    by_mark = {(one.key, one.effect): one for one in [*kept, *map(Taint.parse, add)]}
    return [str(one) for _, one in sorted(by_mark.items())]

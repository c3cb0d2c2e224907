"""Policy documents: how people write down how containers are placed. What they mean is in `scheduling/policy.py`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from pathfinder.domain.fields import Body, Hostname

#: The policy of clusters that name none.
USUAL = "spread"

#: A node may be promised a hundred times over, and a wish may count a thousand times another: more is a mistake.
LEAST_OVERCOMMIT, MOST_OVERCOMMIT = 0.1, 100.0
MOST_POLICY_WEIGHT = 1000.0


class Ties(StrEnum):
    """Which of several equally good nodes: the first in an order shuffled by the seed, or any, each time anew."""

    SEED = "seed"
    RANDOM = "random"


# Strict: neither `true` nor "1" is a number here, and a number that is not finite is never one.
Ratio = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=LEAST_OVERCOMMIT, le=MOST_OVERCOMMIT)]
ScorerWeight = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MOST_POLICY_WEIGHT, le=MOST_POLICY_WEIGHT)]
RuleName = Annotated[str, Field(min_length=1, max_length=63)]


class Change(StrEnum):
    """What writing a policy did to it."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Overcommit(Body):
    """How much of a node's capacity may be claimed, where neither it nor its cluster has ratios of its own."""

    cpu: Ratio = 1.0
    memory: Ratio = 1.0
    disk: Ratio = 1.0


class Preemption(Body):
    """Whether containers of lower priority give way to those of higher."""

    enabled: Annotated[bool, Field(strict=True)] = False


class PolicyDocument(Body):
    """How containers are placed: every filter must let a node pass, the weighted sum of the scores decides."""

    name: Hostname
    description: str = Field("", max_length=1024)
    filters: list[RuleName] | None = Field(
        None,
        max_length=64,
        description="All built-in ones if left out. Those that keep a promise hold whether they are listed or not, "
        "and memory-in-use wherever there is a memory_threshold.",
    )
    scorers: dict[RuleName, ScorerWeight] = Field(
        max_length=64, description="Weights; a negative one turns a wish round.", examples=[{"balance": 1.0}]
    )
    ties: Ties = Ties.SEED
    wishes: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=MOST_POLICY_WEIGHT)] = Field(
        2.0, description="Weight of what containers themselves prefer about their company."
    )
    overcommit: Overcommit = Field(default_factory=Overcommit)
    memory_threshold: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)] = Field(
        1.0, description="No more containers for nodes that use a greater share of their memory."
    )
    preemption: Preemption = Field(default_factory=Preemption)

    @field_validator("filters")
    @classmethod
    def _once(cls, filters: list[str] | None) -> list[str] | None:
        if filters is not None and len(set(filters)) < len(filters):
            raise ValueError("names a filter twice")
        return filters

    @field_validator("scorers")
    @classmethod
    def _decides(cls, scorers: dict[str, float]) -> dict[str, float]:
        if not any(scorers.values()):
            raise ValueError("at least one scorer must have a weight other than 0, or no node is better than another")
        return scorers

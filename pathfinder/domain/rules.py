"""What clients may write about where a container goes: bodies within `ContainerSpec`, and the values they stand for.

Texts are kept as `Requirement` and its like print them, so that equal wishes are equal texts.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from pathfinder.domain import names
from pathfinder.domain.asking import MOST_WEIGHT, NODE, Affinity, Budget, Spread, Taint, Toleration
from pathfinder.domain.fields import Body, Cpu, Disk, LabelKey, LabelValue, Memory
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Requirement, Selector

#: How long any such text may be.
MAX_TEXT = 1024

#: The pool of nodes and containers that name none, and what a container asks for that may go to any pool.
DEFAULT_POOL, ANY_POOL = "default", "*"

#: The attribute of a node that tells its architecture, and how else people call those there are.
ARCHITECTURE = "node.architecture"
_ARCHITECTURES = {"amd64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64"}


def _printed(parse: Callable[[str], object]) -> AfterValidator:
    return AfterValidator(lambda text: str(parse(text)))


def _selector(text: str) -> Selector:
    """A selector that says something: one of nothing would match every container there is."""
    if not (selector := Selector.parse(text)).requirements:
        raise ValueError("a selector names at least one label, like app=web")
    return selector


def _pool(text: str) -> str:
    return text if text == ANY_POOL else names.hostname(text)


_Text = StringConstraints(max_length=MAX_TEXT)
ConstraintText = Annotated[str, _Text, _printed(Requirement.parse)]
TolerationText = Annotated[str, _Text, _printed(Toleration.parse)]
TaintText = Annotated[str, _Text, _printed(Taint.parse)]
SelectorText = Annotated[str, _Text, _printed(_selector)]
PoolName = Annotated[str, AfterValidator(names.hostname)]
PoolWish = Annotated[str, AfterValidator(_pool)]
Topology = Annotated[LabelKey, Field(description="`node`, or a node label whose values are the domains: zone, rack.")]
Weight = Annotated[float, Field(ge=0, le=MOST_WEIGHT, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=MOST_WEIGHT, allow_inf_nan=False)]
Architecture = Annotated[
    LabelValue, Field(min_length=1), AfterValidator(lambda text: _ARCHITECTURES.get(text.lower(), text))
]


class Limits(Body):
    """The most an instance may use; where it is left out, what the container asks for."""

    cpu: Cpu = None
    memory: Memory = None
    disk: Disk = None

    @classmethod
    def kept(cls, spec: Mapping[str, Any]) -> "Limits":
        """Those of a stored spec: plain amounts, not what people write."""
        return cls.model_construct(**spec.get("limits", {}))

    def over(self, request: Resources) -> Resources:
        """The limits of a container with that request; 0 where there is none."""
        return Resources(
            self.cpu or request.cpu_millicores, self.memory or request.memory_bytes, self.disk or request.disk_bytes
        )


class Company(StrEnum):
    """Near others, or away from them."""

    TOGETHER = "together"
    APART = "apart"


class AffinityRule(Body):
    """Company that a container must have or avoid, or would rather."""

    to: SelectorText = Field(description="The containers it is about, by their labels.", examples=["app=web"])
    over: Topology = NODE
    rule: Company = Field(Company.TOGETHER, description="together: in the same domain; apart: never in one.")
    required: bool = Field(True, description="false: a wish that counts by its weight.")
    weight: Weight = 1.0

    def value(self) -> Affinity:
        """What it stands for."""
        return Affinity(Selector.parse(self.to), self.over, self.rule is Company.APART, self.required, self.weight)


class SpreadRule(Body):
    """An even share of a group of containers for each domain."""

    of: SelectorText = Field(description="The group, by labels; the container is one of it.", examples=["app=web"])
    over: Topology = NODE
    max_skew: int = Field(1, ge=1, le=10_000, description="How many more than the emptiest a domain may have.")
    required: bool = Field(True, description="false: emptier domains are only preferred.")
    weight: Weight = 1.0
    weights: dict[LabelValue, Share] = Field(
        default_factory=dict, max_length=64, description="Shares of the domains; 1 for those not named."
    )

    def value(self) -> Spread:
        """What it stands for."""
        weights = tuple(sorted(self.weights.items()))
        return Spread(Selector.parse(self.of), self.over, self.max_skew, self.required, self.weight, weights)


class BudgetRule(Body):
    """How much of a group may be away at once by our own action."""

    of: SelectorText = Field(description="The group, by labels; the container is one of it.", examples=["app=web"])
    max_unavailable: int = Field(1, ge=0, le=1_000_000)

    def value(self) -> Budget:
        """What it stands for."""
        return Budget(Selector.parse(self.of), self.max_unavailable)


def selector(
    constraints: Iterable[str], node_labels: Mapping[str, str] | None = None, architecture: str | None = None
) -> Selector:
    """What a node's attributes must satisfy; ValueError where these contradict each other."""
    short = dict(node_labels or {}) | ({ARCHITECTURE: architecture} if architecture else {})
    if architecture and node_labels and node_labels.get(ARCHITECTURE, architecture) != architecture:
        raise ValueError(f"{ARCHITECTURE} would have to be {node_labels[ARCHITECTURE]} and {architecture}")
    texts = [*constraints, *(f"{key}={value}" for key, value in short.items())]
    return Selector.of(texts)


def check_company(rules: Iterable[AffinityRule]) -> None:
    """Raise ValueError where a rule asks to be with whom another asks to be without."""
    required = {rule.value() for rule in rules if rule.required}
    for one in required:
        for other in required:
            if not one.apart and other.apart and (one.to, one.over) == (other.to, other.over):
                raise ValueError(f"together with `{one.to}` and apart from it in the same {one.over} is impossible")


def check_member(of: str, labels: Mapping[str, str]) -> None:
    """Raise ValueError where a container is not one of the group it names as its own."""
    if not Selector.parse(of).matches(labels):
        raise ValueError(f"the container's own labels do not match `{of}`: give it those labels, or name another group")

"""Policies: named lists of filters and weighted scorers, and the documents that people write them as."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.policies import Overcommit, PolicyDocument, Preemption, Ties
from pathfinder.scheduling.filters import FILTERS, Filter
from pathfinder.scheduling.filters.memory_in_use import MemoryInUse
from pathfinder.scheduling.scorers import SCORERS, Scorer

#: Filters that a policy cannot leave out: each keeps a promise, to a node's operator or to who asked for a container.
ALWAYS = tuple(name for name in FILTERS if name != MemoryInUse.name)


@dataclass(frozen=True, slots=True)
class Rules:
    """The filters and scorers that a policy may name."""

    filters: Mapping[str, Filter] = field(default_factory=lambda: FILTERS)
    scorers: Mapping[str, Scorer] = field(default_factory=lambda: SCORERS)


BUILT_IN = Rules()


@dataclass(frozen=True, slots=True)
class Policy:
    """How containers are placed: every filter must pass, the weighted sum of the scores decides.

    `wishes` is the weight of what containers themselves prefer about their company. `overcommit` is how much of each
    node's cpu, memory and disk may be claimed, where the node has no ratio of its own. With `preemption`, containers of
    lower priority give way to those of higher.
    """

    name: str
    filters: tuple[Filter, ...]
    scorers: tuple[tuple[Scorer, float], ...]
    version: int = 0
    wishes: float = 2.0
    ties: Ties = Ties.SEED
    overcommit: tuple[float, float, float] = (1.0, 1.0, 1.0)
    memory_threshold: float = 1.0
    preemption: bool = False
    description: str = ""

    def document(self) -> PolicyDocument:
        """It as people write it, with nothing left out."""
        cpu, memory, disk = self.overcommit
        return PolicyDocument(
            name=self.name,
            description=self.description,
            filters=[rule.name for rule in self.filters],
            scorers={scorer.name: weight for scorer, weight in self.scorers},
            ties=self.ties,
            wishes=self.wishes,
            overcommit=Overcommit(cpu=cpu, memory=memory, disk=disk),
            memory_threshold=self.memory_threshold,
            preemption=Preemption(enabled=self.preemption),
        )


def compiled(document: PolicyDocument, version: int = 0, rules: Rules = BUILT_IN) -> Policy:
    """The policy that a document describes. Invalid, with the fields, where it names a rule that is not there."""
    names = set(FILTERS) if document.filters is None else {*ALWAYS, *document.filters}
    if document.memory_threshold < 1:
        names.add(MemoryInUse.name)  # who writes a threshold means it, listed or not
    order = {name: place for place, name in enumerate(dict.fromkeys([*FILTERS, *(document.filters or ())]))}
    problems = [
        *_unknown("filters", "filter", document.filters or (), rules.filters),
        *_unknown("scorers", "scorer", document.scorers, rules.scorers),
    ]
    if problems:
        what = "; ".join(f"{one.field} {one.message}" for one in problems)
        raise Invalid(f"The policy {document.name!r} cannot be used: {what}.", problems)
    filters = [
        MemoryInUse(document.memory_threshold) if name == MemoryInUse.name else rules.filters[name]
        for name in sorted(names, key=lambda name: order[name])
    ]
    return Policy(
        name=document.name,
        filters=tuple(filters),
        # In an order of their own: PostgreSQL keeps another one, and sums of floats depend on it.
        scorers=tuple((rules.scorers[name], weight) for name, weight in sorted(document.scorers.items())),
        version=version,
        wishes=document.wishes,
        ties=document.ties,
        overcommit=(document.overcommit.cpu, document.overcommit.memory, document.overcommit.disk),
        memory_threshold=document.memory_threshold,
        preemption=document.preemption.enabled,
        description=document.description,
    )


def _unknown(where: str, noun: str, names: Iterable[str], known: Mapping[str, object]) -> list[FieldProblem]:
    found = []
    for position, name in enumerate(names):
        if name not in known:
            path = f"filters[{position}]" if where == "filters" else f"{where}.{name}"
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            words = f"{name!r} is not a {noun} here; {hint}there are {', '.join(sorted(known))}"
            found.append(FieldProblem(path, words))
    return found


def _built_in(name: str, description: str, scorers: Mapping[str, float], ties: Ties = Ties.SEED) -> Policy:
    # A taint that only discourages counts in all of them.
    weights = {**scorers, "untainted": 2.0}
    return compiled(PolicyDocument(name=name, description=description, scorers=weights, ties=ties))


#: The policies that are always there. They have version 0, and nobody can change them.
POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        _built_in(
            "spread",
            "Few containers and much room left on each node: a node that dies takes little with it.",
            {"few-containers": 1.0, "free-share": 1.0},
        ),
        _built_in(
            "binpack",
            "Nodes that are used already are filled first: the others stay empty.",
            {"used-share": 1.0, "few-containers": -0.1},
        ),
        _built_in(
            "balanced",
            "Cpu and memory of a node are used up together: none of one is stranded when the other is gone.",
            {"balance": 1.0, "used-share": 0.05, "few-containers": -0.1},
        ),
        _built_in(
            "least-loaded",
            "Nodes that are least busy now, whatever was claimed of them.",
            {"idle-share": 1.0, "free-share": 0.5},
        ),
        _built_in(
            "image-locality",
            "Nodes that have the image already: containers start sooner.",
            {"has-image": 1.0, "free-share": 0.5},
        ),
        _built_in("random", "Any node that can take it: what others are measured against.", {}, Ties.RANDOM),
    )
}


def named(name: str) -> Policy:
    """The built-in policy of that name; Invalid with the names there are."""
    try:
        return POLICIES[name]
    except KeyError:
        raise unknown(name, ()) from None


def unknown(name: str, own: Iterable[str], field: str = "policy") -> Invalid:
    """That there is no such policy, with the names there are: the built-in ones, and these."""
    there = [*POLICIES, *own]
    near = get_close_matches(name, there, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    words = f"There is no policy named {name!r}; choose one of {', '.join(there)}.{hint}"
    return Invalid(words, [FieldProblem(field, f"{name!r} is not a policy")])

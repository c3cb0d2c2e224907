"""The rules of placement written down a second time: slowly, one node and one container after the other, no NumPy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from pathfinder.domain.asking import NODE, Affinity, Effect, Spread, Taint, Toleration
from pathfinder.domain.policies import Overcommit
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Operator, Requirement, Selector
from pathfinder.scheduling.fleet import UNLIMITED, Fleet, NodeState
from pathfinder.scheduling.place import Decision
from pathfinder.scheduling.policy import POLICIES, Policy, compiled
from pathfinder.scheduling.relations import selectors
from pathfinder.scheduling.request import Ask, Request
from pathfinder.scheduling.turns import order

SMALL = st.integers(0, 6)
AMOUNTS = st.builds(Resources, SMALL, SMALL, SMALL)
MOSTLY = st.sampled_from([True, True, True, False])
LABELS = st.dictionaries(st.sampled_from(["zone", "disk"]), st.sampled_from(["a", "b"]), max_size=2)
RATIO = st.sampled_from([1.0, 1.0, 0.5, 2.0])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """The built-in ones, as they are and with overcommit and a threshold."""
    built_in = draw(st.sampled_from(list(POLICIES.values()))).document()
    changes = {
        "overcommit": Overcommit(cpu=draw(RATIO), memory=draw(RATIO), disk=draw(RATIO)),
        "memory_threshold": draw(st.sampled_from([1.0, 1.0, 0.6, 0.4])),
        "filters": draw(st.sampled_from([None, [], built_in.filters])),
    }
    return compiled(built_in.model_copy(update=changes))


POLICY = policies()
TAINTS = st.lists(
    st.builds(Taint, st.sampled_from(["db", "gpu"]), st.sampled_from(["", "x"]), st.sampled_from(Effect)), max_size=2
).map(tuple)
TOLERATIONS = st.lists(
    st.builds(Toleration, st.sampled_from(["db", "gpu", "*"]), st.sampled_from([None, "", "x"])), max_size=1
).map(tuple)
APP = st.sampled_from([Selector((Requirement("app", Operator.IS, (value,)),)) for value in "ab"])
IN_A, DISKLESS = Requirement("zone", Operator.IS, ("a",)), Requirement("disk", Operator.MISSING)
CONSTRAINTS = st.sampled_from([Selector(), Selector(), Selector((IN_A,)), Selector((DISKLESS,))])
OVER = st.sampled_from([NODE, "zone"])
LIMIT = st.sampled_from([UNLIMITED, UNLIMITED, UNLIMITED, 1, 2])


@st.composite
def fleets(draw: st.DrawFn, at_most: int = 5) -> list[NodeState]:
    """Small fleets of odd nodes."""
    return [
        NodeState(
            id=f"id-{number}",
            hostname=f"node-{number}",
            ready=draw(MOSTLY),
            schedulable=draw(MOSTLY),
            capacity=draw(AMOUNTS),
            claimed=draw(st.one_of(st.just(Resources()), AMOUNTS)),
            containers=draw(st.integers(0, 2)),
            generation=0,
            labels=draw(LABELS),
            slots=draw(st.sampled_from([UNLIMITED, UNLIMITED, UNLIMITED, 0, 1])),
            max_containers=draw(LIMIT),
            max_stateful=draw(LIMIT),
            overcommit=(draw(st.sampled_from([None, 1.0, 2.0])), None, None),
            taints=draw(TAINTS),
            pool=draw(st.sampled_from(["default", "default", "default", "other"])),
            memory_used=draw(st.sampled_from([float("nan"), 0.3, 0.5, 0.8])),
        )
        for number in range(draw(st.integers(0, at_most)))
    ]


@st.composite
def open_fleets(draw: st.DrawFn) -> list[NodeState]:
    """Nodes that nothing but their size and use keeps anybody from, so that what a policy promises decides."""
    return [
        NodeState(
            id=f"id-{number}",
            hostname=f"node-{number}",
            ready=True,
            schedulable=True,
            capacity=Resources(*(draw(st.integers(2, 6)) for _ in range(3))),
            claimed=Resources(),
            containers=0,
            generation=0,
            labels={},
            memory_used=draw(st.sampled_from([float("nan"), 0.5, 0.8])),
        )
        for number in range(draw(st.integers(1, 3)))
    ]


def affinities() -> st.SearchStrategy[Affinity]:
    """Company wanted or not."""
    return st.builds(Affinity, APP, OVER, st.booleans(), st.booleans(), st.sampled_from([1.0, 3.0]))


def spreads() -> st.SearchStrategy[Spread]:
    """Even shares."""
    weights = st.sampled_from([(), (("a", 2.0),)])
    return st.builds(Spread, APP, OVER, st.integers(1, 2), st.booleans(), st.just(1.0), weights)


@st.composite
def asks(draw: st.DrawFn, *, company: bool = True) -> Ask:
    """All that can be asked."""
    rare = st.lists(affinities(), max_size=2), st.lists(spreads(), max_size=1)
    return Ask(
        resources=draw(AMOUNTS),
        stateful=draw(st.booleans()),
        constraints=Selector(
            draw(
                st.sampled_from(
                    [(), (), (Requirement("zone", Operator.IS, ("a",)),), (Requirement("disk", Operator.MISSING),)]
                )
            )
        ),
        tolerations=draw(TOLERATIONS),
        affinities=tuple(draw(rare[0])) if company else (),
        spreads=tuple(draw(rare[1])) if company else (),
        labels=draw(st.sampled_from([(), (("app", "a"),), (("app", "b"),)])),
        priority=draw(st.sampled_from([0, 0, 0, 5])),
        pool=draw(st.sampled_from(["default", "default", "*"])),
    )


@st.composite
def batches(draw: st.DrawFn, *, company: bool = True) -> list[Request]:
    """A few kinds of requests, several of each, mixed."""
    kinds = draw(st.lists(asks(company=company), min_size=1, max_size=3))
    return [Request(f"r-{number}", draw(st.sampled_from(kinds))) for number in range(draw(st.integers(0, 8)))]


@dataclass
class Model:
    """Nodes with the asks of the containers on them."""

    nodes: list[NodeState]
    there: dict[int, list[Ask]] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[NodeState], residents: Iterable[tuple[int, Ask]] = ()) -> "Model":
        """With containers that are there already, whatever the rules say."""
        model = cls(list(nodes), {index: [] for index in range(len(nodes))})
        for index, ask in residents:
            if index < len(nodes):
                model.put(index, ask)
        return model

    def copy(self) -> "Model":
        """One that can be changed."""
        return Model(list(self.nodes), {index: list(asks) for index, asks in self.there.items()})

    def put(self, index: int, ask: Ask) -> None:
        """One more container."""
        node, wanted = self.nodes[index], ask.resources
        claimed = Resources(
            node.claimed.cpu_millicores + wanted.cpu_millicores,
            node.claimed.memory_bytes + wanted.memory_bytes,
            node.claimed.disk_bytes + wanted.disk_bytes,
        )
        self.nodes[index] = replace(
            node,
            claimed=claimed,
            containers=node.containers + 1,
            stateful=node.stateful + ask.stateful,
            slots=node.slots - 1,
        )
        self.there[index].append(ask)

    def fleet(self, requests: Sequence[Request]) -> Fleet:
        """What the engine is given: these nodes, and the counts it needs for those requests."""
        wanted = {one for request in requests for one in selectors(request.ask)}
        tallies = {one: self._count(lambda ask, one=one: one.matches(ask.own_labels)) for one in wanted}
        keys = {(a.to, a.over) for asks in self.there.values() for ask in asks for a in _apart(ask)}
        averse = {key: self._count(lambda ask, key=key: key in {(a.to, a.over) for a in _apart(ask)}) for key in keys}
        return Fleet.of(self.nodes, tallies, averse)

    def _count(self, counts: object) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
        return np.array([sum(map(counts, self.there[i])) for i in range(len(self.nodes))], dtype=np.int64)  # type: ignore[call-overload]

    def allows(self, index: int, ask: Ask, policy: Policy) -> bool:
        """Whether every rule lets the container go to that node now."""
        return self._node_takes(self.nodes[index], ask, policy) and self._company_allows(index, ask)

    def placeable(self, ask: Ask, policy: Policy) -> set[int]:
        """Every node it could go to."""
        return {index for index in range(len(self.nodes)) if self.allows(index, ask, policy)}

    def _node_takes(self, node: NodeState, ask: Ask, policy: Policy) -> bool:
        room = [
            int(capacity * (own or usual))
            for capacity, own, usual in zip(_three(node.capacity), node.overcommit, policy.overcommit, strict=True)
        ]
        fits = all(
            wanted == 0 or claimed + wanted <= most
            for wanted, claimed, most in zip(_three(ask.resources), _three(node.claimed), room, strict=True)
        )
        counts = node.containers < node.max_containers and (not ask.stateful or node.stateful < node.max_stateful)
        overused = node.memory_used > policy.memory_threshold  # of who has not said, nothing is known
        return self._suits(node, ask) and node.slots > 0 and fits and counts and not overused

    @staticmethod
    def _suits(node: NodeState, ask: Ask) -> bool:
        kept_away = any(
            taint.effect is Effect.NO_SCHEDULE and not any(one.tolerates(taint) for one in ask.tolerations)
            for taint in node.taints
        )
        pool = ask.pool in ("*", node.pool)
        return node.ready and node.schedulable and pool and not kept_away and ask.constraints.matches(node.labels)

    def _domain(self, index: int, over: str) -> str | None:
        return self.nodes[index].hostname if over == NODE else self.nodes[index].labels.get(over)

    def _neighbours(self, index: int, over: str) -> list[Ask]:
        """Everything in the node's domain; nothing where it is in none."""
        domain = self._domain(index, over)
        same = [i for i in self.there if domain is not None and self._domain(i, over) == domain]
        return [ask for i in same for ask in self.there[i]]

    def _company_allows(self, index: int, ask: Ask) -> bool:
        for rule in ask.affinities:
            near = [one for one in self._neighbours(index, rule.over) if rule.to.matches(one.own_labels)]
            if not rule.required:
                continue
            if rule.apart and near:
                return False
            if not rule.apart and not near:
                anywhere = any(
                    rule.to.matches(one.own_labels)
                    for i, ones in self.there.items()
                    for one in ones
                    if self._domain(i, rule.over) is not None
                )
                if anywhere or not rule.to.matches(ask.own_labels) or self._domain(index, rule.over) is None:
                    return False
        for over in (NODE, "zone"):
            for other in self._neighbours(index, over):
                if any(rule.over == over and rule.to.matches(ask.own_labels) for rule in _apart(other)):
                    return False
        return all(self._even(index, rule, ask) for rule in ask.spreads if rule.required)

    def _even(self, index: int, rule: Spread, ask: Ask) -> bool:
        mine = self._domain(index, rule.over)
        if mine is None:
            return False
        share = dict(rule.weights)
        counts: dict[str, float] = {}
        for i, node in enumerate(self.nodes):
            domain = self._domain(i, rule.over)
            if domain is not None and self._suits(node, ask):
                counts[domain] = 0.0
        for domain in counts:
            many = sum(
                rule.of.matches(one.own_labels)
                for i, ones in self.there.items()
                if self._domain(i, rule.over) == domain
                for one in ones
            )
            counts[domain] = many / share.get(domain, 1.0)
        after = counts.get(mine, 0.0) + rule.of.matches(ask.own_labels) / share.get(mine, 1.0)
        return after - min(counts.values(), default=0.0) <= rule.max_skew + 1e-9


def steps(model: Model, requests: Sequence[Request], decisions: Sequence[Decision]) -> Iterable[tuple[Model, Decision]]:
    """Each decision with everything as it was before it, in the order in which they were made."""
    now = model.copy()
    for position in order(requests, model.fleet(requests)):
        yield now.copy(), decisions[position]
        if (index := decisions[position].index) is not None:
            now.put(index, requests[position].ask)


def _apart(ask: Ask) -> list[Affinity]:
    return [one for one in ask.affinities if one.apart and one.required]


def _three(resources: Resources) -> tuple[int, int, int]:
    return resources.cpu_millicores, resources.memory_bytes, resources.disk_bytes


def plain(labels: Mapping[str, str]) -> Selector:
    """Exactly these labels."""
    return Selector(tuple(sorted(Requirement(key, Operator.IS, (value,)) for key, value in labels.items())))

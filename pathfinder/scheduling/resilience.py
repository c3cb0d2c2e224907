"""What would happen if a node, or all nodes of a zone, died now: would everything on it fit elsewhere?

The answer is that of `place()` itself, with the cluster's policy, on the fleet without the dead. Most of the time it
can be had without placing anything: see `_surely_fits`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.filters import FILTERS
from pathfinder.scheduling.fleet import Fleet, NodeState, amounts
from pathfinder.scheduling.place import place
from pathfinder.scheduling.policy import Policy
from pathfinder.scheduling.relations import Relations, remember, selectors
from pathfinder.scheduling.request import Ask, Request

#: Filters that look at nothing but the node, its labels and how much is left; with others everything is placed.
_PLAIN = frozenset(FILTERS)


@dataclass(frozen=True, slots=True)
class Resident:
    """A container on a node (its id)."""

    node: str
    request: Request
    stateful: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """The death of one node, or of one zone (`kind`).

    `containers` that are stateless are there; `waiting` of them would fit nowhere else. `stateful` ones would wait for
    their node in any case.
    """

    kind: str
    name: str
    nodes: int
    containers: int
    waiting: int
    stateful: int


@dataclass(frozen=True, slots=True)
class Survey:
    """Every loss that could happen: of each READY node, and of each value of the zone label."""

    losses: tuple[Loss, ...]

    def of(self, kind: str) -> tuple[Loss, ...]:
        """Those of nodes, or of zones; the worst first."""
        return tuple(sorted((one for one in self.losses if one.kind == kind), key=lambda one: (-one.waiting, one.name)))

    def survives(self, kind: str = "node") -> bool:
        """Whether nothing stateless would wait, whichever one died."""
        return not any(one.waiting for one in self.of(kind))

    @property
    def worst_node(self) -> Loss | None:
        """The node whose death would leave the most waiting; None where none would leave any."""
        return next((one for one in self.of("node") if one.waiting), None)


def survey(nodes: Sequence[NodeState], residents: Iterable[Resident], policy: Policy, zone_label: str) -> Survey:
    """What each loss would mean. Pure, and the same for the same arguments."""
    there: Mapping[str, list[tuple[int, Resident]]] = defaultdict(list)
    for place_in_line, resident in enumerate(residents):
        there[resident.node].append((place_in_line, resident))
    fleet = _with_company(Fleet.of(nodes), there)
    alive = [index for index, node in enumerate(nodes) if node.ready]
    zones: Mapping[str, list[int]] = defaultdict(list)
    for index in alive:
        if (zone := nodes[index].labels.get(zone_label)) is not None:
            zones[zone].append(index)
    losses = [("node", nodes[index].hostname, [index]) for index in alive]
    losses += [("zone", zone, members) for zone, members in sorted(zones.items())]
    return Survey(tuple(_loss(fleet, policy, kind, name, members, there) for kind, name, members in losses))


def _with_company(fleet: Fleet, there: Mapping[str, list[tuple[int, Resident]]]) -> Fleet:
    """The fleet with who is where, as far as somebody has rules or wishes about that."""
    rows: Mapping[Ask, list[int]] = defaultdict(list)
    for row, id_ in enumerate(fleet.ids):
        for _, resident in there.get(str(id_), ()):
            rows[resident.request.ask].append(row)
    wanted: set[Selector] = set().union(*(selectors(ask) for ask in rows))
    full = replace(fleet, tallies={one: np.zeros(len(fleet), dtype=np.int64) for one in wanted}, averse={})
    for ask, many in rows.items():
        remember(full, ask, np.array(many, dtype=np.intp))
    return full


def departed(fleet: Fleet, leaving: Iterable[tuple[int, Ask]]) -> Fleet:
    """The fleet when these are nobody's company any more; their claims stay where they are."""
    left = replace(
        fleet,
        tallies={key: counts.copy() for key, counts in fleet.tallies.items()},
        averse={key: counts.copy() for key, counts in fleet.averse.items()},
    )
    for row, ask in leaving:
        remember(left, ask, np.array([row]), -1)
    return left


def _loss(
    fleet: Fleet,
    policy: Policy,
    kind: str,
    name: str,
    members: list[int],
    there: Mapping[str, list[tuple[int, Resident]]],
) -> Loss:
    # They are placed in the order they were given in, whichever of the nodes they are on.
    lost = sorted((one for index in members for one in there.get(str(fleet.ids[index]), ())), key=itemgetter(0))
    moving = [resident.request for _, resident in lost if not resident.stateful]
    if fleet.tallies:
        row_of = {str(fleet.ids[index]): index for index in members}
        gone = [(row_of[one.node], one.request.ask) for _, one in lost if not one.stateful]
        fleet = departed(fleet, gone)
    return Loss(
        kind, name, len(members), len(moving), _waiting(fleet, policy, members, moving), len(lost) - len(moving)
    )


def dead(fleet: Fleet, rows: Sequence[int]) -> Fleet:
    """The same fleet with the nodes of these rows DOWN."""
    ready = fleet.ready.copy()
    ready[list(rows)] = False
    return replace(fleet, ready=ready)


def _waiting(fleet: Fleet, policy: Policy, members: list[int], moving: list[Request]) -> int:
    if not moving:
        return 0
    left = dead(fleet, members)
    if _surely_fits(left, moving, policy):
        return 0
    return sum(one.index is None for one in place(left, moving, policy, seed=0, explain=False))


def _surely_fits(fleet: Fleet, moving: list[Request], policy: Policy) -> bool:
    """True only if all of them fit in whatever order and wherever the policy puts them.

    Count, on nodes that take every one of their shapes, the places for the largest of each resource. A container takes
    at most one such place wherever it goes: as long as there are as many places as containers, each finds one.
    """
    if not _PLAIN.issuperset(rule.name for rule in policy.filters):
        return False
    asks = {request.ask for request in moving}
    if any(Relations.any(fleet, ask) for ask in asks):
        return False
    mask = np.ones(len(fleet), dtype=np.bool_)
    for rule in policy.filters:
        if rule.name not in ("fits", "counts"):
            for ask in asks:
                mask &= rule.mask(fleet, ask)
    largest: NDArray[np.int64] = np.max([amounts(ask.resources) for ask in asks], axis=0)
    wanted = largest > 0
    free = np.maximum(fleet.working(policy.overcommit).room - fleet.claimed, 0)[mask][:, wanted]
    places = (free // largest[wanted]).min(axis=1, initial=len(moving))
    slots = np.minimum(fleet.slots, np.maximum(fleet.max_containers - fleet.containers, 0))[mask]
    return int(np.minimum(places, slots).sum()) >= len(moving)

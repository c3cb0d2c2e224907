"""Who is placed before whom in one batch.

By priority. Of those equally urgent, whoever waited before goes first, in the order given; then the largest: what is
small finds room in what the large leave, but not the other way round.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby
from typing import TypeVar

import numpy as np

from pathfinder.scheduling.fleet import Fleet, amounts
from pathfinder.scheduling.request import Ask, Gang, Request

Item = TypeVar("Item")
#: The positions of requests by their kind: equal asks, and whether they avoid nodes.
_Kinds = dict[tuple[Ask, bool], list[int]]


def order(requests: Sequence[Request], fleet: Fleet) -> list[int]:
    """The positions of the requests in the order in which they are decided on."""
    return [position for _, kinds in in_line(requests, fleet) for kind in kinds for position in kind]


def in_line(requests: Sequence[Request], fleet: Fleet) -> Iterable[tuple[Gang | None, list[list[int]]]]:
    """The positions of requests that are placed together, in the order in which that is done.

    Those of one kind make a unit, and the first of them says where in line it is; those of one gang make one unit of
    several kinds, which is as large as all of them; its largest kind goes first.
    """
    units: dict[Gang | tuple[Ask, bool], _Kinds] = {}
    for position, request in enumerate(requests):
        kind = request.ask, bool(request.avoid)
        units.setdefault(request.gang or kind, {}).setdefault(kind, []).append(position)
    whole = np.maximum(fleet.capacity.sum(axis=0), 1)

    def size(ask: Ask) -> float:  # it is shares of what the fleet has that can be added
        return float((amounts(ask.resources) / whole).sum())

    def turn(unit: tuple[Gang | tuple[Ask, bool], _Kinds]) -> tuple[int, bool, float, int]:
        key, kinds = unit
        firsts = [requests[positions[0]] for positions in kinds.values()]
        urgency, waited = max(one.ask.priority for one in firsts), any(one.waited for one in firsts)
        together = isinstance(key, Gang)
        asked = sum(size(ask) * (len(positions) if together else 1) for (ask, _), positions in kinds.items())
        return -urgency, not waited, 0.0 if waited else -asked, min(positions[0] for positions in kinds.values())

    for key, kinds in sorted(units.items(), key=turn):
        largest_first = sorted(kinds.items(), key=lambda kind: -size(kind[0][0]))
        yield key if isinstance(key, Gang) else None, [positions for _, positions in largest_first]


def by_policy(
    items: Sequence[Item],
    policy_of: Callable[[Item], str],
    priority_of: Callable[[Item], int],
    gang_of: Callable[[Item], Hashable | None],
) -> list[tuple[str, list[Item]]]:
    """Who is placed by which policy, one group after the other: the more urgent first, whatever their policies are.

    A gang goes whole, by the policy of its first container and as early as its most urgent one.
    """
    if len({policy_of(one) for one in items}) <= 1:
        return [(policy_of(items[0]), list(items))] if items else []
    units = [("gang", gang) if (gang := gang_of(one)) is not None else ("alone", at) for at, one in enumerate(items)]
    chosen: dict[tuple[str, Hashable], str] = {}
    urgency: dict[tuple[str, Hashable], int] = {}
    for unit, one in zip(units, items, strict=True):
        chosen.setdefault(unit, policy_of(one))
        urgency[unit] = max(priority_of(one), urgency.get(unit, priority_of(one)))
    turn = {name: place for place, name in enumerate(dict.fromkeys(chosen.values()))}
    line = sorted(range(len(items)), key=lambda at: (-urgency[units[at]], turn[chosen[units[at]]]))
    return [(name, [items[at] for at in group]) for name, group in groupby(line, key=lambda at: chosen[units[at]])]

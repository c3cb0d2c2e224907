"""Who is placed before whom where containers of one batch are placed by different policies."""

from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import TypeVar

Item = TypeVar("Item")


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

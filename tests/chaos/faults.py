"""What will be broken when: a plan that follows from the seed alone. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.wiring import database_link

#: Agents' heartbeats come every 5 s and leases last 15: this long a silence must not cost a lease,
BRIEF_SECONDS = (0.5, 3.0)
#: and this long a one must.
LONG_SECONDS = (22.0, 35.0)
#: So long after agents died none of them is cut off: they must be back and know their lease.
GUARD_SECONDS = 15.0
#: At most this share of the nodes is away at a time: more of them would be a fault of its own (see the brakes).
AWAY_SHARE = 0.12
#: The kinds that take nodes away for so long.
AWAY = ("partition nodes", "power nodes off", "hang agents")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks `at` seconds after the start, and is mended `seconds` later (0: it mends itself)."""

    at: float
    kind: str
    targets: tuple[str, ...]
    seconds: float = 0.0


Kinds = dict[str, tuple[float, float]]

#: How often each kind comes, relative to the others, and how many seconds there should be between two of it.
KINDS: Kinds = {
    "kill role": (10, 0),
    "kill leader": (3, 4),
    "kill agents": (2, 8),
    "freeze role": (3, 4),
    "freeze agents": (1, 15),
    "cut role": (3, 4),
    "tear role": (3, 0),
    "cut database": (3, 4),
    "tear database": (3, 0),
    "delay nodes": (4, 2),
    "tear nodes": (3, 2),
    "make nodes sick": (2, 6),
    "partition nodes": (2, 10),
    "power nodes off": (2, 10),
    "lose messages": (2, 5),
    "crash postgres": (1, 25),
    "stop postgres": (1, 25),
    "crash rabbitmq": (1, 30),
}


def plan(
    seed: int,
    seconds: float,
    nodes: Sequence[str],
    roles: Sequence[str],
    hosts: Sequence[str],
    *,
    pause: float = 1.5,
    kinds: Kinds = KINDS,
    warden: bool = False,
) -> list[Fault]:
    """The faults of a run of that length, in order; about one every `pause` seconds.

    With a `warden` on each node agents may die or hang while they are cut off.
    """
    draw = random.Random(f"faults/{seed}")
    faults: list[Fault] = []
    last: dict[str, float] = {}
    away: list[tuple[float, int]] = []
    at = draw.uniform(1, 3)
    while at < seconds - 1:
        due = [kind for kind, (_, apart) in kinds.items() if at - last.get(kind, -1000) >= apart]
        kind = draw.choices(due, [kinds[one][0] for one in due])[0]
        length = _length(draw, kind)
        targets = _targets(draw, kind, nodes, roles, hosts)
        if not warden and _spoils_the_guard(kind, at, faults):
            at += 0.1
            continue
        if kind in AWAY:
            away = [(end, count) for end, count in away if end > at]
            if sum(count for _, count in away) + len(targets) > max(1, AWAY_SHARE * len(nodes)):
                at += 0.1
                continue
            away.append((at + length, len(targets)))
        last[kind] = at + length
        faults.append(Fault(round(at, 2), kind, targets, round(length, 2)))
        at += draw.expovariate(1 / pause)
    return faults


def _spoils_the_guard(kind: str, at: float, faults: Sequence[Fault]) -> bool:
    """Whether an agent that is cut off would be dead, too: on a real node a second process guards its lease then."""
    if kind in ("kill agents", "freeze agents"):
        return any(one.kind == "partition nodes" and one.at <= at <= one.at + one.seconds + 3 for one in faults)
    return kind == "partition nodes" and any(
        one.kind in ("kill agents", "freeze agents") and at - one.at < GUARD_SECONDS for one in faults
    )


def _length(draw: random.Random, kind: str) -> float:
    if kind.startswith(("freeze", "delay")):
        return draw.uniform(*BRIEF_SECONDS)
    if kind in ("cut role", "cut database"):
        return draw.uniform(2, 25)
    if kind == "make nodes sick":
        return draw.uniform(5, 15)
    if kind in AWAY:
        return draw.uniform(*LONG_SECONDS)
    return 0.0


def _targets(
    draw: random.Random, kind: str, nodes: Sequence[str], roles: Sequence[str], hosts: Sequence[str]
) -> tuple[str, ...]:
    if kind == "kill leader":
        return ("controller",)
    if kind == "lose messages":
        shared = ("pathfinder.scheduler", "pathfinder.recorder")
        return (draw.choice((*shared, *(f"pathfinder.node.{node}" for node in draw.sample(nodes, 2)))),)
    if "role" in kind:
        return (draw.choice(roles),)
    if "database" in kind:
        return (database_link(draw.choice(roles)),)
    if "agents" in kind:
        return (draw.choice(hosts),)
    if "nodes" in kind:
        most = max(1, len(nodes) // 25)
        return tuple(sorted(draw.sample(nodes, draw.randint(1, most))))
    return (kind.split()[1],)

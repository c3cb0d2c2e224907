"""Containers as requests: what a container's row asks of the scheduler.

Many containers ask for the same, so what is read from a spec is kept.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from pathfinder.domain import rules
from pathfinder.domain.asking import Toleration
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.request import Ask, Gang, Request

#: How many different ones are kept.
_KEPT = 10_000


def ask(
    resources: Resources,
    type_: ContainerType,
    image: str,
    spec: Mapping[str, Any],
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    keys: Iterable[str] = (),
) -> Ask:
    """What a container asks for; `spec` as its row keeps it. Of its labels, those of the `keys` are told that
    somebody chooses company by: the others would only tell kinds apart.
    """
    asked = {name: spec[name] for name in _ASKED if spec.get(name)}
    told = tuple((key, labels[key]) for key in sorted(keys) if key in labels) if labels else ()
    stateful = type_ is ContainerType.STATEFUL
    return _ask(resources, stateful, image, orjson.dumps(asked) if asked else b"{}", priority, told)


def of(container: Container, keys: Iterable[str] = ()) -> Ask:
    """What a container asks for."""
    one = container
    return ask(one.resources, one.type, one.image, one.spec, one.priority, one.labels if keys else None, keys)


def requests(
    containers: Sequence[Container], failed: Mapping[UUID, tuple[str, ...]], keys: Iterable[str] = ()
) -> list[Request]:
    """The requests of these containers, in their order. `failed` are the nodes where they failed before, `keys` the
    labels that company is chosen by. Those of a gang are all there are of it.
    """
    sizes = Counter(one.gang for one in containers if one.gang is not None)
    return [
        Request(
            str(one.id),
            of(one, keys),
            failed.get(one.id, ()),
            None if one.gang is None else Gang(str(one.gang), sizes[one.gang]),
            one.waiting,
        )
        for one in containers
    ]


_ASKED = ("constraints", "node_labels", "architecture", "pool", "tolerations", "affinity", "spread")


@lru_cache(_KEPT)
def _ask(
    resources: Resources, stateful: bool, image: str, asked: bytes, priority: int, told: tuple[tuple[str, str], ...]
) -> Ask:
    spec = orjson.loads(asked)
    return Ask(
        resources=resources,
        stateful=stateful,
        constraints=rules.selector(spec.get("constraints", ()), spec.get("node_labels", {}), spec.get("architecture")),
        tolerations=tuple(Toleration.parse(text) for text in spec.get("tolerations", ())),
        affinities=tuple(rules.AffinityRule(**one).value() for one in spec.get("affinity", ())),
        spreads=tuple(rules.SpreadRule(**one).value() for one in spec.get("spread", ())),
        labels=told,
        priority=priority,
        image=image,
        pool=spec.get("pool", rules.DEFAULT_POOL),
    )


def aversions(affinity: str) -> list[tuple[Selector, str]]:
    """Whom a container wants nothing near it of, and in which topology; `affinity` as its spec keeps it, in JSON."""
    return list(_aversions(affinity))


@lru_cache(_KEPT)
def _aversions(affinity: str) -> tuple[tuple[Selector, str], ...]:
    wanted = [rules.AffinityRule(**one).value() for one in orjson.loads(affinity)]
    return tuple((one.to, one.over) for one in wanted if one.apart and one.required)

"""Containers as requests: what a container's row asks of the scheduler.

Many containers ask for the same, so what is read from a spec is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from pathfinder.domain import rules
from pathfinder.domain.asking import Affinity, Spread, Toleration
from pathfinder.domain.containers import Container
from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Selector
from pathfinder.scheduling.request import Ask, Gang, Request

#: How many different rules are kept.
_KEPT = 10_000


def ask(resources: Resources, type_: ContainerType, image: str, spec: Mapping[str, Any], priority: int = 0) -> Ask:
    """What a container asks for; `spec` as its row keeps it. Its labels are not told: see `known_by`."""
    return Ask(
        resources=resources,
        stateful=type_ is ContainerType.STATEFUL,
        constraints=_constraints(
            tuple(spec.get("constraints", ())),
            tuple(sorted((spec.get("node_labels") or {}).items())),
            spec.get("architecture"),
        ),
        tolerations=tuple(_toleration(text) for text in spec.get("tolerations", ())),
        affinities=tuple(_affinity(orjson.dumps(one)) for one in spec.get("affinity", ())),
        spreads=tuple(_spread(orjson.dumps(one)) for one in spec.get("spread", ())),
        priority=priority,
        image=image,
        pool=spec.get("pool", rules.DEFAULT_POOL),
    )


def of(container: Container) -> Ask:
    """What a container asks for, without its labels."""
    return ask(container.resources, container.type, container.image, container.spec, container.priority)


def known_by(asked: Ask, labels: Mapping[str, str], keys: Iterable[str]) -> Ask:
    """With those of the container's labels that somebody chooses company by. The others would only tell kinds apart."""
    told = tuple((key, labels[key]) for key in sorted(keys) if key in labels)
    return replace(asked, labels=told) if told else asked


def requests(
    containers: Sequence[Container], failed: Mapping[UUID, tuple[str, ...]], keys: Iterable[str] = ()
) -> list[Request]:
    """The requests of these containers, in their order. `failed` are the nodes where they failed before, `keys` the
    labels that company is chosen by. Those of a gang are all there are of it.
    """
    sizes: dict[UUID, int] = {}
    for one in containers:
        if one.gang is not None:
            sizes[one.gang] = sizes.get(one.gang, 0) + 1
    return [
        Request(
            str(one.id),
            known_by(of(one), one.labels, keys),
            failed.get(one.id, ()),
            None if one.gang is None else Gang(str(one.gang), sizes[one.gang]),
        )
        for one in containers
    ]


def aversions(affinity: str) -> list[tuple[Selector, str]]:
    """Whom a container wants nothing near it of, and in which topology; `affinity` as its spec keeps it, in JSON."""
    return list(_aversions(affinity))


@lru_cache(_KEPT)
def _aversions(affinity: str) -> tuple[tuple[Selector, str], ...]:
    rules_ = [_affinity(orjson.dumps(one)) for one in orjson.loads(affinity)]
    return tuple((one.to, one.over) for one in rules_ if one.apart and one.required)


@lru_cache(_KEPT)
def _constraints(
    constraints: tuple[str, ...], node_labels: tuple[tuple[str, str], ...], architecture: str | None
) -> Selector:
    return rules.selector(constraints, dict(node_labels), architecture)


@lru_cache(_KEPT)
def _toleration(text: str) -> Toleration:
    return Toleration.parse(text)


@lru_cache(_KEPT)
def _affinity(document: bytes) -> Affinity:
    return rules.AffinityRule.model_validate_json(document).value()


@lru_cache(_KEPT)
def _spread(document: bytes) -> Spread:
    return rules.SpreadRule.model_validate_json(document).value()

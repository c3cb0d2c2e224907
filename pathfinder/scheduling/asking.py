"""Containers as requests: what a container's row asks of the scheduler."""

from collections.abc import Mapping
from typing import Any

from pathfinder.domain.lifecycle import ContainerType
from pathfinder.domain.resources import Resources
from pathfinder.domain.selectors import Operator, Requirement, Selector
from pathfinder.scheduling.request import Ask


def ask(resources: Resources, type_: ContainerType, image: str, spec: Mapping[str, Any]) -> Ask:
    """What a container asks for; `spec` as its row keeps it."""
    wanted = sorted(Requirement(key, Operator.IS, (value,)) for key, value in (spec.get("node_labels") or {}).items())
    return Ask(
        resources=resources,
        stateful=type_ is ContainerType.STATEFUL,
        constraints=Selector(tuple(wanted)),
        image=image,
    )

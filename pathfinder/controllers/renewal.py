"""What it takes to make a replica one of the wanted template, by what is kept of it."""

from collections.abc import Mapping
from typing import Any

from pathfinder.domain.containers import LIVE, Container
from pathfinder.domain.rollouts import Change
from pathfinder.domain.specs import ContainerSpec

#: What only we read: the node need not know.
_RECORDED = frozenset({"labels", "priority", "policy", "budget", "max_attempts"})
#: Where LXD takes a key of `config` while an instance runs.
LIVE_CONFIG = ("boot.", "limits.", "snapshots.", "user.")

_ORDER = list(Change)


def change(container: Container, spec: ContainerSpec, image: str) -> Change:
    """What it takes to make `container` as `spec` says, with that `image`."""
    before, after = _kept(container), dict(spec.shape)
    after.pop("image", None)
    takes = [Change.REBUILD] if container.image != image or container.resources != spec.resources else []
    for name in ("cpu", "memory", "disk"):
        after.pop(name, None)
    takes += [_takes(name, before.get(name), after.get(name)) for name in before.keys() | after.keys()]
    return max(takes, key=_ORDER.index, default=Change.NONE)


def _takes(name: str, before: Any, after: Any) -> Change:
    # Whatever says nothing is as good as nothing.
    if (before or None) == (after or None):
        return Change.NONE
    if name in _RECORDED:
        return Change.RECORD
    if name in LIVE:
        return Change.LIVE
    if name == "bootstrappers":
        return Change.REBOOTSTRAP if after else Change.RECORD
    if name == "config":
        return _config(before or {}, after or {})
    return Change.REBUILD


def _config(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    others = (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return Change.LIVE if all(key.startswith(LIVE_CONFIG) for key in others) else Change.REBUILD


def _kept(container: Container) -> dict[str, Any]:
    """What was asked for, as a spec would say it."""
    return {
        **{name: value for name, value in container.spec.items() if name != "gang"},
        "type": container.type,
        "labels": container.labels,
        "priority": container.priority,
        "policy": container.policy,
    }

"""What an agent does with a command, given the instance of that name it finds."""

from enum import StrEnum

from pathfinder.domain.instances import Instance, InstanceOrder


class Step(StrEnum):
    """The way to a running instance."""

    CREATE = "create"
    REPLACE = "replace"
    START = "start"
    KEEP = "keep"
    REFUSE_STALE = "refuse-stale"
    REFUSE_FOREIGN = "refuse-foreign"


def provision(order: InstanceOrder, found: Instance | None, fence: int) -> Step:
    """How to carry out `order` where `found` has its hostname.

    `fence` is the highest generation of that hostname that was deleted or given up here: a late or doubled command up
    to it is stale and must not bring a dead placement back to life, nor start what is still left of it.
    """
    if order.generation <= fence:
        return Step.REFUSE_STALE
    if found is None:
        return Step.CREATE
    if found.cluster_id != order.cluster_id:
        return Step.REFUSE_FOREIGN
    if found.generation > order.generation:
        return Step.REFUSE_STALE
    if found.generation < order.generation:
        return Step.REPLACE
    if found.container_id != order.container_id:
        return Step.REFUSE_FOREIGN
    return Step.KEEP if found.running else Step.START


def deletes(found: Instance | None, cluster_id: str, generation: int) -> bool:
    """Whether `found` is the instance that a delete of `generation` is about, or an older one of that hostname."""
    return found is not None and found.cluster_id == cluster_id and found.generation <= generation

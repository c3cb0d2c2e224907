"""What a node's full list tells that no message did: the differences, and what repairs them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pathfinder.controllers import bootstrapping
from pathfinder.domain.containers import Container
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.lifecycle import RUNNING, ContainerType, Status
from pathfinder.domain.messages import Command, Kind

#: For how long at most a list is believed to have been under way. Only its sender's clock tells when it was made, and
#: one that is wrong must not put repairs off for good.
MOST_UNDER_WAY = timedelta(minutes=5)

#: How many instances are named where many are told of together.
EXAMPLES = 3

#: What is said of a stateful container whose instance is on its node no more.
DISK_GONE = (
    "Its instance, and the disk with it, is not on its node any more. `pfi reschedule container NAME` starts it anew "
    "with an empty disk, `pfi delete container NAME` gives it up."
)


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance on the list. `seen_seconds`: how long the agent has known it."""

    container_id: str
    hostname: str
    generation: int
    running: bool
    address: str | None
    seen_seconds: float
    #: Of the order by which it was made or changed; None from agents that do not tell.
    digest: str | None = None

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> "Listed":
        """One entry of an inventory report."""
        try:
            return cls(**item)
        except TypeError as error:
            raise MalformedMessage(f"not an entry of an inventory: {error}") from error


@dataclass(frozen=True, slots=True)
class Repair:
    """One difference. `container` is the container as it is now (None: not ours to change), `command` what its node is
    told about `(container_id, generation)`.
    """

    container_id: str
    hostname: str
    generation: int
    command: Command | None = None
    container: Container | None = None
    fact: Kind | None = None
    body: Mapping[str, Any] | None = None


def taken(at: str, now: datetime) -> datetime:
    """When a list was made by its sender's clock, as far as that is believed: not after `now`, and not long before.

    Raises MalformedMessage.
    """
    try:
        said = datetime.fromisoformat(at)
        return max(min(said, now), now - MOST_UNDER_WAY)
    except (ValueError, TypeError) as error:
        raise MalformedMessage(f"not the moment of an inventory: {error}") from error


def compare(
    wanted: Sequence[Container],
    listed: Sequence[Listed],
    busy: Collection[str],
    made: datetime,
    grace: timedelta,
    bootstrapped: Collection[str] = (),
) -> list[Repair]:
    """The repairs that make the node's list, `made` then, match what is wanted there.

    `busy` are ids of containers the agent was working on while it made the list: their entries may be out of date
    already, and a report about them is under way. So may be what changed less than `grace` before it, or after it.
    `bootstrapped` are ids of those whose bootstrappers it had in hand.
    """
    there = {(one.container_id, one.generation): one for one in listed}
    repairs = []
    for container in wanted:
        if str(container.id) not in busy:
            instance = there.get((str(container.id), container.generation))
            old = made - container.status_at >= grace
            repair = _wanted(container, instance, old)
            if repair is None and instance is not None:
                repair = _update(container, instance, old)
            if repair is None and instance is not None and str(container.id) not in bootstrapped:
                repair = _bootstrap(container, old)
            if repair is not None:
                repairs.append(repair)
    repairs += [
        Repair(one.container_id, one.hostname, one.generation, Command.DELETE)
        for one in stale(wanted, listed)
        if one.container_id not in busy and one.seen_seconds >= grace.total_seconds()
    ]
    return repairs


def stale(wanted: Sequence[Container], listed: Sequence[Listed]) -> list[Listed]:
    """The instances on the list that no placement on this node accounts for."""
    claimed = {(str(one.id), one.generation) for one in wanted if one.claims}
    return [one for one in listed if (one.container_id, one.generation) not in claimed]


def held_back(stale: Sequence[Listed]) -> str:
    """Why a node with these stale instances is not READY yet, in words."""
    names = ", ".join(sorted(one.hostname for one in stale)[:EXAMPLES])
    return f"{len(stale)} instance(s) of former placements are still on it, which it was told to delete: {names}"


def _wanted(container: Container, instance: Listed | None, old: bool) -> Repair | None:
    match container.status:
        case Status.SCHEDULED if old:
            return _repair(container, Command.PROVISION)
        case Status.SCHEDULE_DELETION if old and instance is not None:
            return _repair(container, Command.DELETE)
        case Status.SCHEDULE_DELETION if old:
            gone = container.to(Status.DELETED, ipaddress=None, message=None)
            return _repair(container, None, gone, Kind.CONTAINER_DELETED)
        case Status.LOST:
            return _found_again(container, instance)
    if container.status not in RUNNING or not old:
        return None
    if instance is None and container.type == ContainerType.STATEFUL:
        return _disk_gone(container)
    if instance is None or not instance.running:
        why = "removed behind Pathfinder's back" if instance is None else "not running"
        changed = container.to(Status.SCHEDULED, message=f"Its instance was {why}; it is being brought back.")
        if instance is None:
            changed = replace(changed, bootstrapped=None)
        return _repair(container, Command.PROVISION, changed, Kind.CONTAINER_MISSING, why=why)
    if instance.address and instance.address != container.ipaddress:
        changed = replace(container, ipaddress=instance.address)
        return _repair(container, None, changed, Kind.CONTAINER_PROVISIONED, ipaddress=instance.address)
    return None


def _update(container: Container, instance: Listed, old: bool) -> Repair | None:
    """A replica that is to be otherwise by now, of which its node does not know."""
    if container.deployment_id is None or instance.digest in (None, container.digest):
        return None
    return _repair(container, Command.UPDATE) if old and container.status in RUNNING else None


def _bootstrap(container: Container, old: bool) -> Repair | None:
    """One that should be bootstrapped, and of which its node knows nothing: it was told before the agent died."""
    return _repair(container, Command.BOOTSTRAP) if old and bootstrapping.idle(container) else None


def _found_again(container: Container, instance: Listed | None) -> Repair | None:
    """A LOST container whose node is back: it goes on where it was, if it still can.

    One that never got an address was lost before it was made: it has no disk that could be gone.
    """
    if container.message == DISK_GONE and instance is None:
        return None
    if instance is None and container.type == ContainerType.STATEFUL and container.ipaddress:
        return _disk_gone(container)
    if instance is not None and instance.running and instance.address:
        changed = container.to(Status.PROVISIONED, ipaddress=instance.address, message=None, takeover=False)
        return _repair(container, None, changed, Kind.CONTAINER_PROVISIONED, ipaddress=instance.address)
    changed = container.to(Status.SCHEDULED, message="Its node is back; it is being started there.", takeover=False)
    return _repair(container, Command.PROVISION, changed, Kind.CONTAINER_MISSING, why="its node was away")


def _disk_gone(container: Container) -> Repair:
    """A stateful container is never made anew by itself: an empty disk would look like a healthy one."""
    changed = replace(container, ipaddress=None, message=DISK_GONE)
    if container.status != Status.LOST:
        changed = container.to(Status.LOST, ipaddress=None, message=DISK_GONE)
    return _repair(container, None, changed, Kind.CONTAINER_LOST, why="its disk is gone")


def _repair(
    container: Container,
    command: Command | None,
    changed: Container | None = None,
    fact: Kind | None = None,
    **body: Any,
) -> Repair:
    return Repair(str(container.id), container.hostname, container.generation, command, changed, fact, body)

"""What a node's full list tells that no message did: the differences, and what repairs them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pathfinder.domain.containers import Container
from pathfinder.domain.errors import MalformedMessage
from pathfinder.domain.lifecycle import RUNNING, Status
from pathfinder.domain.messages import Command, Kind

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance on the list. `seen_seconds`: how long the agent has known it."""

    container_id: str
    hostname: str
    generation: int
    running: bool
    address: str | None
    seen_seconds: float

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


def compare(
    wanted: Sequence[Container], listed: Sequence[Listed], busy: Collection[str], now: datetime, grace: timedelta
) -> list[Repair]:
    """The repairs that make the node's list match what is wanted there.

    `busy` are ids of containers the agent was working on while it made the list: their entries may be out of date
    already, and a report about them is under way. Differences younger than `grace` may be too.
    """
    there = {(one.container_id, one.generation): one for one in listed}
    repairs = []
    for container in wanted:
        if str(container.id) not in busy:
            instance = there.get((str(container.id), container.generation))
            repair = _wanted(container, instance, now - container.status_at >= grace)
            if repair is not None:
                repairs.append(repair)
    claimed = {(str(one.id), one.generation) for one in wanted if one.claims}
    repairs += [
        Repair(one.container_id, one.hostname, one.generation, Command.DELETE)
        for key, one in there.items()
        if key not in claimed and one.container_id not in busy and one.seen_seconds >= grace.total_seconds()
    ]
    return repairs


def _wanted(container: Container, instance: Listed | None, old: bool) -> Repair | None:
    def repair(
        command: Command | None, changed: Container | None = None, fact: Kind | None = None, **body: Any
    ) -> Repair:
        return Repair(str(container.id), container.hostname, container.generation, command, changed, fact, body)

    if container.status == Status.SCHEDULED and old:
        return repair(Command.PROVISION)
    if container.status == Status.SCHEDULE_DELETION and old:
        if instance is not None:
            return repair(Command.DELETE)
        return repair(None, container.to(Status.DELETED, ipaddress=None, message=None), Kind.CONTAINER_DELETED)
    if container.status in RUNNING:
        if instance is None or not instance.running:
            why = "removed behind Pathfinder's back" if instance is None else "not running"
            changed = container.to(Status.SCHEDULED, message=f"Its instance was {why}; it is being brought back.")
            return repair(Command.PROVISION, changed, Kind.CONTAINER_MISSING, why=why)
        if instance.address and instance.address != container.ipaddress:
            changed = replace(container, ipaddress=instance.address)
            return repair(None, changed, Kind.CONTAINER_PROVISIONED, ipaddress=instance.address)
    return None

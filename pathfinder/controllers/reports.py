"""What a report of an agent means for the container it is about."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pathfinder.controllers import retrying
from pathfinder.domain.attempts import Attempt
from pathfinder.domain.containers import Container
from pathfinder.domain.instances import Fault
from pathfinder.domain.lifecycle import RUNNING, TRANSITIONS, Status
from pathfinder.domain.messages import Command, Envelope, Kind, Report


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows: the container as it is now (None: unchanged), a fact to record, a command to answer with.

    `attempt` is the provision that failed, or the placement that did not stay well. With `left`, something of it may
    still be on its node, and run: until the node says that it is gone the placement's claim stands, and the container
    is not placed anew. `made`: a new instance was made on the node.
    """

    container: Container | None = None
    fact: Kind | None = None
    body: dict[str, Any] = field(default_factory=dict)
    command: Command | None = None
    attempt: Attempt | None = None
    left: bool = False
    made: bool = False


NOTHING = Verdict()


def judge(container: Container | None, report: Envelope, node_id: UUID, now: datetime) -> Verdict:
    """What `report` from node `node_id` means for `container` (None: there is no such container).

    A report of a placement that is no longer the container's own changes nothing; if it says that an instance runs
    there, the instance is to be deleted. Told twice, it means nothing the second time.
    """
    match report.kind:
        case Report.PROVISIONED:
            return _provisioned(container, report, node_id)
        case Report.PROVISION_FAILED:
            return _failed(container, report, node_id, now)
        case Report.PROGRESS:
            return _progress(container, report, node_id)
        case Report.DELETED:
            return _deleted(container, report, node_id)
        case Report.HEALTH if report.body.get("exhausted"):
            return _exhausted(container, report, node_id)
        case Report.UPDATED:
            return _updated(container, report, node_id)
    return NOTHING


def is_placement(container: Container | None, report: Envelope, node_id: UUID) -> bool:
    """Whether the report is about the container's present placement."""
    return container is not None and container.generation == report.generation and container.node_id == node_id


def _provisioned(container: Container | None, report: Envelope, node_id: UUID) -> Verdict:
    if container is None or not is_placement(container, report, node_id):
        return Verdict(command=Command.DELETE)
    address = report.body.get("ipaddress")
    if container.status in (Status.DELETED, Status.PROVISION_ERROR):
        return Verdict(command=Command.DELETE)
    if container.status == Status.LOST:
        return NOTHING  # said before its node went DOWN; the node's full list tells what is there when it is back
    if container.status in RUNNING:
        if container.ipaddress == address:
            return NOTHING
        return Verdict(replace(container, ipaddress=address), Kind.CONTAINER_PROVISIONED, {"ipaddress": address})
    if Status.PROVISIONED in TRANSITIONS[container.status]:
        changed = container.to(Status.PROVISIONED, ipaddress=address, message=None, attempts=0, retry_at=None)
        # A placement that had an address before was only brought back.
        return Verdict(changed, Kind.CONTAINER_PROVISIONED, {"ipaddress": address}, made=container.ipaddress is None)
    return NOTHING


def _failed(container: Container | None, report: Envelope, node_id: UUID, now: datetime) -> Verdict:
    if container is None or not is_placement(container, report, node_id) or container.status != Status.SCHEDULED:
        return NOTHING
    reason = str(report.body.get("reason") or "the agent gave no reason")
    if _has_instance(container, report):
        # By each inventory, for as long as it takes: the count is what has somebody told (container.crash_looping).
        message = f"{reason.rstrip('.')}. It is tried again."
        return Verdict(replace(container, message=message, attempts=container.attempts + 1))
    fault = Fault.REQUEST if report.body.get("fault") == Fault.REQUEST else Fault.NODE
    again = retrying.retry_at(container, fault, now)
    # What the agent kept, since it was there before, never ran: nothing is lost with it.
    left = bool(report.body.get("left") or report.body.get("kept"))
    changes: dict[str, Any] = {
        "message": retrying.message(container, fault, reason, again, left=left),
        "ipaddress": None,
        "attempts": container.attempts + 1,
        "retry_at": again,
    }
    if again is None:
        changed = container.to(Status.PROVISION_ERROR, **changes)
    else:
        elsewhere = {"node_id": None, "node": None, "decision_id": None, "waiting": False}
        changed = container.to(Status.PENDING, **changes, **elsewhere)
    body = {
        "reason": reason,
        "fault": fault,
        "attempt": changed.attempts,
        "max_attempts": container.max_attempts,
        "retry_at": None if again is None else again.isoformat(),
    }
    return Verdict(
        changed,
        Kind.CONTAINER_PROVISION_FAILED,
        body,
        # A command of this placement that comes again, late, must find that its time is over.
        Command.DELETE if left or fault == Fault.NODE else None,
        Attempt(container.id, container.generation, container.node or "", fault, reason),
        left,
    )


def _has_instance(container: Container, report: Envelope) -> bool:
    """Whether an instance that ran before is there, or may be: its disk is worth another try, not an end.

    An address is known from when the placement ran. An agent whose runtime did not answer could not look.
    """
    return bool(container.ipaddress and (report.body.get("kept") or not report.body.get("looked", True)))


def _progress(container: Container | None, report: Envelope, node_id: UUID) -> Verdict:
    if container is None or not is_placement(container, report, node_id) or container.status != Status.SCHEDULED:
        return NOTHING
    body = {"stage": report.body.get("stage"), "percent": report.body.get("percent")}
    return Verdict(fact=Kind.CONTAINER_PROGRESS, body=body)


def _deleted(container: Container | None, report: Envelope, node_id: UUID) -> Verdict:
    if container is None or not is_placement(container, report, node_id):
        return NOTHING
    if container.status != Status.SCHEDULE_DELETION:
        return NOTHING
    return Verdict(container.to(Status.DELETED, ipaddress=None, message=None), Kind.CONTAINER_DELETED)


def _exhausted(container: Container | None, report: Envelope, node_id: UUID) -> Verdict:
    """Restarts did not help a container there; it is placed anew, elsewhere if there is an elsewhere."""
    if container is None or not is_placement(container, report, node_id) or container.stateful:
        return NOTHING
    if container.status not in RUNNING or Status.PENDING not in TRANSITIONS[container.status]:
        return NOTHING
    said = report.body.get("message") or "it did not stay up"
    reason = f"{report.body.get('restarts')} restarts on {container.node} did not help: {said}"
    changed = container.to(
        Status.PENDING,
        node_id=None,
        node=None,
        ipaddress=None,
        message=f"{reason}. It is placed anew.",
        decision_id=None,
        waiting=False,
        attempts=1,  # this one: its node is avoided
        retry_at=None,
    )
    return Verdict(
        changed,
        Kind.CONTAINER_RESCHEDULED,
        {"from": container.node, "why": reason},
        Command.DELETE,
        Attempt(container.id, container.generation, container.node or "", Fault.NODE, reason),
        left=True,
    )


def _updated(container: Container | None, report: Envelope, node_id: UUID) -> Verdict:
    if container is None or not is_placement(container, report, node_id) or container.status not in RUNNING:
        return NOTHING
    if (reason := report.body.get("reason")) is not None:
        changed = replace(container, message=f"It was not updated: {reason}")
        return Verdict(changed, Kind.CONTAINER_UPDATE_FAILED, {"reason": str(reason)})
    well = container.status in (Status.PROVISIONED, Status.BOOTSTRAPPED)
    return Verdict(replace(container, message=None) if well else None, Kind.CONTAINER_UPDATED)

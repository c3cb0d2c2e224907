"""A status document as one screen: how it is, the tables, and at the end what is wrong and what to do."""

from collections.abc import Iterator, Mapping, Sequence

from pathfinder.cli.pfi import words
from pathfinder.cli.pfi.table import MISSING, Column, Columns, Table
from pathfinder.cli.pfi.terminal import Colour, harmless, painted
from pathfinder.domain.status import Finding, Overall, QueueStatus, RoleStatus, StandbyStatus, SystemStatus

_COLOURS = {
    "ok": Colour.GOOD,
    "ready": Colour.GOOD,
    "degraded": Colour.BUSY,
    "unready": Colour.BUSY,
    "warning": Colour.BUSY,
    "down": Colour.BAD,
    "critical": Colour.BAD,
}
_HEADLINES = {
    Overall.OK: "Pathfinder is ok.",
    Overall.DEGRADED: "Pathfinder is degraded: it works, but something is wrong.",
    Overall.DOWN: "Pathfinder is down: new containers cannot be run.",
}

ROLES: Columns[RoleStatus] = (
    Column("ROLE", lambda it: it.role),
    Column("HOST", lambda it: it.host),
    Column("PID", lambda it: str(it.pid)),
    Column("STATE", lambda it: _state(it), lambda it: _COLOURS.get(it.state)),
    Column("LEADER", lambda it: "yes" if it.leader else None),
    Column("VERSION", lambda it: it.version),
    Column("RUNS FOR", lambda it: words.age(it.started_at) if it.state != "down" else None),
)
ROLES_WIDE: Columns[RoleStatus] = (
    *ROLES,
    Column("HEARD", lambda it: f"{words.age(it.seen_at)} ago"),
    Column("LISTENS AT", lambda it: it.listen),
    Column("PARTS", lambda it: ", ".join(f"{part}: {said}" for part, said in sorted(it.parts.items()))),
)
QUEUES: Columns[QueueStatus] = (
    Column("QUEUE", lambda it: it.name),
    Column("MESSAGES", lambda it: str(it.messages)),
    Column("CONSUMERS", lambda it: str(it.consumers) if it.consumers >= 0 else None),
)
STANDBYS: Columns[StandbyStatus] = (
    Column("STANDBY", lambda it: it.name),
    Column("ADDRESS", lambda it: it.address),
    Column("STATE", lambda it: it.state),
    Column("BEHIND", lambda it: _behind(it)),
)


def screen(status: SystemStatus, *, wide: bool = False, colour: bool = False) -> list[str]:
    """The lines."""
    return [
        painted(_HEADLINES[status.health], _COLOURS[status.health] if colour else None),
        "",
        *Table(ROLES_WIDE if wide else ROLES, colour=colour).render(status.roles),
        "",
        *_queues(status, wide),
        "",
        *_facts(status),
        "",
        *_findings(status.findings, colour),
    ]


def _state(it: RoleStatus) -> str:
    return f"down, heard {words.age(it.seen_at)} ago" if it.state == "down" else it.state


def _behind(it: StandbyStatus) -> str | None:
    if it.lag_bytes is None:
        return None
    return f"{words.size(it.lag_bytes) or '0B'}, {it.lag_seconds or 0:.1f}s"


def _queues(status: SystemStatus, wide: bool) -> list[str]:
    broker = status.broker
    if not broker.reachable:
        return ["RabbitMQ does not answer; what is in its queues is not known."]
    rows = list(broker.queues)
    if broker.nodes.queues:
        name = f"{broker.nodes.queues} node queue{'s' if broker.nodes.queues != 1 else ''}"
        rows.append(QueueStatus(name=name, messages=broker.nodes.messages, consumers=-1))
        # Those that hold something are worth a look; wide shows the five first whatever they hold.
        rows += [one for one in broker.nodes.worst if wide or one.messages]
    return Table(QUEUES).render(rows)


def _facts(status: SystemStatus) -> Iterator[str]:
    outbox = status.outbox
    waits = f"{outbox.rows} to publish, the oldest for {words.span(outbox.oldest_seconds)}" if outbox.rows else "empty"
    held = f", and {outbox.held} that wait for a node's full queue" if outbox.held else ""
    yield f"Outbox:       {waits}{held}"
    yield f"Nodes:        {_counts(status.nodes)}"
    waiting = f" ({status.waiting} waiting for room)" if status.waiting else ""
    yield f"Containers:   {_counts(status.containers)}{waiting}"
    if status.survivability:
        yield f"Survives:     {harmless(str(status.survivability.get('summary', status.survivability)))}"
    if status.replication:
        yield ""
        yield from Table(STANDBYS).render(status.replication)
    else:
        yield "Standbys:     none"


def _counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in of.items()) or MISSING


def _findings(found: Sequence[Finding], colour: bool) -> Iterator[str]:
    if not found:
        yield "Nothing is wrong."
        return
    yield "What is wrong, and what to do:"
    for one in found:
        since = f" (for {words.age(one.since)})" if one.since else ""
        label = painted(f"{one.severity:<8}", _COLOURS.get(one.severity) if colour else None)
        yield f"  {label}  {harmless(one.summary)}{since}"
        yield f"            {harmless(one.advice)}"

"""Judging a whole Pathfinder: which processes count, what is wrong, and how bad that is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pathfinder.domain.status import BrokerStatus, Finding, OutboxStatus, Overall, RoleStatus

#: A process says every 5 s that it lives; three times missed, it does not.
SILENT_SECONDS = 15.0

#: An outbox row is published within milliseconds; at half a minute nobody publishes.
OLD_SECONDS = 30.0

#: Without one of these nothing new is run.
NEEDED = ("relay", "scheduler", "recorder")
WATCHING = "controller"

#: Kinds of findings that, where critical, stop all new work.
_STOPPING = ("service.down", "broker.down", "outbox.backlog", "node.none")

_ORDER = {"critical": 0, "warning": 1, "info": 2}
_LOST = {
    "relay": "what was asked for is kept, but nobody is told of it",
    "scheduler": "new containers are placed nowhere",
    "recorder": "what nodes report is not written down",
    "controller": "nobody notices nodes that die",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A row of a role, and how long ago it was written, in seconds."""

    role: str
    host: str
    pid: int
    version: str
    listen: str | None
    leader: bool
    parts: Mapping[str, str]
    started_at: datetime
    seen_at: datetime
    silent: float


def processes(rows: Iterable[Seen]) -> list[RoleStatus]:
    """The processes there are or should be, by role and host."""
    return [_process(row) for row in current(rows)]


def current(rows: Iterable[Seen]) -> list[Seen]:
    """The rows of processes there are or should be, by role and host.

    One that fell silent and was followed by a new one of its role is not missed: each new one replaces one old.
    """
    seen = sorted(rows, key=lambda row: (row.role, row.host, row.pid))
    alive = [row for row in seen if row.silent <= SILENT_SECONDS]
    fresh = sorted(alive, key=lambda row: row.started_at)
    missed = sorted((row for row in seen if row.silent > SILENT_SECONDS), key=lambda row: row.seen_at)
    for anywhere in (False, True):  # on their own hosts first
        for dead in list(missed):
            heirs = (row for row in fresh if row.role == dead.role and row.started_at > dead.seen_at)
            heir = next((row for row in heirs if anywhere or row.host == dead.host), None)
            if heir is not None:
                fresh.remove(heir)
                missed.remove(dead)
    return sorted([*alive, *missed], key=lambda row: (row.role, row.host, row.silent, row.pid))


def _process(row: Seen) -> RoleStatus:
    dead = row.silent > SILENT_SECONDS
    ready = all(words == "ok" for words in row.parts.values())
    return RoleStatus(
        role=row.role,
        host=row.host,
        pid=row.pid,
        version=row.version,
        listen=row.listen,
        leader=row.leader and not dead,
        state="down" if dead else "ready" if ready else "unready",
        parts=dict(row.parts),
        started_at=row.started_at,
        seen_at=row.seen_at,
    )


def findings(
    roles: Sequence[RoleStatus],
    broker: BrokerStatus,
    deaf: Sequence[str],
    outbox: OutboxStatus,
    nodes: Mapping[str, int],
    problems: Sequence[Finding],
) -> list[Finding]:
    """What is wrong, the worst first. `deaf` are READY nodes whose queue nobody reads; `problems` are the open ones.

    What is both seen here and an open problem is told once, in the problem's words: that knows since when.
    """
    known = {(one.kind, one.subject) for one in problems}
    live = [*_roles(roles), *_broker(broker, deaf), *_outbox(outbox), *_nodes(nodes, problems)]
    found = [*problems, *(one for one in live if (one.kind, one.subject) not in known)]
    return sorted(found, key=lambda one: (_ORDER.get(one.severity, 1), one.kind, one.subject))


def overall(found: Iterable[Finding]) -> Overall:
    """How it is altogether. A dead node is bad, but only what stops all new work is `down`."""
    counting = [one for one in found if one.severity != "info"]
    if any(one.severity == "critical" and one.kind in _STOPPING for one in counting):
        return Overall.DOWN
    return Overall.DEGRADED if counting else Overall.OK


def _roles(roles: Sequence[RoleStatus]) -> Iterable[Finding]:
    for role in (*NEEDED, WATCHING):
        mine = [one for one in roles if one.role == role]
        living = [one for one in mine if one.state != "down"]
        severity = "critical" if role in NEEDED else "warning"
        if not living:
            advice = f"Start it: `pathfinder up` on this machine, else `pathfinder run {role}`. Its log may say why."
            yield Finding(
                kind="service.down",
                severity=severity,
                subject=role,
                summary=f"No {role} runs: {_LOST[role]}.",
                advice=advice,
            )
    for one in roles:
        others = any(it.role == one.role and it.state != "down" for it in roles)
        if one.state == "down" and others:
            yield Finding(
                kind="service.down",
                severity="warning",
                subject=f"{one.role} on {one.host}",
                summary=f"The {one.role} on {one.host} (process {one.pid}) is gone; others do its work.",
                advice=f"See its log (`journalctl -u pathfinder@{one.role}`), and start it again; else it is forgotten "
                "after a day.",
                since=one.seen_at,
            )
        elif one.state == "unready":
            wrong = "; ".join(f"{part}: {words}" for part, words in sorted(one.parts.items()) if words != "ok")
            yield Finding(
                kind="service.unready",
                severity="warning",
                subject=f"{one.role} on {one.host}",
                summary=f"The {one.role} on {one.host} cannot work: {wrong}",
                advice="See that what it needs runs and can be reached from there; it goes on by itself then.",
            )


def _broker(broker: BrokerStatus, deaf: Sequence[str]) -> Iterable[Finding]:
    if not broker.reachable:
        yield Finding(
            kind="broker.down",
            severity="critical",
            subject="RabbitMQ",
            summary="RabbitMQ does not answer: nothing new is started. What runs goes on, what was asked for is kept.",
            advice="Start RabbitMQ (`pathfinder up` where it is embedded); PATHFINDER_BROKER_URL says where it is.",
        )
    for name in deaf[:5]:
        more = f" (and {len(deaf) - 5} more)" if len(deaf) > 5 and name == deaf[4] else ""
        yield Finding(
            kind="node.deaf",
            severity="warning",
            subject=name,
            summary=f"Node {name}{more} sends heartbeats, but listens for no commands.",
            advice=f"Restart its agent: `systemctl restart pathfinder@agent` on {name}.",
        )


def _outbox(outbox: OutboxStatus) -> Iterable[Finding]:
    if outbox.oldest_seconds > OLD_SECONDS:
        yield Finding(
            kind="outbox.backlog",
            severity="critical",
            subject="outbox",
            summary=f"{outbox.rows} messages wait to be published, the oldest for {outbox.oldest_seconds:.0f} s.",
            advice="See that a relay runs and is ready, and that RabbitMQ has disk and memory left.",
        )


def _nodes(nodes: Mapping[str, int], problems: Sequence[Finding]) -> Iterable[Finding]:
    total, ready, down = sum(nodes.values()), nodes.get("ready", 0), nodes.get("down", 0)
    states = [f"{count} {state}" for state, count in sorted(nodes.items())]
    if total and not ready:
        yield Finding(
            kind="node.none",
            severity="critical",
            subject="nodes",
            summary=f"No node takes containers: {', '.join(states)}.",
            advice="`pfi get nodes -o wide` shows them; start their agents, or `pfi uncordon node NAME`.",
        )
    elif down and not any(one.kind == "node.down" for one in problems):
        yield Finding(
            kind="node.down",
            severity="warning",
            subject="nodes",
            summary=f"{down} of {total} nodes {'is' if down == 1 else 'are'} DOWN: no heartbeat comes from there.",
            advice="`pfi get nodes --status DOWN` names them. See that the machine runs, and its agent on it.",
        )

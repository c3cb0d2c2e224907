"""Reading the event log without ever skipping a fact or telling it twice.

Two orders meet here. `seq` grows as rows are written, but rows appear when their transactions commit: a reader that
remembers only the highest `seq` it saw skips a row that was written earlier and committed later. So a reader looks
only at rows of transactions that are older than every running one (`xid` below the snapshot's xmin, the horizon), in
windows between two horizons, and by `seq` within a window.

Order per subject holds: a transaction that changes a container waits for the lock of the one before it, so it writes
its event later (greater `seq`) and cannot be finished while the other is running (never in an earlier window).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pathfinder.domain import views
from pathfinder.domain.errors import Invalid


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: everything of transactions below `low` was read, and of those from `low` to below `high`
    everything up to `seq`.
    """

    low: int = 0
    high: int = 0
    seq: int = 0

    def __str__(self) -> str:
        return f"{self.low}-{self.high}-{self.seq}"

    def covers(self, xid: int, seq: int) -> bool:
        """Whether the event of that transaction and number lies before this place."""
        return xid < self.low or (xid < self.high and seq <= self.seq)

    @classmethod
    def parse(cls, written: str) -> "Cursor":
        """The cursor that was written so; `0` is the beginning. Invalid if it is not one."""
        parts = written.split("-")
        if written == "0":
            return cls()
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
            raise Invalid(
                f"{written[:80]!r} is not a cursor; use one that a list or stream gave, or 0 for the beginning."
            )
        return cls(*(int(part) for part in parts))


#: Subjects of events that are of no cluster, though each event is told in one's log.
OF_NO_CLUSTER = ("user", "token", "webhook", "dead")


@dataclass(frozen=True, slots=True)
class Query:
    """Which events to read; an empty field does not narrow. `kinds` ending in a dot are prefixes, and so are
    `actors` ending in a colon.

    `within` are the only clusters whoever asks is for: then what is of no cluster is not told either.
    """

    cluster: str | None = None
    kinds: tuple[str, ...] = ()
    subject: UUID | None = None
    container: str | None = None
    node: str | None = None
    since: datetime | None = None
    actors: tuple[str, ...] = ()
    within: frozenset[str] | None = None

    def matches(self, event: views.Event) -> bool:
        """Whether `event` is asked for: the same rule as the SQL below, for live streams."""
        return (
            self.cluster in (None, event.cluster)
            and (not self.kinds or any(_begins(event.kind, one, ".") for one in self.kinds))
            and (not self.actors or any(_begins(event.actor, one, ":") for one in self.actors))
            and self.subject in (None, event.subject.id)
            and (self.container is None or (event.subject.type == "container" and event.subject.name == self.container))
            and (self.node is None or event.node == self.node)
            and (self.since is None or event.at >= self.since)
            and (self.within is None or (event.cluster in self.within and event.subject.type not in OF_NO_CLUSTER))
        )


def _begins(text: str, wanted: str, family: str) -> bool:
    return text == wanted or (wanted.endswith(family) and text.startswith(wanted))


class Logged(NamedTuple):
    """An event, and the transaction that wrote it."""

    xid: int
    event: views.Event


@dataclass(frozen=True, slots=True)
class Slice:
    """Some events in order, the cursor behind them, and whether committed ones are left to read."""

    events: list[Logged]
    cursor: Cursor
    more: bool


_HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


def _one_of(column: str, names: str, family: str) -> str:
    prefixes = f"unnest(CAST(:{names} AS text[])) AS p(prefix)"
    return (
        f"(e.{column} = ANY(:{names}) OR EXISTS (SELECT FROM {prefixes} "
        f"WHERE right(prefix, 1) = '{family}' AND starts_with(e.{column}, prefix)))"
    )


_CONDITIONS = {
    "cluster": "k.name = :cluster",
    "kinds": _one_of("kind", "kinds", "."),
    "actors": _one_of("actor", "actors", ":"),
    "subject": "e.subject_id = :subject",
    "container": "e.subject_type = 'container' AND e.subject_name = :container",
    "node": "e.node = :node",
    "since": "e.at >= :since",
    "within": f"k.name = ANY(:within) AND e.subject_type NOT IN {OF_NO_CLUSTER}",
}


async def now(tx: AsyncConnection) -> Cursor:
    """The cursor behind everything that is committed for good."""
    horizon = (await tx.execute(text(f"SELECT {_HORIZON}"))).scalar_one()
    return Cursor(horizon, horizon, 0)


async def read(tx: AsyncConnection, cursor: Cursor, query: Query, limit: int) -> Slice:
    """Up to `limit` events after `cursor` that match `query`, oldest first."""
    given: dict[str, Any] = {name: getattr(query, name) for name in _CONDITIONS if getattr(query, name)}
    for name in {"kinds", "actors"} & given.keys():
        given[name] = list(given[name])
    if query.within is not None:  # nor does whoever is for no cluster see any
        given["within"] = list(query.within)
    # A window that was begun is finished first; else one up to the horizon begins, never before where we are.
    begun = cursor.seq or cursor.high > cursor.low
    result = await tx.execute(
        text(_READ.format("".join(f" AND {_CONDITIONS[name]}" for name in given))),
        {"low": cursor.low, "begun": cursor.high if begun else None, "seq": cursor.seq, "limit": limit, **given},
    )
    rows = result.all()
    window = Cursor(cursor.low, rows[0].high, cursor.seq)
    events = [Logged(row.xid, _view(row, window)) for row in rows if row.seq is not None]
    if len(events) == limit:
        return Slice(events, Cursor(window.low, window.high, events[-1].event.seq), more=True)
    return Slice(events, Cursor(window.high, window.high, 0), more=rows[0].beyond)


# The window's end, and whether there is anything beyond, come with the events; alone where there are none.
_READ = f"""
    SELECT w.high, EXISTS (SELECT FROM events WHERE xid >= w.high) AS beyond, e.*
    FROM (SELECT COALESCE(CAST(:begun AS bigint), GREATEST(CAST(:low AS bigint), {_HORIZON})) AS high) AS w
    LEFT JOIN LATERAL (
        SELECT e.xid, e.seq, e.at, e.kind, k.name AS cluster, e.subject_type, e.subject_id, e.subject_name, e.node,
               e.actor, e.generation, e.trace_id, e.body, COALESCE(n.runtime = 'simulated', false) AS simulated
        FROM events AS e JOIN clusters AS k ON k.id = e.cluster_id
        LEFT JOIN nodes AS n ON n.hostname = COALESCE(e.node, CASE e.subject_type WHEN 'node' THEN e.subject_name END)
        WHERE e.xid >= :low AND e.xid < w.high AND e.seq > :seq {{}}
        ORDER BY e.seq LIMIT :limit
    ) AS e ON true
"""  # noqa: S608 - the text is put together from the constants above


def _view(row: Any, window: Cursor) -> views.Event:
    return views.Event.model_construct(
        cursor=str(Cursor(window.low, window.high, row.seq)),
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        cluster=row.cluster,
        subject=views.Subject.model_construct(type=row.subject_type, id=row.subject_id, name=row.subject_name),
        node=row.node,
        actor=row.actor,
        generation=row.generation,
        trace_id=row.trace_id,
        body=row.body,
        simulated=row.simulated,
    )

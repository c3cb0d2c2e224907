"""What `benchmarks.steady` found, as tables: how soon users are served, and what a fleet costs meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.arrivals import PAGE
from benchmarks.estate import HEARTBEAT_SECONDS
from benchmarks.figures import Result, Row, milliseconds, quantile
from pathfinder.embedded.roles import CONTROL_PLANE

#: Of p99, from the moment when a request was due.
REACH_SECONDS = 0.050
#: Of one core, for heartbeats alone.
REACH_SHARE = 0.30
#: What is judged by it.
COUNTED = (*CONTROL_PLANE, "postgres")

#: What is timed, by its name in a phase, and as it is shown; and of that, what is judged.
NAMES = {
    "scheduled": "SCHEDULED committed",
    "get": "get answered",
    "page": f"page of {PAGE} answered",
    "create": "create answered",
    "delete": "delete answered",
}
JUDGED = ("scheduled", "get", "page")


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of time with `rate` creates and deletes a second: the seconds of what was timed, how many requests
    were refused, each program's share of a core, and where nothing else went on, the leases renewed a second.
    """

    rate: float
    samples: dict[str, list[float]]
    refused: int
    shares: dict[str, float]
    renewed: float = 0.0

    @property
    def counted(self) -> float:
        """The share of a core that the control plane and PostgreSQL took together."""
        return sum(self.shares[name] for name in COUNTED)


def serving(size: str, phases: Sequence[Phase]) -> Result:
    """How soon users were served."""
    rows = []
    for phase in phases:
        rate = f"{phase.rate:g}"
        rows += [_timed(rate, key, phase.samples[key]) for key in NAMES if phase.samples[key]]
        rows.append(Row("refused", (rate, "", "", "", str(phase.refused)), phase.refused, "0", not phase.refused))
    return Result(
        title=f"Steady state, {size}: ms from when a request was due; p99 is judged",
        columns=("changes/s", "p50", "p99", "max", "n"),
        rows=tuple(rows),
        notes=(
            "Changes: as many creates as deletes, in turn and evenly, each sent when it is due whether or not earlier "
            "ones were answered. Gets and pages come on top, as evenly.",
            "Committed: when PostgreSQL announces the commit of the scheduler's transaction.",
            f"Each node beats meanwhile, every {HEARTBEAT_SECONDS:g} s. Nodes and users share the cores.",
        ),
        samples={f"{name}, {phase.rate:g}/s": phase.samples[key] for phase in phases for key, name in NAMES.items()},
    )


def _timed(rate: str, key: str, seconds: Sequence[float]) -> Row:
    p99 = quantile(seconds, 0.99)
    figures = (milliseconds(each) for each in (quantile(seconds, 0.5), p99, max(seconds)))
    target = (f"≤ {milliseconds(REACH_SECONDS)}", p99 <= REACH_SECONDS) if key in JUDGED else ()
    return Row(NAMES[key], (rate, *figures, f"{len(seconds):,}"), p99 * 1000, *target)


def costing(size: str, phases: Sequence[Phase], nodes: int, down: int) -> Result:
    """What it cost. The first phase is that of heartbeats alone, which is judged."""
    alone = phases[0]
    counted = tuple(f"{phase.counted:.1%}" for phase in phases)
    target = (f"≤ {REACH_SHARE:.0%}", alone.counted <= REACH_SHARE)
    rows = [Row("control plane and PostgreSQL", counted, alone.counted * 100, *target)]
    for name in (*COUNTED, *(name for name in phases[-1].shares if name not in COUNTED)):
        figures = tuple(f"{phase.shares[name]:.1%}" if name in phase.shares else "" for phase in phases)
        rows.append(Row(f"  {name}" if name in COUNTED else name, figures, alone.shares.get(name, 0.0) * 100))
    none = ("",) * (len(phases) - 1)
    due = nodes / HEARTBEAT_SECONDS
    heard = (f"≥ {0.95 * due:,.0f}", alone.renewed >= 0.95 * due)
    rows.append(Row("leases renewed/s", (f"{alone.renewed:,.0f}", *none), alone.renewed, *heard))
    rows.append(Row("nodes called DOWN", (f"{down}", *none), down, "0", not down))
    return Result(
        title=f"Steady state, {size}: % of one core; heartbeats alone are judged",
        columns=("heartbeats alone", *(f"{phase.rate:g} changes/s" for phase in phases[1:])),
        rows=tuple(rows),
        notes=(
            f"Counted: {', '.join(COUNTED)}, with all they do besides. RabbitMQ is shown apart. The herd, which plays "
            "the nodes, and the users are no part of Pathfinder.",
            f"A heartbeat is a message of its own, every {HEARTBEAT_SECONDS:g} s; lists of all instances are not sent.",
        ),
        samples={},
    )


def headline(phases: Sequence[Phase]) -> dict[str, Any]:
    """What scripts ask for. By rate, where there are several."""
    found: dict[str, Any] = {"heartbeats_percent_of_core": round(phases[0].counted * 100, 1)}
    for key in JUDGED:
        found[f"{key}_p99_ms"] = {
            f"{phase.rate:g}": round(quantile(phase.samples[key], 0.99) * 1000, 1)
            for phase in phases[1:]
            if phase.samples[key]
        }
    return found

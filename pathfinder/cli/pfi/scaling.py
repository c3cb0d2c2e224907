"""How a deployment is scaled by itself, as lines."""

from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import harmless
from pathfinder.cli.pfi.words import moment
from pathfinder.domain.autoscaling_views import AutoscalingState, Measured, MetricWish, ScalingDecision

DECISIONS: Columns[ScalingDecision] = (
    Column("AT", lambda it: moment(it.at)),
    Column("REPLICAS", lambda it: f"{it.before} -> {it.after}" if it.before != it.after else str(it.before)),
    Column("WHY", lambda it: why(it)),
)
WISHES: Columns[MetricWish] = (
    Column("METRIC", lambda it: it.name),
    Column("VALUE", lambda it: _number(it.value)),
    Column("TARGET", lambda it: _number(it.target)),
    Column("REPLICAS KNOWN", lambda it: str(it.measured) if it.measured is not None else None),
    Column("ASKS FOR", lambda it: str(it.replicas) if it.replicas is not None else None),
    Column("", lambda it: it.reason),
)
MEASURED: Columns[Measured] = (
    Column("METRIC", lambda it: it.metric),
    Column("ALL THERE IS TO DO", lambda it: _number(it.value)),
    Column("SINCE", lambda it: moment(it.at)),
)


def told(it: AutoscalingState) -> list[str]:
    """How it is scaled, what was measured last, and what was decided, the latest first and in full."""
    if it.rules is None:
        return [harmless(f"{it.deployment} is scaled by hand: {it.replicas} replicas are wanted, {it.ready} are ready")]
    bounds = f"between {it.rules.get('min')} and {it.rules.get('max')}"
    lines = [harmless(f"{it.deployment}: {it.replicas} replicas are wanted, {bounds}; {it.ready} are ready")]
    if it.measured:
        lines += ["", *Table(MEASURED).render(it.measured)]
    if not it.decisions:
        return [*lines, "", "nothing was changed yet, and nothing was in the way"]
    if it.decisions[0].metrics:
        lines += ["", f"decided {moment(it.decisions[0].at)}", *Table(WISHES).render(it.decisions[0].metrics)]
    return [*lines, "", *Table(DECISIONS).render(it.decisions)]


def why(it: ScalingDecision) -> str:
    """A decision's reason, and what was in the way of it."""
    parts = [it.reason, it.held, f"refused: {it.failed}" if it.failed else None]
    return "; ".join(one for one in parts if one)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"

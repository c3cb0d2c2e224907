"""Replays as images. Only whoever draws needs matplotlib: it is imported here, and nowhere else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pathfinder.cli.pfi.failures import Failed, Usage
from pathfinder.cli.pfi.words import moment, span
from pathfinder.domain.views import PolicyReplay, Replay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that people with any kind of colour vision tell apart (Okabe and Ito), and lines that differ without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STYLES = ("-", "--", "-.", ":")
ENDINGS = (".png", ".svg", ".pdf")

UNITS = ((86_400 * 3, 86_400, "days"), (3600 * 3, 3600, "hours"), (180, 60, "minutes"), (0, 1, "seconds"))


def check(path: Path) -> None:
    """Raise, before any work, if nothing could be drawn there."""
    if path.suffix.lower() not in ENDINGS:
        raise Usage(f"{path.name!r} is no image that can be drawn; let it end with {', '.join(ENDINGS)}")
    if not path.absolute().parent.is_dir():
        raise Usage(f"there is no directory {path.absolute().parent}")
    try:
        import matplotlib as _  # noqa: F401 - whether it is there
    except ImportError:
        raise Failed(
            "--plot needs matplotlib, which is not installed", "pip install 'pathfinder-orchestrator[plot]'"
        ) from None


def draw(found: Replay, path: Path) -> None:
    """Four courses over time and two comparisons, each policy in its own colour."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    length = found.at[-1] if found.at else 0.0
    _, unit, word = next(one for one in UNITS if length >= one[0])
    hours = [at / unit for at in found.at]
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 7.6), layout="constrained", dpi=110)
        figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)  # type: ignore[union-attr,call-arg]
        courses = figure.subplots(2, 3)
        share = PercentFormatter(1.0, decimals=0)
        _course(courses[0, 0], "Claimed CPU", hours, found, lambda it: it.series["cpu"])
        _course(courses[0, 1], "Nodes in use", hours, found, lambda it: it.series["nodes_used"])
        _course(courses[0, 2], "Imbalance: spread of the nodes' fill", hours, found, lambda it: it.series["imbalance"])
        _course(courses[1, 0], "Stranded CPU + memory", hours, found, _stranded)
        for axes in (courses[0, 0], courses[0, 2], courses[1, 0]):
            axes.yaxis.set_major_formatter(share)
        for axes in (*courses[0], courses[1, 0]):
            axes.set_xlabel(f"{word} since the start")
        _needed(courses[1, 1], found)
        _waited(courses[1, 2], found)
        figure.suptitle(
            f"Cluster {found.cluster}, {span(length)} since {moment(found.since)}: "
            f"{found.nodes} nodes, {found.containers} containers",
            fontsize=11,
            fontweight="bold",
        )
        figure.legend(
            *courses[0, 0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=min(len(found.policies), 6),
            frameon=False,
        )
        figure.savefig(path)


def _course(
    axes: "Axes", title: str, at: Sequence[float], found: Replay, of: Callable[[PolicyReplay], Sequence[float]]
) -> None:
    """A line for each policy. Those that lie on each other are told apart by their dashes."""
    for number, one in enumerate(found.policies):
        axes.plot(
            at,
            of(one),
            label=one.policy,
            color=COLOURS[number % len(COLOURS)],
            linestyle=STYLES[number % len(STYLES)],
            linewidth=1.6,
            drawstyle="steps-post",
        )
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.grid(axis="y", alpha=0.25)


def _stranded(it: PolicyReplay) -> list[float]:
    return [cpu + memory for cpu, memory in zip(it.series["stranded_cpu"], it.series["stranded_memory"], strict=True)]


def _needed(axes: "Axes", found: Replay) -> None:
    """A bar for each policy, with the range of its trials, and where all nodes are."""
    rows = range(len(found.policies))
    values = [one.needed.nodes for one in found.policies]
    axes.barh(rows, values, color=[COLOURS[row % len(COLOURS)] for row in rows], height=0.62)
    for row, one in zip(rows, found.policies, strict=True):
        axes.plot([one.needed.least, one.needed.most], [row, row], color="black", linewidth=1.2, marker="|")
        axes.annotate(
            f"{one.needed.nodes}", (max(one.needed.most, one.needed.nodes), row), (5, 0), textcoords="offset points",
            va="center",
        )  # fmt: skip
    most = max((one.needed.of for one in found.policies), default=0)
    axes.axvline(most, color="grey", linestyle=":", linewidth=1)
    axes.set_xlim(0, most * 1.12 + 1)
    _named(axes, found, "Nodes needed at the peak")
    axes.set_xlabel(f"of {most} nodes (dotted), with the range of the trials")


def _waited(axes: "Axes", found: Replay) -> None:
    """How long the unluckiest hundredth waited; beside it, how many never found a place."""
    rows = range(len(found.policies))
    values = [one.pending_p99_seconds for one in found.policies]
    axes.barh(rows, values, color=[COLOURS[row % len(COLOURS)] for row in rows], height=0.62)
    for row, one in zip(rows, found.policies, strict=True):
        never = f", {one.never_placed} never placed" if one.never_placed else ""
        text = f"{span(one.pending_p99_seconds)}{never}"
        axes.annotate(text, (one.pending_p99_seconds, row), (5, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, max(values, default=0.0) * 1.6 or 1.0)
    axes.set_xlabel("seconds" if any(values) else "at most one in a hundred waited")
    if not any(values):
        axes.set_xticks([])
    _named(axes, found, "Wait for a place, 99th percentile")


def _named(axes: "Axes", found: Replay, title: str) -> None:
    axes.set_yticks(range(len(found.policies)), [one.policy for one in found.policies])
    axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)

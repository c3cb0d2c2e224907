"""Traces that were played through scaling rules, as images. Only whoever draws needs matplotlib."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pathfinder.cli.pfi.plotting import COLOURS, STYLES, UNITS
from pathfinder.controllers.scaling_trace import Course
from pathfinder.domain.autoscaling import Autoscaling

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(rules: Autoscaling, played: Mapping[str, Course], path: Path) -> None:
    """Above, what the load needs and what the rules gave; below, the same of the plain ratio. Orange: too few."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 3.2 * len(played) + 0.6), layout="constrained", dpi=110)
        courses = figure.subplots(len(played), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, course) in zip(courses, played.items(), strict=True):
            _course(axes, name, course)
        figure.suptitle(
            f"Between {rules.min} and {rules.max} replicas by {', '.join(one.called for one in rules.metrics)}",
            fontsize=11,
            fontweight="bold",
        )
        figure.legend(*courses[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path)


def _course(axes: "Axes", name: str, course: Course) -> None:
    length = course.at[-1] - course.at[0]
    _, unit, word = next(one for one in UNITS if length >= one[0])
    at = [(one - course.at[0]) / unit for one in course.at]
    axes.plot(at, course.needed, color="grey", linewidth=0.8, label="needed by the load")
    axes.step(at, course.wanted, where="post", color=COLOURS[0], linestyle=STYLES[0], linewidth=1.6, label="wanted")
    axes.step(at, course.ready, where="post", color="black", linestyle=STYLES[3], linewidth=0.9, label="ready")
    short = [ready < needed for ready, needed in zip(course.ready, course.needed, strict=True)]
    axes.fill_between(at, course.ready, course.needed, where=short, color=COLOURS[1], alpha=0.5, label="short")
    axes.set_title(
        f"{name}: {course.changes} changes, {course.reversals} reversals, {course.short_seconds:.0f} s short",
        loc="left",
        fontsize=10,
    )
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.grid(axis="y", alpha=0.25)
    axes.set_ylabel("replicas")
    axes.set_xlabel(f"{word} since the start")

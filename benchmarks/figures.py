"""Figures out of samples, and how they are shown."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, its figures as text, and whether it reaches its target (None: has none).

    A figure is kept in `value`, with its unit in the table's title.
    """

    name: str
    figures: tuple[str, ...]
    value: float
    target: str = ""
    reached: bool | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark: its table, what it says about how it was measured, and the raw samples."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    samples: dict[str, list[float]]

    def as_json(self) -> dict[str, Any]:
        """For the results directory."""
        return asdict(self)

    def show(self, console: Console) -> None:
        """Print it."""
        table = Table(title=self.title, title_justify="left")
        table.add_column("")
        for column in (*self.columns, "target"):
            table.add_column(column, justify="right")
        table.add_column("")
        for row in self.rows:
            table.add_row(row.name, *row.figures, row.target, {None: "", True: "reached", False: "MISSED"}[row.reached])
        console.print(table)
        for note in self.notes:
            console.print(f"  {note}", soft_wrap=True)


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of the samples do not exceed (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds, to three digits."""
    value = seconds * 1000
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def keep(
    name: str, machine: Mapping[str, str], results: Sequence[Result], headline: Mapping[str, Any] | None = None
) -> Path:
    """Write results and what they were measured on to the results directory; the file.

    `headline`: what scripts ask for, kept beside the results, each figure with its unit in its name.
    """
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}-{name}.json"
    tables = [result.as_json() for result in results]
    document = {"at": now.isoformat(), **(headline or {}), "machine": machine, "results": tables}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return path

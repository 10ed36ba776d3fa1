# SPDX-License-Identifier: GPL-2.0-only
"""What nightly's histories say: the line of each cell of a series, and where it moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.board import drawing
from harness.report.table import Table, columns
from harness.studies.nightly import store, text, trend
from harness.studies.nightly.trend import TrendLine


@dataclass(frozen=True, slots=True)
class Nights:
    """The lines of all histories below a folder of results."""

    lines: tuple[TrendLine, ...]

    def of(self, series: str) -> list[TrendLine]:
        """The lines of a series: its name is what nightly.yaml calls it."""
        return [line for line in self.lines if line.subject == series]

    @property
    def moved(self) -> list[TrendLine]:
        """Those whose level moved at their newest point."""
        return [line for line in self.lines if line.marks[-1].shift]

    def moved_table(self) -> Table:
        """These as a table."""
        rows = tuple((line.title, text.moved(line.marks[-1])) for line in self.moved)
        return Table("", columns("line", "what", names=2), rows)

    def as_data(self) -> list[Any]:
        """The moved ones as plain values."""
        return [list(row) for row in self.moved_table().rows]


def nights(results: Path, histories: Sequence[Path]) -> Nights:
    """Read every history; one without a night says nothing yet."""
    lines: list[TrendLine] = []
    for path in histories:
        with store.reading(path) as history:
            if history.nights():
                name = path.parent.relative_to(results).as_posix()
                lines += trend.read(history, name=name).lines
    return Nights(tuple(lines))


def figure(line: TrendLine) -> Markup:
    """A line's points, oldest first."""
    points = [
        (mark.label, one.estimate_pct, one.low_pct, one.high_pct, mark.shift is not None)
        for mark in line.marks
        if (one := mark.estimate).estimate_pct is not None
    ]
    return drawing.trend(points, line.margin, line.title)


def notes(line: TrendLine) -> list[str]:
    """Where its level moved, in sentences."""
    return [f"At {mark.label} the {text.moved(mark)}." for mark in line.shifts]


def data(line: TrendLine) -> list[Any]:
    """The line as plain values."""
    return [line.title, line.margin, [
        [mark.label, mark.comparison.night, mark.estimate.estimate_pct, mark.estimate.low_pct,
         mark.estimate.high_pct, mark.estimate.verdict, text.moved(mark)]
        for mark in line.marks
    ]]  # fmt: skip

# SPDX-License-Identifier: GPL-2.0-only
"""The trend as figures: one a metric, its points with their intervals, its change points."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from harness.report.canvas import COLOURS, GRID, INK, MARKERS, Plot, figure, plot, style
from harness.report.numbers import change, interval
from harness.studies.nightly.text import moved
from harness.studies.nightly.trend import Trend, TrendLine, TrendPoint
from harness.util.escape import visible

_MOST_POINTS = 60
_MOST_LABELS = 12
_MOST_FIGURES = 60


def draw(trend: Trend) -> list[Plot]:
    """A figure for each line with a figure to show, the most telling lines first."""
    with style():
        return [one for line in trend.lines[:_MOST_FIGURES] for one in _draw(line)]


def _draw(line: TrendLine) -> Iterator[Plot]:
    marks = line.marks[-_MOST_POINTS:]
    if all(mark.estimate.estimate_pct is None for mark in marks):
        return
    canvas, axes = figure(2.6)
    if line.margin is not None:
        # A factor of 1 + margin either way.
        low = -100 * line.margin / (100 + line.margin)
        axes.axhspan(low, line.margin, facecolor=GRID, alpha=0.55, linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.8)
    for place, mark in enumerate(marks):
        _point(axes, place, mark)
    _levels(axes, marks)
    every = max(1, -(-len(marks) // _MOST_LABELS))
    names = [visible(mark.label) for mark in marks]
    turn = {"rotation": 45, "ha": "right"} if max(map(len, names)) > 4 else {}
    axes.set_xticks(range(0, len(marks), every), names[::every], **turn)
    axes.set_xlim(-0.6, len(marks) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("change from the base, %")
    axes.set_title(visible(f"{line.cell}: {line.metric}"), loc="left")
    said = "; ".join(f"{m.label} {change(m.estimate)} {interval(m.estimate)}" for m in marks)
    shifts = " ".join(f"At {mark.label} the {moved(mark)}." for mark in marks if mark.shift)
    # Two lines may have one cell and metric: of another subject, base or suite.
    key = hashlib.sha256(line.title.encode()).hexdigest()[:8]
    yield plot(
        canvas,
        f"trend-{line.subject}-{line.cell}-{line.metric}-{key}",
        "trend",
        (
            visible(line.title),
            visible(f"Change with 95 % interval, oldest first: {said}. {shifts}".strip()),
            "Square and whisker: estimate and 95 % interval of one comparison. Grey band: the "
            "declared margin. Dashed: a change point; thick line: the mean on either side of it. "
            + visible(shifts),
        ),
    )


def _point(axes: Any, place: int, mark: TrendPoint) -> None:
    one = mark.estimate
    if one.estimate_pct is None:
        axes.plot([place], [0], "x", color=INK, markersize=5)
        return
    if one.low_pct is not None and one.high_pct is not None:
        axes.plot([place] * 2, [one.low_pct, one.high_pct], color=COLOURS["patch"], linewidth=1.6)
    axes.plot([place], [one.estimate_pct], MARKERS["patch"], color=COLOURS["patch"], markersize=5)


def _levels(axes: Any, marks: tuple[TrendPoint, ...]) -> None:
    places = [place for place, mark in enumerate(marks) if mark.shift is not None]
    if not places:
        return
    for start, end in zip([0, *places], [*places, len(marks)], strict=True):
        values = [m.estimate.estimate_pct for m in marks[start:end]]
        there = [value for value in values if value is not None]
        if there:
            level = sum(there) / len(there)
            axes.plot(
                [start - 0.4, end - 0.6],
                [level] * 2,
                color=COLOURS["base"],
                linewidth=2.2,
                alpha=0.7,
            )
        if start:
            axes.axvline(start - 0.5, color=INK, linewidth=0.8, linestyle="--")

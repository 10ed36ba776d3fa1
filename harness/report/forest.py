# SPDX-License-Identifier: GPL-2.0-only
"""The forest plot: every primary metric with its interval, its margin and its noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.report.canvas import COLOURS, GRID, INK, MARKERS, Plot, figure, plot
from harness.report.model import Estimate, Report
from harness.report.numbers import change, interval

_AA = "Open circle and thin line: control against base, what no change looks like here. "
_LIFT = 0.24  # how far A/A lies below its row, in rows


def draw(report: Report) -> Iterator[Plot]:
    """One figure, if any primary metric has an estimate."""
    rows = [row for row in report.primary if row.change.estimate_pct is not None]
    if not rows:
        return
    canvas, axes = figure(1.45 + 0.46 * len(rows))
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, row in enumerate(rows):
        _margin(axes, place, row)
        _estimate(axes, place, row)
    names = [f"{row.backend}\n{row.workload}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
    axes.set_xlabel("change from base to patch, %")
    canvas.legend(handles=_legend(rows), loc="outside lower center", ncols=3, fontsize=8)
    said = "; ".join(
        f"{row.backend} {row.workload} {row.name} {change(row.change)} {interval(row.change)}"
        + (f", {row.verdict.kind}" if row.verdict is not None else "")
        for row in rows
    )
    yield plot(
        canvas,
        "change",
        "change",
        (
            "Change of the primary metrics",
            f"Estimated change with 95 % interval: {said}.",
            "Filled square and line: estimate and 95 % interval. Grey band: the declared margin, "
            f"inside which a change is of no matter. {_AA if report.has_control else ''}The "
            "vertical line is no change.",
        ),
    )


def _margin(axes: Any, place: int, row: Estimate) -> None:
    margin = row.verdict.margin_pct if row.verdict is not None else None
    if margin is not None:
        # A factor of 1 + margin either way.
        low = -100 * margin / (100 + margin)
        box = (low, margin - low)
        axes.broken_barh([box], (place - 0.42, 0.84), facecolor=GRID, alpha=0.55, linewidth=0)


def _estimate(axes: Any, place: int, row: Estimate) -> None:
    low, high = row.change.low_pct, row.change.high_pct
    if low is not None and high is not None:
        axes.plot([low, high], [place, place], color=COLOURS["patch"], linewidth=2.2)
    style = {"color": COLOURS["patch"], "markersize": 6}
    axes.plot([row.change.estimate_pct], [place], MARKERS["patch"], **style)
    if row.noise is None or row.noise.change.estimate_pct is None:
        return
    aa = row.noise.change
    if aa.low_pct is not None and aa.high_pct is not None:
        ends = [aa.low_pct, aa.high_pct]
        axes.plot(ends, [place + _LIFT] * 2, color=COLOURS["base"], linewidth=1)
    open_ = {"color": COLOURS["base"], "markersize": 4.5, "markerfacecolor": "none"}
    axes.plot([aa.estimate_pct], [place + _LIFT], MARKERS["base"], **open_)


def _legend(rows: list[Estimate]) -> list[Any]:
    lines: list[Any] = [
        Line2D(
            [], [], color=COLOURS["patch"], marker=MARKERS["patch"], markersize=5, label="change"
        )
    ]
    if any(row.noise is not None for row in rows):
        open_: dict[str, Any] = {"color": COLOURS["base"], "marker": MARKERS["base"]}
        open_ |= {"markerfacecolor": "none", "markersize": 4.5}
        lines.append(Line2D([], [], linewidth=1, label="A/A", **open_))
    if any(row.verdict is not None and row.verdict.margin_pct is not None for row in rows):
        lines.append(Patch(facecolor=GRID, alpha=0.55, label="margin"))
    return lines

# SPDX-License-Identifier: GPL-2.0-only
"""Every arm with its interval, a figure for each primary metric."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.canvas import COLOURS, GRID, INK, MARKERS, Plot, figure, plot, style
from harness.report.numbers import change, interval
from harness.studies.arms.analysis import ArmStudy, MetricLine
from harness.util.escape import visible


def draw(study: ArmStudy) -> list[Plot]:
    """A figure for each primary metric of a cell that has an estimate."""
    with style():
        return [one for line in study.primary for one in _line(study, line)]


def _line(study: ArmStudy, line: MetricLine) -> Iterator[Plot]:
    shown = [one for one in line.effects if one.verdict.change.estimate_pct is not None]
    if not shown:
        return
    canvas, axes = figure(1.3 + 0.4 * len(shown))
    axes.axvline(0, color=INK, linewidth=0.8)
    margin = shown[0].verdict.margin_pct
    if margin is not None:
        low = -100 * margin / (100 + margin)
        axes.axvspan(low, margin, facecolor=GRID, alpha=0.55, linewidth=0)
    for place, one in enumerate(shown):
        own = one.verdict.change
        if own.low_pct is not None and own.high_pct is not None:
            ends = [own.low_pct, own.high_pct]
            axes.plot(ends, [place, place], color=COLOURS["patch"], linewidth=2.2)
        axes.plot(
            [own.estimate_pct], [place], MARKERS["patch"], color=COLOURS["patch"], markersize=6
        )
    axes.set_yticks(range(len(shown)), [visible(one.arm) for one in shown])
    axes.set_ylim(len(shown) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
    axes.set_xlabel(visible(f"change from {study.reference}, %"))
    axes.set_title(visible(f"{line.cell}: {line.metric}"), loc="left")
    said = "; ".join(
        f"{one.arm} {change(one.verdict.change)} {interval(one.verdict.change)}" for one in shown
    )
    yield plot(
        canvas,
        f"arms-{line.cell}",
        "arms",
        (
            f"{line.metric} of {line.backend} {line.workload}, every arm",
            f"Change from {study.reference} with {study.level:.3g} % interval: {said}.",
            f"Square and line: estimate and {study.level:.3g} % interval. Grey band: the declared "
            f"margin. The vertical line is no change from {study.reference}.",
        ),
    )

# SPDX-License-Identifier: GPL-2.0-only
"""The waterfall: each patch's step from the base to the whole series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.report.canvas import COLOURS, INK, Plot, figure, plot, style
from harness.report.numbers import change, interval
from harness.stats.verdict import Kind
from harness.studies.walk.analysis import MetricWalk, Walk, WalkPoint
from harness.studies.walk.text import label
from harness.util.escape import visible

_MOST_LABELS = 24
_JUDGED = (Kind.WORSE, Kind.BETTER)


def draw(walk: Walk, arm: str = "") -> list[Plot]:
    """A figure for each line that has values; ``arm`` is whose, where there are several."""
    with style():
        return [one for line in walk.lines for one in _waterfall(walk, line, arm)]


def _waterfall(walk: Walk, line: MetricWalk, arm: str) -> Iterator[Plot]:
    marks = [mark for mark in line.marks if mark.whole.change.estimate_pct is not None]
    if not marks:
        return
    canvas, axes = figure(3.0)
    axes.axhline(0, color=INK, linewidth=0.8)
    level, last = 0.0, marks[0].number - 1
    for mark in marks:
        level = _bar(axes, mark, level, last)
        last = mark.number
    stops = [stop.number for stop in walk.stops]
    lacking = [number for number in stops if number not in {mark.number for mark in marks}]
    if lacking:
        axes.plot(lacking, [0] * len(lacking), "x", color=INK, markersize=5)
    every = max(1, -(-len(stops) // _MOST_LABELS))
    axes.set_xticks(stops[::every], [str(number) for number in stops[::every]])
    axes.set_xlim(min(stops) - 0.6, max(stops) + 0.6)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("patch")
    axes.set_ylabel("change from the base, %")
    whose = f"{arm}, " if arm else ""
    axes.set_title(visible(f"{whose}{line.cell}: {line.metric}"), loc="left")
    words = "; ".join(
        f"patch {label(mark)} {change(mark.own.change)} {interval(mark.own.change)}"
        for mark in marks
    )
    missing = f" No value at patch {', '.join(map(str, lacking))}." if lacking else ""
    yield plot(
        canvas,
        f"waterfall-{f'{arm}-' if arm else ''}{line.cell}",
        "waterfall",
        (
            f"{whose}{line.metric} of {line.backend} {line.workload}, patch by patch",
            f"Change of {line.metric} at each patch with {walk.level:.3g} % interval: "
            f"{words}.{missing}",
            "A bar goes from the level before the patch to the level after it; plain up, hatched "
            "down, pale where the patch on its own has no verdict of worse or better. Whiskers: "
            f"{walk.level:.3g} % interval of the change from the base. A cross: no value at that "
            "patch.",
        ),
    )


def _bar(axes: Any, mark: WalkPoint, before: float, last: int) -> float:
    """Draw the step from a level at patch ``last``; gives the one after it, in % of the base."""
    whole = mark.whole.change
    after = float(whole.estimate_pct or 0.0)
    axes.plot([last, mark.number], [before, before], ":", color=INK, linewidth=0.8)
    axes.bar(
        mark.number,
        after - before,
        bottom=before,
        width=0.7,
        color=COLOURS["patch" if after > before else "base"],
        alpha=1.0 if mark.own.kind in _JUDGED else 0.35,
        hatch="" if after > before else "//",
        edgecolor=INK,
        linewidth=0.4,
    )
    if whole.low_pct is not None and whole.high_pct is not None:
        axes.plot([mark.number] * 2, [whole.low_pct, whole.high_pct], color=INK, linewidth=1.2)
    return after

# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a report as SVG and PNG; the same input gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.report import forest, latency, order, scaling, timeline
from harness.report.canvas import COLOURS, GRID, MARKERS, STYLES, Plot, figure, plot, style
from harness.report.model import Estimate, Report
from harness.report.numbers import number, short
from harness.results.frames import ARMS, Frames
from harness.results.histogram import Histogram, merge
from harness.results.manifest import clock_unit

_NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


def draw(report: Report, data: Frames) -> list[Plot]:
    """All figures of a report, in the order of the page."""
    with style():
        return [
            *forest.draw(report),
            *(one for row in report.primary for one in _cost(row)),
            *order.draw(report),
            *scaling.draw(report),
            *_latencies(report, data),
            *timeline.draw(data, report.clock),
        ]


def _cost(row: Estimate) -> Iterator[Plot]:
    """A dot a boot, a line a pair."""
    pairs = row.both
    if not pairs:
        return
    canvas, axes = figure(2.9)
    for both in pairs:
        axes.plot([0, 1], both, color=GRID, linewidth=1, zorder=1)
    for place, arm in enumerate(ARMS):
        values = [pair[place] for pair in pairs]
        style = {"color": COLOURS[arm], "marker": MARKERS[arm], "linestyle": "none"}
        axes.plot([place] * len(values), values, markersize=4.5, alpha=0.8, zorder=3, **style)
        axes.plot(
            [place - 0.16, place + 0.16], [np.median(values)] * 2, color=COLOURS[arm], linewidth=2
        )
    axes.set_xticks([0, 1], ARMS)
    axes.set_xlim(-0.4, 1.4)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel(f"{row.name}, {row.unit}")
    axes.set_title(row.cell, loc="left")
    yield plot(
        canvas,
        f"cost-{row.cell}",
        "cost",
        (
            f"{row.name} of {row.backend} {row.workload}",
            f"{row.name} of {len(pairs)} pairs of boots: median {number(row.base.median)} base, "
            f"{number(row.patch.median)} patch, {row.unit}.",
            "A dot is a boot, a thin line joins the two boots of a pair, a bar is the median. "
            "The axis does not begin at zero.",
        ),
    )


def _nines(share: float) -> float:
    return -math.log10(1 - share)


def _curve(hist: Histogram) -> tuple[list[float], list[float]]:
    """Latency against share, on the axis of nines; the last point, at 100 %, has no place on it."""
    points = hist.ecdf()
    rest = 0.5 / hist.total
    return [max(x, 1) for x, _ in points], [_nines(min(share, 1 - rest)) for _, share in points]


def _latencies(report: Report, data: Frames) -> Iterator[Plot]:
    merged = latency.merged(data)
    if merged.empty:  # an empty list would choose columns, not rows
        return
    usable = data.boots[data.boots["usable"]]
    good = set(zip(usable["cell"], usable["pair"], usable["arm"], strict=True))
    keep = [key in good for key in zip(merged["cell"], merged["pair"], merged["arm"], strict=True)]
    groups = merged[keep].groupby(["cell", "name", "phase", "unit"], sort=True)
    for key, group in groups:
        cell, name, phase, unit = map(str, key)
        by_arm = {arm: list(group[group["arm"] == arm]["hist"]) for arm in ARMS}
        by_arm = {arm: [h for h in hists if h.total] for arm, hists in by_arm.items()}
        kinds = {hist.sub_bits for hists in by_arm.values() for hist in hists}
        if all(by_arm.values()) and len(kinds) == 1:
            shown = clock_unit(unit, report.clock)
            where = f"{cell}, phase {phase}" if phase else cell
            yield _latency(by_arm, f"latency-{cell}-{name}-{phase}", f"{name} of {where}", shown)


def _latency(by_arm: dict[str, list[Histogram]], slug: str, title: str, unit: str) -> Plot:
    canvas, axes = figure(3.0)
    words = []
    for arm in ARMS:
        style = {"color": COLOURS[arm], "linestyle": STYLES[arm]}
        for one in by_arm[arm] if len(by_arm[arm]) > 1 else []:
            axes.step(*_curve(one), where="post", alpha=0.25, linewidth=0.7, **style)
        whole = merge(by_arm[arm])
        axes.step(*_curve(whole), where="post", linewidth=1.8, label=arm, **style)
        shown = ", ".join(f"p{p:g} {number(whole.percentile(p))}" for p in (50, 90, 99))
        words.append(f"{arm}: {shown}")
    total = max(merge(by_arm[arm]).total for arm in ARMS)
    ticks = [share for share in _NINES if _nines(share) <= _nines(1 - 0.5 / total)]
    axes.set_xscale("log")
    _decimal_ticks(axes)
    axes.set_yticks([_nines(share) for share in ticks], [f"{100 * share:g} %" for share in ticks])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"latency, {unit}")
    axes.set_ylabel("share that took at most this")
    axes.legend(loc="upper left")
    axes.set_title(title, loc="left")
    return plot(
        canvas,
        slug,
        "latency",
        (
            f"Latency of {title}",
            f"Cumulative distribution of the latency of {title}, {unit}; {'; '.join(words)}.",
            "Thick: all boots together; thin: single boots. The vertical axis stretches the tail; "
            "where one curve lies to the right, that kernel is slower.",
        ),
    )


def _decimal_ticks(axes: Any) -> None:
    """Plain numbers at 1, 2 and 5 of each decade: a narrow range may hold no power of ten."""
    low, high = axes.get_xlim()
    low = max(low, 0.5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(inside, [short(tick) for tick in inside])
    axes.set_xticks([], minor=True)
    axes.set_xlim(low, high)

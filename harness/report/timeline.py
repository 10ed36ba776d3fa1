# SPDX-License-Identifier: GPL-2.0-only
"""Counters over time: one figure for each cell, of one pair of boots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report.canvas import COLOURS, STYLES, Plot, figure, plot
from harness.report.numbers import number, short
from harness.results.frames import ARMS, Frames

_FIELDS = (
    "pswpin", "pswpout", "zswpin", "zswpout", "zswpwb", "swpin_zero", "swpout_zero",
    "pgmajfault",
)  # fmt: skip
_MOST = 5
_NS_PER_MS = 1e6
_LABEL_SHARE = 0.08


@dataclass(frozen=True, slots=True)
class _Counter:
    """One counter; curves: by arm, the times (see `draw`) and the values, which begin at 0."""

    name: str
    unit: str
    curves: dict[str, tuple[list[float], list[float]]]


@dataclass(frozen=True, slots=True)
class _Span:
    """A phase of one arm, same time axis."""

    arm: str
    phase: str
    begin: float
    end: float


def draw(data: Frames, clock: str) -> Iterator[Plot]:
    """For each cell, its first pair whose both boots count and have samples.

    Time is in ms (million instructions under that clock) from the first mark.
    """
    samples = data.samples[data.samples["probe"] == "vmstat"]
    if samples.empty:
        return
    compared = data.boots["arm"].isin(ARMS)
    usable = data.boots[data.boots["usable"] & compared & (data.boots["samples"] > 1)]
    for cell, boots in usable.groupby("cell", sort=True):
        arms = boots.groupby("pair")["arm"].nunique()
        complete = sorted(arms[arms == len(ARMS)].index)
        if complete:
            pair = int(complete[0])
            mine = samples[(samples["cell"] == cell) & (samples["pair"] == pair)]
            zero = {arm: _zero(mine[mine["arm"] == arm]) for arm in ARMS}
            counters = list(_counters(mine, zero))
            if counters:
                spans = list(_spans(data.phases, cell, pair, zero))
                yield _plot(str(cell), pair, counters, spans, clock)


def _zero(samples: pd.DataFrame) -> int:
    """Time of the first mark, or of the first sample if there is none."""
    marks = samples[samples["reason"].astype(str).str.startswith("mark:")]
    times = (samples if marks.empty else marks)["t_ns"]
    return int(times.min()) if len(times) else 0


def _counters(samples: pd.DataFrame, zero: dict[str, int]) -> Iterator[_Counter]:
    """The first few counters of the list that move in either arm."""
    found = 0
    for field in _FIELDS:
        rows = samples[samples["field"] == field]
        curves = {}
        for arm in ARMS:
            mine = rows[(rows["arm"] == arm) & (rows["t_ns"] >= zero[arm])]
            if len(mine):
                times = [(t - zero[arm]) / _NS_PER_MS for t in mine["t_ns"]]
                first = mine["value"].iloc[0]
                curves[arm] = (times, [float(value - first) for value in mine["value"]])
        if any(max(values) > 0 for _, values in curves.values()) and found < _MOST:
            found += 1
            yield _Counter(field, str(rows["unit"].iloc[0]), curves)


def _spans(phases: pd.DataFrame, cell: Any, pair: int, zero: dict[str, int]) -> Iterator[_Span]:
    mine = phases[(phases["cell"] == cell) & (phases["pair"] == pair) & phases["arm"].isin(ARMS)]
    for row in mine.itertuples():
        begin, end = ((t - zero[row.arm]) / _NS_PER_MS for t in (row.begin_ns, row.end_ns))
        yield _Span(str(row.arm), str(row.name), begin, end)


def _plot(
    cell: str, pair: int, counters: Sequence[_Counter], spans: Sequence[_Span], clock: str
) -> Plot:
    heights = [0.35, *[1.0] * len(counters)]
    canvas, axes = figure(
        0.8 + 0.85 * len(counters),
        rows=len(heights),
        sharex=True,
        gridspec_kw={"height_ratios": heights},
    )
    _phases(axes[0], spans)
    for axis, counter in zip(axes[1:], counters, strict=True):
        for arm, curve in counter.curves.items():
            style = {"color": COLOURS[arm], "linestyle": STYLES[arm]}
            axis.plot(*curve, linewidth=1.6, label=arm, **style)
        axis.set_title(f"{counter.name}, {counter.unit}", loc="left", pad=2)
        axis.yaxis.set_major_formatter(lambda value, _: short(value))
        axis.set_ylim(bottom=0)
    axes[1].legend(loc="upper left")
    unit = "million instructions" if clock == "insn" else "ms"
    axes[-1].set_xlabel(f"{unit} since the first mark")
    names = ", ".join(counter.name for counter in counters)
    ends = (
        f"{counter.name} at the end: "
        + ", ".join(f"{arm} {number(values[-1])}" for arm, (_, values) in counter.curves.items())
        for counter in counters
    )
    return plot(
        canvas,
        f"timeline-{cell}",
        "timeline",
        (
            f"Counters over time, {cell}",
            f"{names} of {cell}, pair {pair}, base and patch over time. {'; '.join(ends)}",
            f"Pair {pair}, counted from the first mark. Bars on top: the phases, base above patch.",
        ),
    )


def _phases(axes: Any, spans: Sequence[_Span]) -> None:
    longest = max((span.end for span in spans), default=0.0)
    for span in spans:
        row = ARMS.index(span.arm)
        axes.broken_barh(
            [(span.begin, span.end - span.begin)], (0.55 - row * 0.5, 0.4), color=COLOURS[span.arm]
        )
        # Names of neighbouring short phases would run into each other.
        if span.arm == "base" and span.end - span.begin > _LABEL_SHARE * longest:
            middle = (span.begin + span.end) / 2
            axes.text(middle, 1.02, span.phase, ha="center", va="bottom")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False)

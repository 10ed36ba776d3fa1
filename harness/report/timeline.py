# SPDX-License-Identifier: GPL-2.0-only
"""Counters over time of one pair of boots, for the plots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.frames import ARMS, Frames

_FIELDS = (
    "pswpin", "pswpout", "zswpin", "zswpout", "zswpwb", "swpin_zero", "swpout_zero",
    "pgmajfault",
)  # fmt: skip
_MOST = 5
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Curve:
    """time in ms (million instructions under that clock) from the first mark; value from 0."""

    arm: str
    time: tuple[float, ...]
    value: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter in both arms."""

    name: str
    unit: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of one arm, same time axis."""

    arm: str
    phase: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """One cell's first complete pair."""

    cell: str
    pair: int
    counters: tuple[Counter, ...]
    spans: tuple[Span, ...]


def lines(data: Frames) -> Iterator[Timeline]:
    """For each cell, its first pair whose both boots count and have samples."""
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
            counters = tuple(_counters(mine, zero))
            if counters:
                yield Timeline(str(cell), pair, counters, tuple(_spans(data, cell, pair, zero)))


def _zero(samples: pd.DataFrame) -> int:
    """Time of the first mark, or of the first sample if there is none."""
    marks = samples[samples["reason"].astype(str).str.startswith("mark:")]
    times = (samples if marks.empty else marks)["t_ns"]
    return int(times.min()) if len(times) else 0


def _counters(samples: pd.DataFrame, zero: dict[str, int]) -> Iterator[Counter]:
    """The first few counters of the list that move in either arm."""
    found = 0
    for field in _FIELDS:
        rows = samples[samples["field"] == field]
        curves = []
        for arm in ARMS:
            mine = rows[(rows["arm"] == arm) & (rows["t_ns"] >= zero[arm])]
            if len(mine):
                time = tuple((t - zero[arm]) / _NS_PER_MS for t in mine["t_ns"])
                first = mine["value"].iloc[0]
                curves.append(Curve(arm, time, tuple(float(v - first) for v in mine["value"])))
        if any(max(curve.value) > 0 for curve in curves) and found < _MOST:
            found += 1
            yield Counter(field, str(rows["unit"].iloc[0]), tuple(curves))


def _spans(data: Frames, cell: Any, pair: int, zero: dict[str, int]) -> Iterator[Span]:
    phases = data.phases
    mine = phases[(phases["cell"] == cell) & (phases["pair"] == pair) & phases["arm"].isin(ARMS)]
    for row in mine.itertuples():
        begin, end = ((t - zero[row.arm]) / _NS_PER_MS for t in (row.begin_ns, row.end_ns))
        yield Span(str(row.arm), str(row.name), begin, end)

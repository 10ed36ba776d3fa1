# SPDX-License-Identifier: GPL-2.0-only
"""Which changes are relevant, by what a cell shows where nothing changed: docs/board.md's rule.

Each comparison that boots its base a second time gives a cell one change of which the truth is
zero.  These of all comparisons of the cell are its history.  A change counts where it lies outside
the upper fence of their sizes, Q3 + k * (Q3 - Q1), as rustc-perf does it with its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.board.record import BoardComparison, Row

LEAST = 6
"""A cell with fewer comparisons has no fence."""
TRY, NIGHTLY = 1.5, 3.0
"""k of the lower bar, for a run that somebody asked for, and of the higher, for what nobody did."""
_FLOOR = 0.01
"""Per cent: below it no change matters, and equal boots would have a fence of nothing."""
_SIZES = ((10.0, "large"), (3.0, "medium"), (1.0, "small"))


@dataclass(frozen=True, slots=True)
class Fence:
    """A cell's own noise, of n comparisons.  low, high: both bars, sizes of changes, per cent."""

    low: float
    high: float
    n: int

    def size(self, change: float | None) -> str:
        """How far beyond the lower bar: small, medium (3 times it), large (10); "" if not."""
        past = abs(change or 0.0) / self.low
        return next((word for least, word in _SIZES if past > least), "")

    def is_high(self, change: float | None) -> bool:
        """Beyond the higher bar, too."""
        return abs(change or 0.0) > self.high


Fences = Mapping[tuple[str, str], Fence]


def fences(comparisons: Iterable[BoardComparison]) -> dict[tuple[str, str], Fence]:
    """By (cell's address, metric), of those with enough history."""
    seen: dict[tuple[str, str], list[float]] = {}
    for one in comparisons:
        for row in one.rows:
            if row.aa_change is not None:
                seen.setdefault((row.address, row.metric), []).append(abs(row.aa_change))
    return {key: _fence(sizes) for key, sizes in seen.items() if len(sizes) >= LEAST}


def _fence(sizes: list[float]) -> Fence:
    ordered = sorted(sizes)
    first, third = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    low, high = (max(third + k * (third - first), _FLOOR) for k in (TRY, NIGHTLY))
    # Two digits: more would say nothing, and move all pages of a cell with each comparison.
    return Fence(float(f"{low:.1e}"), float(f"{high:.1e}"), len(sizes))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest, as numpy's default."""
    place = share * (len(ordered) - 1)
    below = int(place)
    rest = place - below
    return ordered[below] + rest * (ordered[min(below + 1, len(ordered) - 1)] - ordered[below])


@dataclass(frozen=True, slots=True)
class Summed:
    """A comparison's relevant changes: how many are worse and better, and of what history knows.

    word: "worse", "better", "mixed", "none" where nothing is relevant, "" where no cell has a fence
    """

    word: str
    worse: int
    better: int
    known: int
    size: str


def summed(rows: Sequence[Row], known: Fences) -> Summed:
    """Mixed results: worse and better are counted apart and never taken off each other.

    The size is that of the largest.  A verdict of equivalent is not relevant, however quiet its
    cell is: the margin is what its workload declares to matter.
    """
    found = [(row, known[row.address, row.metric]) for row in rows
             if (row.address, row.metric) in known]  # fmt: skip
    sizes = [
        (row.verdict, fence.size(row.change)) for row, fence in found
        if row.verdict in ("worse", "better") and fence.size(row.change)
    ]  # fmt: skip
    worse = sum(verdict == "worse" for verdict, _ in sizes)
    better = len(sizes) - worse
    word = "mixed" if worse and better else "worse" if worse else "better" if better else "none"
    order = [size for _, size in _SIZES]
    largest = min((size for _, size in sizes), key=order.index, default="")
    return Summed(word if found else "", worse, better, len(found), largest)

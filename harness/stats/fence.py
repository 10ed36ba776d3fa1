# SPDX-License-Identifier: GPL-2.0-only
"""Which changes are more than noise, by what a cell shows where nothing changed.

Each comparison that boots its base a second time gives a cell one change of which the truth is
zero.  These of all comparisons of the cell are its history.  A change counts where it lies outside
the upper fence of their sizes, Q3 + k * (Q3 - Q1), as rustc-perf does it with its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 6
"""A cell with fewer comparisons has no fence."""
TRY, NIGHTLY = 1.5, 3.0
"""k of the lower bar, for a run that somebody asked for, and of the higher, for what nobody did."""
_FLOOR = 0.01
"""Per cent: below it no change matters, and equal boots would have a fence of nothing."""
SIZES = ((10.0, "large"), (3.0, "medium"), (1.0, "small"))


@dataclass(frozen=True, slots=True)
class Fence:
    """A cell's own noise, of n comparisons.  low, high: both bars, sizes of changes, per cent."""

    low: float
    high: float
    n: int

    def size(self, change: float | None) -> str:
        """How far beyond the lower bar: small, medium (3 times it), large (10); "" if not."""
        past = abs(change or 0.0) / self.low
        return next((word for least, word in SIZES if past > least), "")

    def is_high(self, change: float | None) -> bool:
        """Beyond the higher bar, too."""
        return abs(change or 0.0) > self.high


def fence(changes: Sequence[float]) -> Fence | None:
    """Of the changes of base against base, in per cent; None for too few."""
    if len(changes) < LEAST:
        return None
    ordered = sorted(map(abs, changes))
    first, third = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    low, high = (max(third + k * (third - first), _FLOOR) for k in (TRY, NIGHTLY))
    # Two digits: more would say nothing, and move all pages of a cell with each comparison.
    return Fence(float(f"{low:.1e}"), float(f"{high:.1e}"), len(ordered))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest, as numpy's default."""
    place = share * (len(ordered) - 1)
    below = int(place)
    rest = place - below
    return ordered[below] + rest * (ordered[min(below + 1, len(ordered) - 1)] - ordered[below])

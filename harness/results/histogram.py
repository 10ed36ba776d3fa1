# SPDX-License-Identifier: GPL-2.0-only
"""Log-linear histograms of latencies, as the workloads write them.

With m = sub_bits, a value v < 2^(m+1) is its own bucket; above that, with
k = floor(log2 v) - m, its bucket is k * 2^m + (v >> k). A bucket is at most 2^-m of its
values wide, and a merge of two histograms loses nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.util.errors import HarnessError

_MAX_SUB_BITS = 16
_MAX_VALUE_BITS = 64


class HistogramError(HarnessError):
    """A histogram line that is not one, or two that cannot be merged."""


def index_of(value: int, sub_bits: int) -> int:
    """The bucket of a value >= 0."""
    if value < 0:
        raise HistogramError(f"a histogram holds no negative value ({value})")
    shift = max(value.bit_length() - 1 - sub_bits, 0)
    return (shift << sub_bits) + (value >> shift)


def bucket(index: int, sub_bits: int) -> tuple[int, int]:
    """Lowest value and width of a bucket."""
    shift = max((index >> sub_bits) - 1, 0)
    return (index - (shift << sub_bits)) << shift, 1 << shift


@dataclass(frozen=True, slots=True)
class Histogram:
    """counts: (bucket index, count > 0), by index."""

    unit: str
    sub_bits: int
    counts: tuple[tuple[int, int], ...]

    @property
    def total(self) -> int:
        """How many values it holds."""
        return sum(count for _, count in self.counts)

    @property
    def resolution(self) -> float:
        """The most that a value read from it can be off, as a fraction of the value."""
        return 2.0**-self.sub_bits

    def percentile(self, percent: float) -> float:
        """The nearest-rank percentile: the middle of the bucket that holds it.

        That is the value with rank ceil(percent / 100 * total) among the sorted values
        (numpy's "inverted_cdf"), to within `resolution`. NaN if the histogram is empty.
        """
        if not 0 <= percent <= 100:
            raise HistogramError(f"a percentile lies between 0 and 100, not at {percent}")
        # Rounded first: 99.9 / 100 * 1000 is a little more than 999 in floating point.
        rank = max(math.ceil(round(percent * self.total / 100, 6)), 1)
        seen = 0
        for index, count in self.counts:
            seen += count
            if seen >= rank:
                return _middle(index, self.sub_bits)
        return math.nan

    def mean(self) -> float:
        """The mean, each value taken as the middle of its bucket; NaN if empty."""
        if not self.counts:
            return math.nan
        return sum(_middle(i, self.sub_bits) * n for i, n in self.counts) / self.total

    def ecdf(self) -> tuple[tuple[int, float], ...]:
        """(value, share of all values that are <= it), at the top of each bucket in use."""
        points, seen, total = [], 0, self.total
        for index, count in self.counts:
            low, width = bucket(index, self.sub_bits)
            seen += count
            points.append((low + width - 1, seen / total))
        return tuple(points)


def _middle(index: int, sub_bits: int) -> float:
    low, width = bucket(index, sub_bits)
    return low + (width - 1) / 2


def from_values(values: Iterable[int], *, unit: str, sub_bits: int = 5) -> Histogram:
    """The histogram of raw values."""
    counts = Counter(index_of(value, sub_bits) for value in values)
    return Histogram(unit, sub_bits, tuple(sorted(counts.items())))


def from_json(line: Mapping[str, Any]) -> Histogram:
    """A workload's "hist" line; HistogramError says what is wrong with it."""
    sub_bits, counts = line.get("sub_bits"), line.get("counts")
    name = line.get("name", "?")
    if not isinstance(sub_bits, int) or not 0 <= sub_bits <= _MAX_SUB_BITS:
        raise HistogramError(f"histogram {name}: sub_bits is {sub_bits!r}, not 0 to 16")
    if not isinstance(counts, list):
        raise HistogramError(f"histogram {name}: counts is not a list")
    top = index_of(2**_MAX_VALUE_BITS - 1, sub_bits)
    merged: Counter[int] = Counter()
    for item in counts:
        match item:
            case [int(index), int(count)] if 0 <= index <= top and count >= 0:
                merged[index] += count
            case _:
                raise HistogramError(f"histogram {name}: {item!r} is no [index, count]")
    used = tuple(sorted((index, count) for index, count in merged.items() if count))
    return Histogram(str(line.get("unit", "")), sub_bits, used)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of all values; unit and sub_bits must be the same everywhere."""
    parts = list(histograms)
    kinds = {(part.unit, part.sub_bits) for part in parts}
    if len(kinds) != 1:
        raise HistogramError(f"cannot merge histograms of different kinds: {sorted(kinds)}")
    unit, sub_bits = kinds.pop()
    total: Counter[int] = Counter()
    for part in parts:
        total.update(dict(part.counts))
    return Histogram(unit, sub_bits, tuple(sorted(total.items())))

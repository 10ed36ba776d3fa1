# SPDX-License-Identifier: GPL-2.0-only
"""Known weights against measured ones: does the harness see what is there?

A calibration series says in its ``known`` what it adds to a metric, by construction
(kernels/series/*.yaml).  Several comparisons are read, one a series, all with the same seed, so
that pair i of one has the same guest seed as pair i of the others.

Differences here are paired and absolute, in the metric's unit, with t intervals: a weight is so
many instructions, not a ratio.  Many checks are made at once; so that a sound harness fails by
chance in at most one calibration of twenty, a check's own interval is as wide as 5 % shared among
all checks ask for (Bonferroni).  The plain 95 % interval is shown beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.results.pairing import Measurement
from harness.series import registry
from harness.series.registry import KnownEffect
from harness.stats import rounding
from harness.stats.paired import t_interval
from harness.util.errors import UserError

LEVEL = 0.95
EQUIVALENT_PCT = 0.05
"""A null series has to be this close to zero, per cent of the base, by its 90 % interval."""
TICKS = 0.003
"""Share of a weight that it may gain on its way: the longer time meets more timer ticks."""


@dataclass(frozen=True, slots=True)
class KnownWeight:
    """What a series adds to ``metric``: ``known``; the truth lies between ``least`` and ``most``.

    In the metric's unit.
    """

    series: str
    metric: str
    known: float
    least: float
    most: float

    @property
    def is_null(self) -> bool:
        """The series must change nothing."""
        return self.least == self.most == 0


@dataclass(frozen=True, slots=True)
class WeightCheck:
    """One weight on one back-end.

    base: median of the base, in ``unit``; n: pairs
    difference, low, high: paired mean difference and its 95 % interval, in ``unit``
    wide: the interval of the check (see above); for a null weight the 90 % interval
    seen: the wide interval excludes zero, so that the weight's sign is sure
    """

    weight: KnownWeight
    cell: str
    unit: str
    base: float
    n: int
    difference: float
    low: float
    high: float
    wide: tuple[float, float]

    @property
    def allowed(self) -> float:
        """For a null weight: how far the interval may reach, in ``unit``."""
        return abs(self.base) * EQUIVALENT_PCT / 100

    @property
    def holds(self) -> bool:
        """Null: equivalent to nothing.  Else: the known value is inside the interval."""
        low, high = self.wide
        if not (math.isfinite(low) and math.isfinite(high)):
            return False
        if self.weight.is_null:
            return -self.allowed <= low and high <= self.allowed
        rounded = rounding.ROUNDING * (abs(self.base) + abs(self.weight.most))
        return low <= self.weight.most + rounded and self.weight.least <= high + rounded

    @property
    def seen(self) -> bool:
        """Whether the sign of the difference is sure."""
        return self.wide[0] > 0 or self.wide[1] < 0


def read(series: str, folder: Path) -> tuple[KnownWeight, ...]:
    """The weights of a series that a workload's metrics show, out of its registry file.

    Raises UserError as `registry.read`.
    """
    known = registry.read(series, registry=folder).known
    return tuple(_weight(series, one) for one in known if one.clock == "insn")


def _weight(series: str, known: KnownEffect) -> KnownWeight:
    amount = known.amount
    # The machine code is counted; what loads its operands comes on top, never off.
    most = amount + known.tolerance + TICKS * abs(amount)
    return KnownWeight(series, known.metric, amount, amount, most)


def weigh(
    data: Mapping[str, Measurement],
    weights: Iterable[KnownWeight],
    steps: Iterable[tuple[str, str]] = (),
) -> tuple[WeightCheck, ...]:
    """Every weight and every step on every cell of its comparison; ``data`` is by series.

    ``steps`` are (light, heavy): two series that differ in one constant only, and what the heavier
    one adds to the lighter one.  Operand loads and code around are the same in both, so a step is
    exact but for timer ticks; and it is paired by guest seed between the patched kernels.

    Where a back-end waits for I/O all instructions of the guest stand for the elapsed time.
    Raises UserError when a comparison has no usable pair of boots for a weight.
    """
    wanted = {weight.series + weight.metric: weight for weight in weights}
    by_series = {weight.series: weight for weight in wanted.values()}
    planned = [
        (weight, cell, (weight.series, "base"), (weight.series, "patch"))
        for weight in wanted.values()
        for cell in data[weight.series].cells
    ] + [
        (_step(by_series[light], by_series[heavy]), cell, (light, "patch"), (heavy, "patch"))
        for light, heavy in steps
        for cell in data[light].cells
        if cell in data[heavy].cells
    ]
    made = []
    for weight, cell, *sides in planned:
        less, more = (_values(data[name], cell, weight.metric, arm) for name, arm in sides)
        made.append(_check(weight, cell, less, more, count=len(planned)))
    return tuple(made)


def _step(light: KnownWeight, heavy: KnownWeight) -> KnownWeight:
    amount = heavy.least - light.least
    name = f"{heavy.series} - {light.series}"
    return KnownWeight(name, light.metric, amount, amount - 1, amount * (1 + TICKS) + 1)


def _values(one: Measurement, cell: str, metric: str, arm: str) -> pd.Series[float]:
    """One value a pair, by pair number; of usable boots only."""
    if not one.manifest.waits_io(cell.rpartition(".")[0]):
        return one.values(cell, metric, arm)
    counted = one.values(cell, f"{metric}_busy", arm)
    # In results of 0.1.0 the CPU time of the program stood for what a page costs.
    return counted if len(counted) else one.values(cell, f"{metric}_cpu", arm)


def _check(
    weight: KnownWeight, cell: str, base: pd.Series[float], patch: pd.Series[float], *, count: int
) -> WeightCheck:
    pairs = sorted(set(base.index) & set(patch.index))
    if not pairs:
        raise UserError(f"{weight.series}, {cell}: no pair of boots with {weight.metric}")
    differences = rounding.differences((float(base[pair]), float(patch[pair])) for pair in pairs)
    low, high = t_interval(differences, LEVEL)
    share = 0.90 if weight.is_null else 1 - (1 - LEVEL) / count
    return WeightCheck(
        weight=weight,
        cell=cell,
        unit="insn/page",
        base=float(np.median(np.asarray(base[pairs], dtype=float))),
        n=len(pairs),
        difference=math.fsum(differences) / len(differences),
        low=low,
        high=high,
        wide=t_interval(differences, share),
    )


def failures(checks: Sequence[WeightCheck]) -> tuple[str, ...]:
    """One sentence for each check that does not hold."""
    found = []
    for item in checks:
        if item.holds:
            continue
        low, high = item.wide
        where = f"{item.weight.series} on {item.cell}, {item.weight.metric}"
        if item.weight.is_null:
            found.append(
                f"{where}: not equivalent to no change: the 90 % interval [{low:+.2f}, "
                f"{high:+.2f}] {item.unit} reaches beyond {EQUIVALENT_PCT} % of the base, "
                f"which is {item.allowed:.2f}"
            )
        else:
            found.append(
                f"{where}: known {item.weight.least:+.0f} to {item.weight.most:+.1f}, measured "
                f"[{low:+.2f}, {high:+.2f}] {item.unit}"
            )
    return tuple(found)

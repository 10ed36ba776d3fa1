# SPDX-License-Identifier: GPL-2.0-only
"""Change points in a sequence of estimates: where its level moved and stayed.  Pure.

The method is binary segmentation with the two-sample t statistic of each split (Worsley 1979).
For every place k the mean of the points before is held against the mean of those from k on, with
one variance for both sides; the largest of these |t| decides. Its p is bounded by the sum over
the n - 1 places (Bonferroni), so no table and no random draw is needed, and the bound holds
however short the sequence is. Where it is below the risk, the sequence is cut and both parts are
looked at again, each with half of the risk.

For independent normal noise of any size the risk is an upper bound of the probability that a
sequence without change gets any mark. `tests/unit/stats/test_changepoint.py` simulates it: at a
risk of 5 % it marks 3 to 5 % of sequences of 4 to 40 points of normal noise, 6 to 8 % where the
noise is heavy-tailed (t with 3 degrees of freedom), 7 to 11 % where it is skewed (exponential).
What drifts slowly gets a mark somewhere: there is no place at which it changed, but it did change.

Values that are equal but for the rounding of floats are equal here.

Two guards make a mark rarer, never more frequent: the variance is not taken smaller than what the
points' own errors say (two equal kernels give equal figures, and then any difference would be
infinitely many sd), and a shift smaller than ``least`` is not marked, however sure it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.stats.rounding import ROUNDING, between, finite, in_range, settled, sized, times_power

RISK = 0.05
MIN_POINTS = 4
"""With three, one accidental agreement of two points would make a change of the third."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The level moved from ``before`` to ``after`` at the point with index ``at``.

    p: the bound of the probability of such a split without a change, inside its stretch
    """

    at: int
    before: float
    after: float
    p: float


def shifts(
    values: Sequence[float],
    *,
    errors: Sequence[float] = (),
    least: float = 0.0,
    risk: float = RISK,
) -> tuple[Shift, ...]:
    """The change points of ``values`` in their order; ``errors`` are standard errors of each.

    least: the smallest shift that is marked, in units of the values
    risk: probability of any mark where nothing changes. Several sequences that are looked at
        together share it: give each its part.
    ValueError if errors are given and are not as many as values, if a number is not finite, an
    error or ``least`` is below zero, or the risk is not between 0 and 1.
    """
    between(risk=risk)
    sized(least=least)
    if errors and len(errors) != len(values):
        raise ValueError(f"{len(values)} values and {len(errors)} errors")
    finite("a change point", *values, *errors)
    if any(one < 0 for one in errors):
        raise ValueError("a standard error is not below zero")
    ranged, exponent = in_range((*values, *errors))
    count = len(values)
    noise = ROUNDING * max(map(abs, ranged[:count]), default=0.0)
    figures = list(settled(ranged[:count], [noise] * count))
    found = [
        replace(
            one,
            before=times_power(one.before, exponent),
            after=times_power(one.after, exponent),
        )
        for one in _search(figures, ranged[count:], 0, risk)
    ]
    return tuple(one for one in found if abs(one.after - one.before) >= least)


def _search(values: list[float], errors: list[float], start: int, risk: float) -> Iterator[Shift]:
    one = _strongest(values, errors)
    if one is None or one.p >= risk:
        return
    at = one.at
    yield from _search(values[:at], errors[:at], start, risk / 2)
    yield Shift(start + at, one.before, one.after, one.p)
    yield from _search(values[at:], errors[at:], start + at, risk / 2)


def _running(series: list[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of the first 1, 2, ... n - 1 values, and the sum of their squared distances from it.

    Nothing large is subtracted from something large (Welford 1962): equal values leave exactly 0.
    """
    middle = spread = 0.0
    found = []
    for count, one in enumerate(series[:-1], 1):
        off = one - middle
        middle += off / count
        spread += off * (one - middle)
        found.append((middle, spread))
    means, squares = np.array(found).T
    return means, squares


def _strongest(values: list[float], errors: list[float]) -> Shift | None:
    """The split with the largest |t|; None where there are too few points."""
    n = len(values)
    if n < MIN_POINTS:
        return None
    series = [one - values[0] for one in values]  # keeps digits where the level is far from zero
    count = np.arange(1, n)
    before, left = _running(series)
    after, right = (side[::-1] for side in _running(series[::-1]))
    rest = left + right
    floor = float(np.mean(np.square(errors))) if errors else 0.0
    variance = np.maximum(rest / (n - 2), floor)
    size = np.abs(after - before)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = size / np.sqrt(variance * (1 / count + 1 / (n - count)))
    t = np.where(size == 0, 0.0, t)
    place = int(np.argmax(t))
    p = min(1.0, (n - 1) * 2 * float(special.stdtr(n - 2, -t[place])))
    level = values[0]
    return Shift(place + 1, level + float(before[place]), level + float(after[place]), p)

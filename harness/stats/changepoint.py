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

Two guards make a mark rarer, never more frequent: the variance is not taken smaller than what the
points' own errors say (two equal kernels give equal figures, and then any difference would be
infinitely many sd), and a shift smaller than ``least`` is not marked, however sure it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

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
    ValueError if errors are given and are not as many as values, or if a number is not finite.
    """
    if errors and len(errors) != len(values):
        raise ValueError(f"{len(values)} values and {len(errors)} errors")
    if not all(map(math.isfinite, (*values, *errors))):
        raise ValueError("a change point needs finite numbers")
    found = _search(list(values), list(errors), 0, risk)
    return tuple(one for one in found if abs(one.after - one.before) >= least)


def _search(values: list[float], errors: list[float], start: int, risk: float) -> Iterator[Shift]:
    one = _strongest(values, errors)
    if one is None or one.p >= risk:
        return
    at = one.at
    yield from _search(values[:at], errors[:at], start, risk / 2)
    yield Shift(start + at, one.before, one.after, one.p)
    yield from _search(values[at:], errors[at:], start + at, risk / 2)


def _strongest(values: list[float], errors: list[float]) -> Shift | None:
    """The split with the largest |t|; None where there are too few points."""
    n = len(values)
    if n < MIN_POINTS:
        return None
    series = np.asarray(values) - values[0]  # keeps digits where the level is far from zero
    count = np.arange(1, n)
    left, total = np.cumsum(series)[:-1], float(series.sum())
    before, after = left / count, (total - left) / (n - count)
    rest = float(np.sum(series**2)) - count * before**2 - (n - count) * after**2
    floor = float(np.mean(np.square(errors))) if errors else 0.0
    variance = np.maximum(np.maximum(rest, 0.0) / (n - 2), floor)
    size = np.abs(after - before)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = size / np.sqrt(variance * (1 / count + 1 / (n - count)))
    t = np.where(size == 0, 0.0, t)
    place = int(np.argmax(t))
    p = min(1.0, (n - 1) * 2 * float(special.stdtr(n - 2, -t[place])))
    level = values[0]
    return Shift(place + 1, level + float(before[place]), level + float(after[place]), p)

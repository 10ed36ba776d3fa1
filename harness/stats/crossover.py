# SPDX-License-Identifier: GPL-2.0-only
"""The usage at which the new design becomes dearer than the old one.

Measured: both arms are straight lines in the entries, so new - old = a + b * e, and the usage is
the root. Its interval is Fieller's: all usages at which a + b * e = 0 cannot be refused at 5 %.
Unlike the delta method it is right when b is hardly known, and then has no end. The two arms are
taken as independent. Claimed and modelled: exact, no interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.stats.fit import Fit, quantile

NEVER, ALWAYS, AT = "never", "always", "at"


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where the new design becomes dearer.

    kind: "at" a usage, "never" (not dearer from 0 to 100 %) or "always" (dearer all the way)
    usage: in per cent of the slots, for "at"; falls: the new design is dearer BELOW it
    low, high: 95 % interval in per cent; None if there is none, or if it has no end there
    method: how the interval was made, "" if none
    """

    kind: str
    usage: float | None = None
    falls: bool = False
    low: float | None = None
    high: float | None = None
    method: str = ""


def straight(constant: float, slope: float) -> Crossover:
    """Of new - old = constant + slope * share, with share from 0 to 1. Exact."""
    ends = (constant, constant + slope)
    if max(ends) <= 0:
        return Crossover(NEVER)
    if min(ends) >= 0:
        return Crossover(ALWAYS)
    return Crossover(AT, 100 * -constant / slope, slope < 0)


def rows(shares: Sequence[float], differences: Sequence[float]) -> Crossover:
    """Of a table: straight between two rows. shares ascend from 0 to 1."""
    if max(differences) <= 0:
        return Crossover(NEVER)
    if min(differences) >= 0:
        return Crossover(ALWAYS)
    points = list(zip(shares, differences, strict=True))
    for (share, left), (other, right) in pairwise(points):
        if (left > 0) != (right > 0):
            at = share + (other - share) * left / (left - right)
            return Crossover(AT, 100 * at, left > 0)
    return Crossover(NEVER)


def stepped(slots: int, difference: Callable[[int], float]) -> Crossover:
    """Of a model with rounding: by halving between an end that is dearer and one that is not.

    A model that goes up in steps can change sign more than once near the place; any one is given.
    """
    low, high = difference(0), difference(slots)
    if low <= 0 and high <= 0:
        return Crossover(NEVER)
    if low >= 0 and high >= 0:
        return Crossover(ALWAYS)
    under, over = 0, slots
    while over - under > 1:
        middle = (under + over) // 2
        if (difference(middle) > 0) == (high > 0):
            over = middle
        else:
            under = middle
    return Crossover(AT, 100 * over / slots, high < 0)


def measured(old: Fit, new: Fit, slots: int) -> Crossover:
    """Of two fits, at a size of the swap area; with Fieller's interval where errors are known."""
    start = (1.0, float(slots), 0.0, 1.0)  # once a page is in it
    a = sum((n - o) * x for o, n, x in zip(old.beta, new.beta, start, strict=True))
    b = (new.beta[2] - old.beta[2]) * slots
    exact = straight(a, b)
    if exact.kind != AT or old.cov is None or new.cov is None:
        return exact
    low, high = _fieller(a, b, *_variances(old, new, slots), _t(old, new))
    method = "Fieller, arms independent"
    return Crossover(AT, exact.usage, exact.falls, low, high, method)


def _t(old: Fit, new: Fit) -> float:
    """The smaller number of boots decides: Welch's rule could only be less careful."""
    return quantile(min(old.boots, new.boots))


def _variances(old: Fit, new: Fit, slots: int) -> tuple[float, float, float]:
    """Variance of a, of b, and their covariance."""
    rows = ((1.0, float(slots), 0.0, 1.0), (0.0, 0.0, float(slots), 0.0))
    cov = [
        [
            sum(r[i] * c[i][j] * s[j] for i in range(4) for j in range(4) for c in _covs(old, new))
            for s in rows
        ]
        for r in rows
    ]
    return cov[0][0], cov[1][1], cov[0][1]


def _covs(old: Fit, new: Fit) -> list[tuple[tuple[float, ...], ...]]:
    return [one.cov for one in (old, new) if one.cov is not None]


def _fieller(
    a: float, b: float, va: float, vb: float, vab: float, t: float
) -> tuple[float | None, float | None]:
    """Roots of (a + b s)^2 = t^2 (va + 2 vab s + vb s^2), in per cent, cut to 0 .. 100.

    Written in d = s - centre, with centre = -a / b: what cancels there is gone before it is
    computed, so that a tiny variance gives a tiny interval.
    """
    centre = -a / b
    here = max(va + 2 * vab * centre + vb * centre * centre, 0.0)
    slope = vab + vb * centre
    square = b * b - t * t * vb
    if square <= 0:
        return None, None
    root = math.sqrt((t * t * slope) ** 2 + square * t * t * here)
    ends = [100 * (centre + (t * t * slope + sign * root) / square) for sign in (-1, 1)]
    return max(ends[0], 0.0), min(ends[1], 100.0)

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

import numpy as np

from harness.stats.fit import Fit, quantile
from harness.stats.rounding import ROUNDING, finite

_SOLVED = 64 * ROUNDING
"""Relative: what solving for the coefficients of a fit rounds."""
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
    """Of new - old = constant + slope * share, with share from 0 to 1. Exact.

    ValueError if a number is not finite.
    """
    # Halved: the sum of the largest floats overflows.
    if known := _one_sided(_exact(constant / 2, constant / 2 + slope / 2)):
        return known
    return Crossover(AT, 100 * (-constant / slope), slope < 0)


def _exact(*differences: float) -> tuple[float, ...]:
    """With zero for what is zero but for the rounding of the others; ValueError if not finite."""
    finite("a crossover", *differences)
    least = ROUNDING * max(map(abs, differences))
    return tuple(one if abs(one) > least else 0.0 for one in differences)


def _one_sided(differences: Sequence[float]) -> Crossover | None:
    """Never or always, where no difference or every one is above zero; None in between."""
    if max(differences) <= 0:
        return Crossover(NEVER)
    return Crossover(ALWAYS) if min(differences) >= 0 else None


def rows(shares: Sequence[float], differences: Sequence[float]) -> Crossover:
    """Of a table: straight between two rows. shares ascend from 0 to 1.

    ValueError if there is no row, if the two are not as many, or if a number is not finite.
    """
    if not shares or len(shares) != len(differences):
        raise ValueError(f"{len(shares)} shares and {len(differences)} differences are no table")
    finite("a crossover", *shares)
    exact = _exact(*differences)
    if known := _one_sided(exact):
        return known
    points = list(zip(shares, exact, strict=True))
    for (share, left), (other, right) in pairwise(points):
        if (left > 0) != (right > 0):
            # Halved: the difference of the largest floats overflows.
            at = share + (other - share) * (left / 2 / (left / 2 - right / 2))
            return Crossover(AT, 100 * at, left > 0)
    return Crossover(NEVER)


def stepped(slots: int, difference: Callable[[int], float]) -> Crossover:
    """Of a model with rounding: by halving between an end that is dearer and one that is not.

    A model that goes up in steps can change sign more than once near the place; any one is given.
    ValueError if a difference at the ends is not finite.
    """
    low, high = _exact(difference(0), difference(slots))
    if known := _one_sided((low, high)):
        return known
    under, over = 0, slots
    while over - under > 1:
        middle = (under + over) // 2
        if (difference(middle) > 0) == (high > 0):
            over = middle
        else:
            under = middle
    return Crossover(AT, 100 * over / slots, high < 0)


def measured(old: Fit, new: Fit, slots: int) -> Crossover:
    """Of two fits, at a size of the swap area; with Fieller's interval where errors are known.

    What a fit leaves of two equal designs by its own rounding is no difference.
    """
    start = (1.0, float(slots), 0.0, 1.0)  # once a page is in it
    parts = [(n * x, o * x) for o, n, x in zip(old.beta, new.beta, start, strict=True)]
    a = _beyond_rounding(sum(n - o for n, o in parts), *parts)
    rise = (new.beta[2] * slots, old.beta[2] * slots)
    b = _beyond_rounding(rise[0] - rise[1], rise)
    exact = straight(a, b)
    if exact.kind != AT or old.cov is None or new.cov is None:
        return exact
    # The smaller number of boots decides: Welch's rule could only be less careful.
    t = quantile(min(old.boots, new.boots))
    places = np.array([start, (0.0, 0.0, float(slots), 0.0)])
    (va, vab), (_, vb) = places @ (np.asarray(old.cov) + np.asarray(new.cov)) @ places.T
    low, high = _fieller(a, b, float(va), float(vb), float(vab), t)
    method = "Fieller, arms independent"
    return Crossover(AT, exact.usage, exact.falls, low, high, method)


def _beyond_rounding(difference: float, *parts: tuple[float, float]) -> float:
    """The difference, or 0 where it is the rounding of what it is made of."""
    size = max(max(map(abs, pair)) for pair in parts)
    return difference if abs(difference) > _SOLVED * size else 0.0


def _fieller(
    a: float, b: float, va: float, vb: float, vab: float, t: float
) -> tuple[float | None, float | None]:
    """Roots of (a + b s)^2 = t^2 (va + 2 vab s + vb s^2), in per cent, cut to 0 .. 100.

    None, None if they are no bounded interval.

    va, vb, vab: the variance of a, of b, and their covariance.

    Written in d = s - centre, with centre = -a / b: what cancels there is gone before it is
    computed, so that a tiny variance gives a tiny interval.
    """
    a, va, vb, vab = a / b, va / b / b, vb / b / b, vab / b / b  # fourth powers stay in range
    centre = -a
    here = max(va + 2 * vab * centre + vb * centre * centre, 0.0)
    slope = vab + vb * centre
    square = 1 - t * t * vb
    if square <= 0:
        return None, None
    root = math.hypot(t * t * slope, t * math.sqrt(square * here))
    ends = [100 * (centre + (t * t * slope + sign * root) / square) for sign in (-1, 1)]
    return max(ends[0], 0.0), min(ends[1], 100.0)

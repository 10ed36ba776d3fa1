# SPDX-License-Identifier: GPL-2.0-only
"""Signed ranks: their exact distribution, the test, and the Walsh averages of the interval."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.stats.rounding import between, finite, settled

LEVEL = 0.95

_triangle = lru_cache(maxsize=4)(np.triu_indices)


# A verdict asks for two levels of the same differences.
@lru_cache(maxsize=2)
def _walsh(d: tuple[float, ...]) -> NDArray[np.float64]:
    """All n(n+1)/2 averages of two differences (each with itself too), in no order."""
    values = np.asarray(d, dtype=np.float64)
    rows, cols = _triangle(len(values))
    averages: NDArray[np.float64] = (values[rows] + values[cols]) / 2
    return averages


def pseudo_medians(d: tuple[float, ...], rank: int) -> tuple[float, float, float]:
    """The rank-th Walsh average from below, their median, the rank-th from above.

    rank: as `interval_rank` gives it
    """
    averages = _walsh(d)
    count = len(averages)
    # Not all of them sorted: hundreds of pairs have tens of thousands.
    wanted = sorted({rank - 1, (count - 1) // 2, count // 2, count - rank})
    chosen = np.partition(averages, wanted)
    middle = (chosen[(count - 1) // 2] + chosen[count // 2]) / 2
    return float(chosen[rank - 1]), float(middle), float(chosen[count - rank])


def coverage_of(n: int, rank: int) -> float:
    """What the interval between the rank-th Walsh averages from both ends covers exactly.

    ValueError if they are no interval: a rank is from 1 to half of all n (n + 1) / 2 averages.
    """
    most = (n * (n + 1) // 2 + 1) // 2
    if not 1 <= rank <= most:
        raise ValueError(f"of {n} pairs a rank is from 1 to {most}, not {rank}")
    return float(1 - 2 * _tail(n)[rank - 1])


@lru_cache(maxsize=1024)
def interval_rank(n: int, level: float = LEVEL) -> int | None:
    """Which Walsh average, counted from 1 at each end, bounds the exact interval.

    The largest k with 2 P(T+ <= k - 1) <= 1 - level; None if even k = 1 does not reach it.
    """
    between(level=level)
    # A float's last digit must not decide: n = 6 at 96.875 % is met exactly.
    fitting = np.flatnonzero(2 * _tail(n) <= 1 - level + 1e-12)
    return int(fitting[-1]) + 1 if len(fitting) else None


@lru_cache(maxsize=64)
def _tail(n: int) -> NDArray[np.float64]:
    """P(T+ <= t) for t = 0.. under no change, n untied pairs."""
    return np.cumsum(_distribution(tuple(range(1, n + 1))))


@lru_cache(maxsize=256)
def _distribution(ranks: tuple[int, ...]) -> NDArray[np.float64]:
    """P(T+ = t) where each rank is in the sum with probability one half."""
    chance = np.ones(1)
    for rank in ranks:
        wider = np.zeros(len(chance) + rank)
        wider[: len(chance)] += chance / 2
        wider[rank:] += chance / 2
        chance = wider
    return chance


def signed_rank_p(d: Sequence[float]) -> float:
    """Exact two-sided p of the Wilcoxon signed-rank test.

    Zeros are left out. Tied sizes get their mean rank, and p is exact given the ties
    (scipy's exact method assumes that there are none, else it gives the same). Sizes that are
    equal but for rounding are tied.
    """
    finite("a signed-rank test", *d)
    moved = np.asarray([x for x in settled(d) if x != 0.0], dtype=np.float64)
    if len(moved) == 0:
        return 1.0
    _, places, counts = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    # Twice the mean rank of each distinct size: a whole number.
    doubled = (2 * np.cumsum(counts) - counts + 1)[places]
    chance = _distribution(tuple(sorted(int(rank) for rank in doubled)))
    observed = int(doubled[moved > 0].sum())
    low, high = chance[: observed + 1].sum(), chance[observed:].sum()
    return float(min(1.0, 2 * min(low, high)))

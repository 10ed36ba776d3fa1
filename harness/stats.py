"""Paired estimates: how much the patch changes a number, and how sure that is.

Base and patch run in pairs of boots; d_i = log(patch_i / base_i). The estimate is the
Hodges-Lehmann pseudo-median of d with the exact signed-rank interval, which needs six pairs
to reach 95 %. All changes are signed per cent, never ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

LEVEL = 0.95
MIN_EXACT = 6

SIGNED_RANK = "Hodges-Lehmann, exact signed-rank interval"
T_INTERVAL = "mean log-ratio, t interval (fewer than 6 pairs)"
IDENTICAL = "all pairs identical"
SINGLE = "one pair: no interval"
NO_PAIR = "no complete pair"
NO_PER_CENT = "no per cent: some values are zero or negative"


@dataclass(frozen=True, slots=True)
class Paired:
    """The change from base to patch.

    n: complete pairs used; dropped: pairs with a missing value
    estimate_pct, low_pct, high_pct: signed change in per cent; None where there is none
    method: how they were made, or why there is none
    coverage: what the interval really covers (exact methods jump over 95 %)
    p: two-sided, of "no change"; None where there is none
    differences: d_i, natural log
    """

    n: int
    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None
    method: str
    coverage: float | None
    p: float | None
    differences: tuple[float, ...]
    dropped: int = 0

    @property
    def excludes_zero(self) -> bool:
        """The whole interval lies on one side of no change."""
        if self.low_pct is None or self.high_pct is None:
            return False
        return self.low_pct > 0 or self.high_pct < 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Centre and spread of one arm over boots; percent is of the centre, None where undefined."""

    n: int
    median: float | None
    percent: float | None
    kind: str


def paired(
    base: Sequence[float | None], patch: Sequence[float | None], *, level: float = LEVEL
) -> Paired:
    """Compare base[i] with patch[i]. None and NaN are missing: the pair is dropped and counted.

    Two zeros are no change; a zero on one side only has no change in per cent.
    """
    if len(base) != len(patch):
        raise ValueError(f"{len(base)} base values and {len(patch)} patch values are no pairs")
    complete = [
        (float(b), float(p))
        for b, p in zip(base, patch, strict=True)
        if b is not None and p is not None and math.isfinite(b) and math.isfinite(p)
    ]
    dropped = len(base) - len(complete)
    n = len(complete)
    if n == 0:
        return Paired(0, None, None, None, NO_PAIR, None, None, (), dropped)
    if any(b != p and (b <= 0 or p <= 0) for b, p in complete):
        return Paired(n, None, None, None, NO_PER_CENT, None, None, (), dropped)
    # Not log(p / b): the quotient of extreme values overflows where the logs do not.
    d = tuple(0.0 if b == p else math.log(p) - math.log(b) for b, p in complete)
    return _estimate(d, dropped, level)


def _estimate(d: tuple[float, ...], dropped: int, level: float) -> Paired:
    n = len(d)
    if n == 1:
        return Paired(1, _percent(d[0]), None, None, SINGLE, None, None, d, dropped)
    if not any(d):
        return Paired(n, 0.0, 0.0, 0.0, IDENTICAL, None, 1.0, d, dropped)
    rank = interval_rank(n, level)
    if rank is None:
        return _t_estimate(d, dropped, level)
    walsh = walsh_averages(d)
    return Paired(
        n,
        _percent(float(np.median(walsh))),
        _percent(float(walsh[rank - 1])),
        _percent(float(walsh[-rank])),
        SIGNED_RANK,
        1 - 2 * _tail(n)[rank - 1],
        signed_rank_p(d),
        d,
        dropped,
    )


def _t_estimate(d: tuple[float, ...], dropped: int, level: float) -> Paired:
    n, mean = len(d), math.fsum(d) / len(d)
    error = float(np.std(d, ddof=1)) / math.sqrt(n)
    half = float(scipy_stats.t.ppf((1 + level) / 2, n - 1)) * error
    p = 2 * float(scipy_stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else None
    return Paired(
        n,
        _percent(mean),
        _percent(mean - half),
        _percent(mean + half),
        T_INTERVAL,
        level,
        p,
        d,
        dropped,
    )


def _percent(difference: float) -> float:
    """A log-ratio as a signed change in per cent; infinite where it has no float."""
    try:
        return 100 * math.expm1(difference)
    except OverflowError:
        return math.inf


def walsh_averages(d: Sequence[float]) -> NDArray[np.float64]:
    """All n(n+1)/2 averages of two differences (each with itself too), sorted."""
    values = np.asarray(d, dtype=np.float64)
    rows, cols = np.triu_indices(len(values))
    averages: NDArray[np.float64] = np.sort((values[rows] + values[cols]) / 2)
    return averages


def interval_rank(n: int, level: float = LEVEL) -> int | None:
    """Which Walsh average, counted from 1 at each end, bounds the exact interval.

    The largest k with 2 P(T+ <= k - 1) <= 1 - level; None if even k = 1 does not reach it.
    """
    # A float's last digit must not decide: n = 6 at 96.875 % is met exactly.
    fitting = np.flatnonzero(2 * _tail(n) <= 1 - level + 1e-12)
    return int(fitting[-1]) + 1 if len(fitting) else None


def _tail(n: int) -> NDArray[np.float64]:
    """P(T+ <= t) for t = 0.. under no change, n untied pairs."""
    return np.cumsum(_distribution(range(1, n + 1)))


def _distribution(ranks: Sequence[int]) -> NDArray[np.float64]:
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
    (scipy's exact method assumes that there are none).
    """
    moved = np.asarray([x for x in d if x != 0.0], dtype=np.float64)
    if len(moved) == 0:
        return 1.0
    sizes = np.abs(moved)
    if len(np.unique(sizes)) == len(sizes):
        return float(scipy_stats.wilcoxon(moved, method="exact").pvalue)
    doubled = np.rint(2 * scipy_stats.rankdata(sizes)).astype(int)
    chance = _distribution([int(rank) for rank in doubled])
    observed = int(doubled[moved > 0].sum())
    low, high = chance[: observed + 1].sum(), chance[observed:].sum()
    return float(min(1.0, 2 * min(low, high)))


def false_discovery(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini-Hochberg adjusted p values, in the same order."""
    if not p_values:
        return ()
    return tuple(float(q) for q in scipy_stats.false_discovery_control(p_values))


def spread(values: Sequence[float]) -> Spread:
    """Median over boots; the coefficient of variation from three boots on, half the range for two.

    NaN is left out.
    """
    known = [float(v) for v in values if math.isfinite(v)]
    n = len(known)
    if n == 0:
        return Spread(0, None, None, "no value")
    middle = float(np.median(known))
    if n == 1:
        return Spread(1, middle, None, "one boot")
    if all(a == b for a, b in pairwise(known)):
        return Spread(n, middle, 0.0, "CV" if n > 2 else "half range")
    if n == 2:
        half = abs(known[0] - known[1]) / 2
        return Spread(n, middle, 100 * half / abs(middle) if middle else None, "half range")
    mean = math.fsum(known) / n
    deviation = float(np.std(known, ddof=1))
    return Spread(n, middle, 100 * deviation / abs(mean) if mean else None, "CV")

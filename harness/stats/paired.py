# SPDX-License-Identifier: GPL-2.0-only
"""Paired estimates: how much the patch changes a number, and how sure that is.

Base and patch run in pairs of boots; d_i = log(patch_i / base_i). The estimate is the
Hodges-Lehmann pseudo-median of d with the exact signed-rank interval, which needs six pairs
to reach 95 % (five for 90 %); below that the t interval stands in. All changes are signed per
cent, never ratios.

Differences that are equal but for the rounding of floats are the same float before anything is
made of them (`harness.stats.rounding`), so that swapped, scaled or permuted pairs give the same
ranks, signs and intervals.

What noise can hide is planned with normal noise: `detectable` and `pairs_needed`.

Functions of plain numbers raise ValueError for NaN and infinities, and for a level, power or
probability that is not between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy import stats as scipy_stats

from harness.stats import ranks
from harness.stats.ranks import coverage_of, interval_rank, pseudo_medians, signed_rank_p
from harness.stats.rounding import (
    ROUNDING,
    alike,
    between,
    finite,
    in_range,
    log_ratios,
    mean,
    sized,
    times_power,
)

LEVEL = ranks.LEVEL
# Two one-sided tests at 5 % each are this interval inside the margin.
EQUIVALENCE_LEVEL = 0.90
MIN_EXACT = 6
POWER = 0.80
LEAST = 3
"""Differences without which noise cannot be told from a change."""
MOST_PAIRS = 1000
"""Nobody runs more pairs than that."""

SIGNED_RANK = "Hodges-Lehmann, exact signed-rank interval"
T_INTERVAL = "mean log-ratio, t interval (fewer than 6 pairs)"
T_FLOORED = f"{T_INTERVAL} from the spread of A/A, which is the wider one"
IDENTICAL = "all pairs identical"
SINGLE = "one pair: no interval"
NO_PAIR = "no complete pair"
NO_PER_CENT = "no per cent: some values are zero or negative"

# Skewness is only noise in fewer differences; from there on 2 standard errors are the bound.
_FEW = 30
MIN_SKEWED = 8
SKEWED_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Paired:
    """The change from base to patch.

    n: complete pairs used; dropped: pairs with a missing value
    estimate_pct, low_pct, high_pct: signed change in per cent; None where there is none, infinite
        where it has no float
    method: how they were made, or why there is none
    coverage: what the interval really covers (exact methods jump over 95 %)
    p: two-sided, of "no change"; None where there is none, and where a few pairs agree
    differences: d_i, natural log, settled
    beside: the t interval in per cent, only where the differences are skewed (see `skewed`);
        the signed-rank interval is about their pseudo-median, this one about their mean
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
    beside: tuple[float, float] | None = None

    @property
    def deviation(self) -> float | None:
        """The sd of the differences (natural log); None below two."""
        return deviation(self.differences)

    @property
    def excludes_zero(self) -> bool:
        """The whole interval lies on one side of no change."""
        if self.low_pct is None or self.high_pct is None:
            return False
        return self.low_pct > 0 or self.high_pct < 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Centre and spread of one arm over boots; percent is of the centre, None where undefined.

    Undefined is what is of a centre that is zero but for rounding, or has no float.
    """

    n: int
    median: float | None
    percent: float | None
    kind: str


def paired(
    base: Sequence[float | None],
    patch: Sequence[float | None],
    *,
    level: float = LEVEL,
    least_sd: float = 0.0,
) -> Paired:
    """Compare base[i] with patch[i]. None, NaN and infinities are missing.

    A pair with a missing value is dropped and counted. Two zeros are no change; a zero on one side
    only has no change in per cent.
    least_sd: the spread (natural log) that the noise is known to have at least. Only the t
    interval of few pairs uses it: three differences can agree by accident.
    """
    if len(base) != len(patch):
        raise ValueError(f"{len(base)} base values and {len(patch)} patch values are no pairs")
    between(level=level)
    sized(least_sd=least_sd)
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
    return _estimate(log_ratios(complete), dropped, level, least_sd)


def _estimate(d: tuple[float, ...], dropped: int, level: float, least_sd: float) -> Paired:
    n = len(d)
    if n == 1:
        return Paired(1, percent(d[0]), None, None, SINGLE, None, None, d, dropped)
    if not any(d) and (least_sd == 0 or n >= MIN_EXACT):
        return Paired(n, 0.0, 0.0, 0.0, IDENTICAL, None, 1.0, d, dropped)
    rank = interval_rank(n, level)
    if rank is None:
        return _t_estimate(d, dropped, level, least_sd)
    low, middle, high = pseudo_medians(d, rank)
    return Paired(
        n,
        percent(middle),
        percent(low),
        percent(high),
        SIGNED_RANK,
        coverage_of(n, rank),
        signed_rank_p(d),
        d,
        dropped,
        _percents(t_interval(d, level)) if skewed(d) else None,
    )


def deviation(d: Sequence[float]) -> float | None:
    """Standard deviation (n - 1); None below two values, 0 if all are equal but for rounding.

    Infinite where it has no float.
    """
    finite("a deviation", *d)
    if len(d) < 2:
        return None
    if alike(d):
        return 0.0
    ranged, exponent = in_range(d)
    return times_power(float(np.std(ranged, ddof=1)), exponent)


def skewed(d: Sequence[float]) -> bool:
    """At least 8 differences whose skewness (G1) is more than 2 standard errors from zero.

    About one normal sample in twenty is called skewed. The standard error is that of a normal
    sample, sqrt(6 n (n - 1) / ((n - 2) (n + 1) (n + 3))).
    """
    n = len(d)
    if n < MIN_SKEWED or not deviation(d):
        return False
    error = math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    # Centred and scaled first: the cubes of tiny differences underflow.
    ranged, _ = in_range(d)
    values = np.asarray(ranged) - math.fsum(ranged) / n
    values /= np.max(np.abs(values))
    values -= values.mean()
    # As scipy.stats.skew(bias=False), which takes fifty times as long for a few values.
    plain = float(np.mean(values**3) / np.mean(values**2) ** 1.5)
    return abs(plain) * math.sqrt(n * (n - 1)) / (n - 2) > SKEWED_ERRORS * error


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: int) -> float:
    """Quantile of Student's t; of no less than one degree of freedom."""
    between(probability=probability)
    if df < 1:
        raise ValueError(f"Student's t has at least one degree of freedom, not {df}")
    return float(scipy_stats.t.ppf(probability, df))


def t_interval(d: Sequence[float], level: float, least_sd: float = 0.0) -> tuple[float, float]:
    """The t interval of the mean, in the units of ``d``.

    Infinite below two values, and where a bound has no float.
    """
    between(level=level)
    sized(least_sd=least_sd)
    finite("an interval", *d)
    if len(d) < 2:
        return -math.inf, math.inf
    middle = mean(d)
    half = t_quantile((1 + level) / 2, len(d) - 1) * _error(d, least_sd)
    return middle - half, middle + half


def _error(d: Sequence[float], least_sd: float) -> float:
    """The standard error of the mean."""
    return max(deviation(d) or 0.0, least_sd) / math.sqrt(len(d))


def _t_estimate(d: tuple[float, ...], dropped: int, level: float, least_sd: float) -> Paired:
    return Paired(
        len(d),
        percent(mean(d)),
        *_percents(t_interval(d, level, least_sd)),
        T_FLOORED if least_sd > (deviation(d) or 0.0) else T_INTERVAL,
        level,
        _t_p(d, least_sd),
        d,
        dropped,
    )


def _t_p(d: Sequence[float], least_sd: float = 0.0) -> float | None:
    error = _error(d, least_sd)
    if error == 0:
        return None
    # In one range: neither mean nor error of the largest numbers overflows, nor their quotient.
    ranged, exponent = in_range(d)
    error = _error(ranged, times_power(least_sd, -exponent))
    return 2 * float(scipy_stats.t.sf(abs(mean(ranged)) / error, len(d) - 1))


def percent(difference: float) -> float:
    """A log-ratio as a signed change in per cent; infinite where it has no float."""
    if math.isnan(difference):
        raise ValueError("a change in per cent needs a number, not NaN")
    try:
        return 100 * math.expm1(difference)
    except OverflowError:
        return math.inf


def _percents(interval: tuple[float, float]) -> tuple[float, float]:
    return percent(interval[0]), percent(interval[1])


def p_value(differences: Sequence[float]) -> float | None:
    """Two-sided p of "no change" for plain differences, made as in `paired`.

    None for a single difference, and for fewer than six that are all equal but not zero. What is
    zero but for rounding cannot be seen here: `rounding.differences` makes it zero.
    """
    finite("a p value", *differences)
    if not any(differences):
        return 1.0
    return signed_rank_p(differences) if len(differences) >= MIN_EXACT else _t_p(differences)


def t_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of "no change" by t, for normal noise; 0 where all differ by the very same.

    Ranks of six pairs reach 3 % at best, which no correction for hundreds of tests leaves below
    5 %.  None for fewer than three differences.
    """
    finite("a p value", *differences)
    if len(differences) < LEAST:
        return None
    if not any(differences):
        return 1.0
    found = _t_p(differences)
    return 0.0 if found is None else found


def false_discovery(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini-Hochberg adjusted p values, in the same order; ValueError if one is no p value."""
    if not p_values:
        return ()
    return tuple(float(q) for q in scipy_stats.false_discovery_control(p_values))


def spread(values: Sequence[float]) -> Spread:
    """Median over boots; the coefficient of variation from three boots on, half the range for two.

    NaN and infinities are left out.
    """
    known = [float(v) for v in values if math.isfinite(v)]
    n = len(known)
    if n == 0:
        return Spread(0, None, None, "no value")
    ranged, exponent = in_range(known)
    middle = float(np.median(ranged))
    median = times_power(middle, exponent)
    if n == 1:
        return Spread(1, median, None, "one boot")
    if n == 2:
        size = 0.0 if alike(ranged) else abs(ranged[0] - ranged[1]) / 2
        centre, kind = middle, "half range"
    else:
        size, centre, kind = deviation(ranged) or 0.0, math.fsum(ranged) / n, "CV"
    if size == 0:
        return Spread(n, median, 0.0, kind)
    known_centre = abs(centre) > ROUNDING * max(map(abs, ranged))
    return Spread(n, median, 100 * size / abs(centre) if known_centre else None, kind)


def detectable(sd: float, n: int, *, level: float = LEVEL, power: float = POWER) -> float | None:
    """The smallest change in per cent that n pairs show: their interval excludes zero with `power`.

    sd: of the differences (natural log). None below two pairs. Normal noise is assumed. With the
    t interval: noncentral t. With the signed-rank interval: the same at the level that the exact
    interval really has, times sqrt(pi / 3) because ranks use normal data that much less; and
    where all differences must agree in sign (6 pairs), sd * z(power ** (1 / n)).
    """
    sized(sd=sd)
    between(level=level, power=power)
    if n < 2:
        return None
    return percent(sd * _detectable_in_sd(n, level, power))


def _reach(n: NDArray[np.int64], level: float, power: float) -> NDArray[np.float64]:
    # The exact level would cost n**3 steps.  For more than _FEW pairs it is the nominal one, and
    # the sum of two quantiles of t is the noncentral t to 0.5 %.
    quantiles = (scipy_stats.t.ppf(p, n - 1) for p in ((1 + level) / 2, power))
    found: NDArray[np.float64] = sum(quantiles) * np.sqrt(math.pi / 3 / n)
    return found


@lru_cache(maxsize=4096)
def _detectable_in_sd(n: int, level: float, power: float) -> float:
    if n > _FEW:
        return float(_reach(np.asarray([n]), level, power)[0])
    rank = interval_rank(n, level)
    if rank == 1:
        return float(scipy_stats.norm.ppf(power ** (1 / n)))
    size = 1 - (coverage_of(n, rank) if rank else level)
    critical = t_quantile(1 - size / 2, n - 1)

    def missing(effect: float) -> float:
        shown = scipy_stats.nct.sf(critical, n - 1, effect * math.sqrt(n))
        return float(shown) - power

    root = float(optimize.brentq(missing, 0.0, 4 * critical))
    return root * (math.sqrt(math.pi / 3) if rank else 1.0)


def pairs_needed(
    sd: float, change_pct: float, *, margin_pct: float | None = None, power: float = POWER
) -> int | None:
    """How many pairs in all would decide a true change of that size; None above `MOST_PAIRS`.

    They decide when the 95 % interval excludes zero, or when the 90 % interval lies inside the
    margin, each with `power`: the smaller number counts. sd: of the differences (natural log).
    """
    sized(sd=sd)
    between(power=power)
    if math.isnan(change_pct) or (margin_pct is not None and not 0 < margin_pct < math.inf):
        raise ValueError(f"no number of pairs decides {change_pct} % with a margin of {margin_pct}")
    change = abs(math.log1p(max(change_pct, -99.9) / 100))
    room = math.log1p(margin_pct / 100) - change if margin_pct is not None else 0.0
    shift, inside = _needed_in_sd(power)
    enough = np.flatnonzero((sd * shift <= change) | (sd * inside <= room))
    return int(enough[0]) + 3 if len(enough) else None


@lru_cache(maxsize=8)
def _needed_in_sd(power: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For 3, 4, ... pairs: what is detected, and how wide a room shows equivalence, both in sd."""
    n = np.arange(3, MOST_PAIRS + 1)
    few = [_detectable_in_sd(int(pairs), LEVEL, power) for pairs in n[n <= _FEW]]
    many = n[n > _FEW]
    shift = np.concatenate((few, _reach(many, LEVEL, power)))
    # Half of the missed part at each edge: right for no change, a little too many else.
    edges = ((1 + EQUIVALENCE_LEVEL) / 2, (1 + power) / 2)
    inside = sum(scipy_stats.t.ppf(p, n - 1) for p in edges) / np.sqrt(n)
    return shift, inside

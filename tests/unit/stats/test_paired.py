# SPDX-License-Identifier: GPL-2.0-only
"""Paired estimates: invariances, and independent oracles."""

from __future__ import annotations

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from harness.stats import paired as stats
from harness.stats import ranks

_positive = st.floats(1e-3, 1e6)
_pairs = st.lists(st.tuples(_positive, _positive), min_size=1, max_size=12)


def _both(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [b for b, _ in pairs], [p for _, p in pairs]


def _same(a: stats.Paired, b: stats.Paired, rel: float = 1e-6) -> None:
    for one, two in ((a.estimate_pct, b.estimate_pct), (a.low_pct, b.low_pct),
                     (a.high_pct, b.high_pct)):  # fmt: skip
        if one is None or two is None:
            assert one is two
        else:
            assert one == pytest.approx(two, rel=rel, abs=1e-6)


@given(_pairs, st.randoms())
def test_the_order_of_the_pairs_does_not_matter(
    pairs: list[tuple[float, float]], random: Random
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    _same(stats.paired(*_both(pairs)), stats.paired(*_both(shuffled)))


@given(_pairs, st.integers(-20, 20))
def test_the_unit_does_not_matter(pairs: list[tuple[float, float]], power: int) -> None:
    base, patch = _both(pairs)
    scale = 2.0**power
    scaled = stats.paired([b * scale for b in base], [p * scale for p in patch])
    _same(stats.paired(base, patch), scaled)


@given(_pairs)
def test_swapping_the_arms_turns_the_change_round(pairs: list[tuple[float, float]]) -> None:
    there, back = stats.paired(*_both(pairs)), stats.paired(*_both(pairs)[::-1])
    assert there.estimate_pct is not None
    assert back.estimate_pct is not None
    product = (1 + there.estimate_pct / 100) * (1 + back.estimate_pct / 100)
    assert product == pytest.approx(1, rel=1e-6)


@given(_pairs)
def test_the_interval_holds_the_estimate(pairs: list[tuple[float, float]]) -> None:
    result = stats.paired(*_both(pairs))
    if result.low_pct is not None:
        assert result.estimate_pct is not None
        assert result.high_pct is not None
        slack = 1e-9 * max(1, abs(result.estimate_pct))
        assert result.low_pct - slack <= result.estimate_pct <= result.high_pct + slack


@pytest.mark.parametrize("n", [6, 7, 8])
def test_interval_rank_against_all_sign_patterns(n: int) -> None:
    sums = [
        sum(rank for rank, sign in enumerate(signs, 1) if sign)
        for signs in itertools.product((0, 1), repeat=n)
    ]
    fitting = [k for k in range(1, n * n) if 2 * np.mean(np.asarray(sums) <= k - 1) <= 0.05]
    assert ranks.interval_rank(n) == max(fitting)


@pytest.mark.parametrize("n", [6, 7, 8])
def test_interval_is_what_the_test_does_not_reject(n: int) -> None:
    rng = np.random.default_rng(n)
    base = rng.uniform(90, 110, n)
    patch = base * np.exp(rng.normal(0.03, 0.05, n))
    result = stats.paired(list(base), list(patch))
    d = np.log(patch / base)
    kept = [
        shift
        for shift in np.linspace(d.min() - 0.01, d.max() + 0.01, 801)
        if scipy_stats.wilcoxon(d - shift, method="exact").pvalue > 0.05
    ]
    assert result.low_pct is not None
    assert result.high_pct is not None
    assert math.log1p(result.low_pct / 100) == pytest.approx(min(kept), abs=1e-3)
    assert math.log1p(result.high_pct / 100) == pytest.approx(max(kept), abs=1e-3)


@pytest.mark.parametrize("n", range(1, 6))
def test_five_pairs_never_reach_95_per_cent_by_ranks(n: int) -> None:
    assert ranks.interval_rank(n) is None


def test_known_coverage_at_six_and_ten() -> None:
    base = [100.0] * 10
    patch = [101.0, 103.0, 104.5, 99.0, 107.1, 102.2, 100.9, 105.3, 98.2, 106.6]
    assert stats.paired(base[:6], patch[:6]).coverage == pytest.approx(0.96875)
    # 0.951 is the tabled coverage at n = 10 (rank 9).
    assert ranks.interval_rank(10) == 9
    assert stats.paired(base, patch).coverage == pytest.approx(0.951, abs=5e-4)


def test_p_is_scipys_and_pseudo_median_is_by_hand() -> None:
    base, patch = [100.0] * 6, [110.0, 111.0, 112.0, 109.0, 99.0, 108.0]
    result = stats.paired(base, patch)
    d = np.log(np.asarray(patch) / 100)
    averages = [(d[i] + d[j]) / 2 for i in range(6) for j in range(i, 6)]
    assert result.p == pytest.approx(scipy_stats.wilcoxon(d, method="exact").pvalue)
    assert result.estimate_pct == pytest.approx(100 * math.expm1(np.median(averages)))
    assert result.method == stats.SIGNED_RANK


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_p_with_ties_against_all_sign_patterns(d: list[int]) -> None:
    moved = [x for x in d if x]
    got = ranks.signed_rank_p([float(x) for x in d])
    if not moved:
        assert got == 1.0
        return
    places = scipy_stats.rankdata(np.abs(moved))
    observed = sum(r for r, x in zip(places, moved, strict=True) if x > 0)
    sums = [
        sum(r for r, sign in zip(places, signs, strict=True) if sign)
        for signs in itertools.product((0, 1), repeat=len(moved))
    ]
    low = np.mean([s <= observed + 1e-9 for s in sums])
    high = np.mean([s >= observed - 1e-9 for s in sums])
    assert got == pytest.approx(min(1, 2 * min(low, high)))


def test_t_interval_below_six_pairs_against_scipy() -> None:
    base, patch = [100.0, 102.0, 98.0], [110.0, 111.0, 109.0]
    result = stats.paired(base, patch)
    oracle = scipy_stats.ttest_rel(np.log(patch), np.log(base))
    low, high = oracle.confidence_interval(0.95)
    assert result.p == pytest.approx(oracle.pvalue)
    assert result.low_pct == pytest.approx(100 * math.expm1(low))
    assert result.high_pct == pytest.approx(100 * math.expm1(high))
    assert "fewer than 6" in result.method


@pytest.mark.parametrize("n", [1, 2, 5, 6, 10])
def test_ten_per_cent_is_ten_per_cent(n: int) -> None:
    base = [100.0 + i for i in range(n)]
    result = stats.paired(base, [1.1 * b for b in base])
    assert result.estimate_pct == pytest.approx(10)
    assert (result.low_pct is None) == (n == 1)
    assert result.excludes_zero == (n > 1)


@given(_pairs)
def test_the_90_per_cent_interval_lies_in_the_95_per_cent_interval(
    pairs: list[tuple[float, float]],
) -> None:
    wide, narrow = (stats.paired(*_both(pairs), level=level) for level in (0.95, 0.90))
    # At five pairs one is made by t and the other by ranks: they need not be nested.
    if wide.low_pct is None or len(pairs) == 5:
        return
    assert narrow.low_pct is not None
    assert narrow.high_pct is not None
    assert wide.high_pct is not None
    assert wide.low_pct <= narrow.low_pct <= narrow.high_pct <= wide.high_pct


def test_the_90_per_cent_interval_needs_five_pairs_by_ranks() -> None:
    assert [ranks.interval_rank(n, 0.90) for n in range(1, 7)] == [None] * 4 + [1, 3]
    base, patch = [100.0] * 5, [101.0, 102.0, 103.0, 104.0, 105.0]
    narrow = stats.paired(base, patch, level=0.90)
    assert (narrow.low_pct, narrow.high_pct) == pytest.approx((1, 5))
    assert narrow.coverage == pytest.approx(0.9375)
    assert narrow.method == stats.SIGNED_RANK
    assert stats.paired(base[:4], patch[:4], level=0.90).method == stats.T_INTERVAL


@pytest.mark.parametrize("n", [5, 6, 8, 11])
def test_equivalence_is_two_one_sided_tests(n: int) -> None:
    """The 90 % interval lies inside a margin if and only if both one-sided tests reach 5 %."""
    rng = np.random.default_rng(n)
    agreed = set()
    for margin in np.linspace(0.002, 0.05, 60):
        d = rng.normal(0, 0.02, n)
        narrow = stats.paired([1.0] * n, list(np.exp(d)), level=0.90)
        assert narrow.low_pct is not None
        assert narrow.high_pct is not None
        inside = -margin < np.log1p(narrow.low_pct / 100) and (
            np.log1p(narrow.high_pct / 100) < margin
        )
        above = scipy_stats.wilcoxon(d + margin, alternative="greater", method="exact").pvalue
        below = scipy_stats.wilcoxon(d - margin, alternative="less", method="exact").pvalue
        assert inside == (max(above, below) <= 0.05)
        agreed.add(bool(inside))
    assert agreed == {True, False}


@pytest.mark.parametrize("margin", [0.02, 0.03, 0.05, 0.2])
def test_equivalence_of_few_pairs_against_statsmodels(margin: float) -> None:
    d = np.array([0.01, -0.005, 0.02])
    narrow = stats.paired([1.0] * 3, list(np.exp(d)), level=0.90)
    p, _, _ = ttost_paired(d, np.zeros(3), -margin, margin)
    assert narrow.low_pct is not None
    assert narrow.high_pct is not None
    inside = np.log1p(narrow.low_pct / 100) > -margin and np.log1p(narrow.high_pct / 100) < margin
    assert inside == (p < 0.05)


def test_skewed_differences_get_a_t_interval_beside() -> None:
    d = [0.01, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016, 0.2]
    base, patch = [100.0] * 8, [100 * math.exp(x) for x in d]
    result = stats.paired(base, patch)
    low, high = scipy_stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert result.method == stats.SIGNED_RANK
    assert result.beside == pytest.approx((100 * math.expm1(low), 100 * math.expm1(high)))
    assert stats.paired(base, [100 * math.exp(-x) for x in d]).beside is not None
    assert stats.paired(base[:7], patch[1:]).beside is None
    assert stats.paired(base, [100.0 + i for i in range(8)]).beside is None
    # Tiny noise is skewed or not like any other, and equal differences are not.
    assert stats.skewed([x * 1e-13 for x in d])
    assert not stats.skewed([0.1] * 20)


def test_about_one_normal_sample_in_twenty_is_called_skewed() -> None:
    rng = np.random.default_rng(5)
    for n in (8, 10, 20):
        share = np.mean([stats.skewed(list(rng.normal(size=n))) for _ in range(600)])
        assert 0.02 <= share <= 0.08


def test_three_values_that_agree_by_accident_get_the_spread_that_is_known() -> None:
    base, patch = [100.0] * 3, [101.0, 101.001, 100.999]
    own = stats.paired(base, patch)
    floored = stats.paired(base, patch, least_sd=0.02)
    assert own.excludes_zero
    assert not floored.excludes_zero
    assert floored.estimate_pct == own.estimate_pct
    assert floored.method == stats.T_FLOORED
    half = scipy_stats.t.ppf(0.975, 2) * 0.02 / math.sqrt(3)
    mean = float(np.mean(np.log(np.asarray(patch) / 100)))
    assert floored.high_pct == pytest.approx(100 * math.expm1(mean + half))
    # Nothing to widen where ranks decide, or where the own spread is the wider one.
    assert stats.paired(base, patch, least_sd=1e-9).method == stats.T_INTERVAL
    six = stats.paired(base * 2, patch * 2, least_sd=0.02)
    assert six == stats.paired(base * 2, patch * 2)
    assert stats.paired(base, base, least_sd=0.01).low_pct != 0
    assert stats.paired(base, base, least_sd=0.0).method == stats.IDENTICAL


@pytest.mark.parametrize("n", [2, 3, 5, 6, 10, 25, 40])
def test_the_detectable_change_scales_with_the_noise(n: int) -> None:
    one, two = stats.detectable(0.001, n), stats.detectable(0.002, n)
    assert one is not None
    assert two is not None
    assert math.log1p(two / 100) == pytest.approx(2 * math.log1p(one / 100))
    assert stats.detectable(0.0, n) == 0.0
    more_power = stats.detectable(0.001, n, power=0.9)
    assert more_power is not None
    assert more_power > one


def test_the_detectable_change_against_statsmodels() -> None:
    assert stats.detectable(0.01, 1) is None
    # Below six pairs it is plainly the power of the t test.
    effect = TTestPower().solve_power(nobs=5, alpha=0.05, power=0.8)
    assert stats.detectable(0.01, 5) == pytest.approx(100 * math.expm1(0.01 * effect), rel=1e-6)
    # Above 30 an approximation, times what ranks lose.
    effect = TTestPower().solve_power(nobs=50, alpha=0.05, power=0.8) * math.sqrt(math.pi / 3)
    assert stats.detectable(0.01, 50) == pytest.approx(100 * math.expm1(0.01 * effect), rel=5e-3)


def test_pairs_needed() -> None:
    for change in (0.3, 1.0, 3.0):
        n = stats.pairs_needed(0.01, change)
        assert n is not None
        enough, less = stats.detectable(0.01, n), stats.detectable(0.01, n - 1)
        assert enough is not None
        assert less is not None
        assert enough <= change < less
        assert stats.pairs_needed(0.01, 100 * math.expm1(-math.log1p(change / 100))) == n
    # No change at all is shown by a margin only, and the wider it is the sooner.
    assert stats.pairs_needed(0.01, 0.0) is None
    wide, close = (stats.pairs_needed(0.01, 0.0, margin_pct=m) for m in (2.0, 0.5))
    assert wide is not None
    assert close is not None
    assert 3 <= wide < close
    assert stats.pairs_needed(0.01, 0.001, margin_pct=0.001) is None
    assert stats.pairs_needed(0.0, 0.5) == 3


def test_p_of_plain_differences() -> None:
    assert stats.p_value([0.0, 0.0]) == 1.0
    assert stats.p_value([3.0]) is None
    assert stats.p_value([512.0] * 3) is None
    assert stats.p_value([512.0] * 6) == pytest.approx(2 / 64)
    assert stats.p_value([1.0, 2.0, 4.0]) == pytest.approx(
        scipy_stats.ttest_1samp([1.0, 2.0, 4.0], 0).pvalue
    )


def test_identical_pairs_are_said_to_be_identical() -> None:
    result = stats.paired([3.0, 4.0, 5.0], [3.0, 4.0, 5.0])
    assert (result.estimate_pct, result.low_pct, result.high_pct) == (0, 0, 0)
    assert result.method == "all pairs identical"
    assert result.p == 1.0
    assert not result.excludes_zero


def test_missing_values_drop_the_pair_and_are_counted() -> None:
    result = stats.paired([1.0, None, 3.0, math.nan], [2.0, 2.0, 6.0, 1.0])
    assert (result.n, result.dropped) == (2, 2)
    assert result.estimate_pct == pytest.approx(100)
    empty = stats.paired([None], [1.0])
    assert (empty.n, empty.estimate_pct, empty.method) == (0, None, stats.NO_PAIR)


def test_zeros_have_no_per_cent_unless_both_are_zero() -> None:
    assert stats.paired([0.0, 1.0], [1.0, 1.0]).method == stats.NO_PER_CENT
    assert stats.paired([-1.0, 1.0], [1.0, 1.0]).estimate_pct is None
    assert stats.paired([0.0, 1.0], [0.0, 2.0]).n == 2


def test_unequal_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        stats.paired([1.0], [])


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=20))
def test_false_discovery_against_statsmodels(p_values: list[float]) -> None:
    oracle = multipletests(p_values, method="fdr_bh")[1]
    assert stats.false_discovery(p_values) == pytest.approx(tuple(oracle))


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=12))
def test_p_by_t_against_scipy(differences: list[float]) -> None:
    assume(np.std(differences) > 1e-6)
    oracle = scipy_stats.ttest_1samp(differences, 0).pvalue
    assert stats.t_p(differences) == pytest.approx(oracle)


def test_p_by_t_of_equal_differences() -> None:
    assert stats.t_p([0.0, 0.0, 0.0]) == 1.0
    assert stats.t_p([2.0, 2.0, 2.0]) == 0.0
    assert stats.t_p([2.0, 2.0]) is None and stats.t_p([]) is None


def test_spread() -> None:
    three = stats.spread([90.0, 100.0, 110.0])
    assert (three.median, three.kind) == (100, "CV")
    assert three.percent == pytest.approx(10)
    two = stats.spread([95.0, 105.0])
    assert (two.median, two.kind) == (100, "half range")
    assert two.percent == pytest.approx(5)
    assert stats.spread([7.0]).percent is None
    assert stats.spread([math.nan]).median is None
    assert stats.spread([0.1 + 0.2] * 5).percent == 0.0

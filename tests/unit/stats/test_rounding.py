# SPDX-License-Identifier: GPL-2.0-only
"""The last digit of a float decides nothing: swapped, scaled and permuted data give one answer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.stats import changepoint, crossover, fit, paired, ranks, rounding, search, verdict
from harness.stats.crossover import Crossover
from harness.stats.fit import Fit, FitPoint
from harness.stats.verdict import Kind

_HUGE = 1.7e308
# Ratios of a few small counts: equal ones are frequent, and their floats are not equal.
_ratio = st.tuples(st.integers(1, 12), st.integers(1, 12))
_pairs = st.lists(_ratio, min_size=3, max_size=9)
_units = st.sampled_from([1.0, 0.1, 1 / 3, 0.7, 1e-6, 3e9, 1e300, 1e-300])


def _floats(pairs: Sequence[tuple[int, int]], unit: float) -> tuple[list[float], list[float]]:
    return [base * unit for base, _ in pairs], [patch * unit for _, patch in pairs]


def _brute_p(ratios: Sequence[Fraction]) -> float:
    """All sign patterns, with exact ranks: the size of log(x) is that of the larger of x, 1 / x."""
    sizes = [max(one, 1 / one) for one in ratios if one != 1]
    signs = [one > 1 for one in ratios if one != 1]
    if not sizes:
        return 1.0
    mean_ranks = [
        sum(other < one for other in sizes) + Fraction(1 + sizes.count(one), 2) for one in sizes
    ]
    seen = sum(rank for rank, up in zip(mean_ranks, signs, strict=True) if up)
    sums = [
        sum(rank for rank, up in zip(mean_ranks, pattern, strict=True) if up)
        for pattern in itertools.product((False, True), repeat=len(sizes))
    ]
    low = sum(one <= seen for one in sums) / len(sums)
    high = sum(one >= seen for one in sums) / len(sums)
    return min(1.0, 2 * min(low, high))


def _p(found: paired.Paired) -> float:
    """The p; -1 for none."""
    return -1.0 if found.p is None else found.p


def _brute_interval(ratios: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """Squares of the geometric means of any two at the rank of the interval, from both ends."""
    means = sorted(one * other for one, other in itertools.combinations_with_replacement(ratios, 2))
    rank = ranks.interval_rank(len(ratios))
    assert rank is not None
    return means[rank - 1], means[-rank]


@settings(max_examples=150, deadline=None)
@given(_pairs, _units)
def test_ties_zeros_and_signs_are_those_of_exact_arithmetic(
    pairs: list[tuple[int, int]], unit: float
) -> None:
    ratios = [Fraction(patch, base) for base, patch in pairs]
    found = paired.paired(*_floats(pairs, unit))
    signs = [(one > 0) - (one < 0) for one in found.differences]
    assert signs == [(one > 1) - (one < 1) for one in ratios]
    sizes = [max(one, 1 / one) for one in ratios]
    for (one, d), (other, e) in itertools.combinations(
        zip(sizes, found.differences, strict=True), 2
    ):
        assert (abs(d) == abs(e)) is (one == other)
    if len(pairs) >= paired.MIN_EXACT:
        assert found.p == pytest.approx(_brute_p(ratios), rel=1e-12)
        low, high = _brute_interval(ratios)
        assert found.low_pct is not None and found.high_pct is not None
        assert ((found.low_pct > 0), (found.high_pct < 0)) == (low > 1, high < 1)
        assert ((found.low_pct == 0), (found.high_pct == 0)) == (low == 1, high == 1)


@settings(max_examples=150, deadline=None)
@given(_pairs, _units, _units, st.randoms())
def test_swapped_scaled_and_permuted_pairs_give_one_answer(
    pairs: list[tuple[int, int]], unit: float, other: float, random: Random
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    one = paired.paired(*_floats(pairs, unit))
    base, patch = _floats(shuffled, other)
    inverse = [1 / value for value in base], [1 / value for value in patch]
    for same in (paired.paired(base, patch), paired.paired(*inverse[::-1])):
        assert _p(same) == pytest.approx(_p(one), rel=1e-9)
        assert same.excludes_zero is one.excludes_zero
        assert (same.estimate_pct, same.low_pct, same.high_pct) == pytest.approx(
            (one.estimate_pct, one.low_pct, one.high_pct), rel=1e-9, abs=1e-11
        )
    turned = paired.paired(patch, base)
    assert _p(turned) == pytest.approx(_p(one), rel=1e-9)
    assert turned.excludes_zero is one.excludes_zero
    for there, back in (
        (one.estimate_pct, turned.estimate_pct),
        (one.low_pct, turned.high_pct),
        (one.high_pct, turned.low_pct),
    ):
        assert there is not None and back is not None
        assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1, rel=1e-9)


def test_one_ratio_both_ways_round_covers_zero_both_ways() -> None:
    """Seven doubled and one halved: all sizes are the same, so the halved one has their rank."""
    one = paired.paired([1] * 7 + [8], [2] * 7 + [4])
    other = paired.paired([2] * 7 + [4], [1] * 7 + [8])
    oracle = scipy_stats.permutation_test(
        (np.log([2.0] * 7 + [0.5]).round(9),),
        lambda d: scipy_stats.rankdata(abs(d)) @ (d > 0),
        permutation_type="samples",
    ).pvalue
    assert one.p == other.p == pytest.approx(oracle)
    assert one.excludes_zero is other.excludes_zero is False
    assert one.low_pct == other.high_pct == 0.0


def test_a_verdict_does_not_depend_on_the_way_round() -> None:
    base, patch = [3.0] * 6 + [10.0] * 6, [3.3] * 6 + [11.0] * 6
    noise = (base, [value * 1.1 for value in base])
    # The change is that of A/A, to the last digit but rounding: A/A alone shows as much.
    kinds = set()
    for pairs, again in (((base, patch), noise), ((patch, base), noise[::-1])):
        found = verdict.decide(pairs, again, direction="lower", margin_pct=200)
        kinds.add((found.kind, found.reason))
    assert len(kinds) == 1
    assert next(iter(kinds))[0] is Kind.EQUIVALENT
    assert "though not zero" not in next(iter(kinds))[1]


@pytest.mark.parametrize("margin", [1.0, 2.0, 5.0, 7.0, 10.0])
@pytest.mark.parametrize("unit", [1.0, 0.1, 1 / 3, 7e9])
def test_a_change_of_just_the_margin_is_inside_it(margin: float, unit: float) -> None:
    base, again = [100 * unit, 300 * unit, 700 * unit], [100 * unit, 300 * unit, 700 * unit]
    patch = [value * (100 + margin) / 100 for value in base]
    for pairs in ((base, patch), (patch, base)):
        noise = (pairs[0], again if pairs[0] is base else list(pairs[0]))
        found = verdict.decide(pairs, noise, direction="lower", margin_pct=margin)
        assert found.kind is Kind.EQUIVALENT


@pytest.mark.parametrize("factor", [1.01, 1.1, 0.7, 1 / 3, 1e-7])
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_pairs_that_all_change_by_one_factor_have_no_spread(factor: float, n: int) -> None:
    base = [100.0 * 2**place + place for place in range(n)]
    found = paired.paired(base, [value * factor for value in base])
    assert found.deviation == 0
    assert found.p is None
    assert found.low_pct == found.high_pct == found.estimate_pct
    assert found.estimate_pct == pytest.approx(100 * (factor - 1))


def test_one_percent_of_four_values_is_no_proof_of_forty_digits() -> None:
    base = [100.0, 200.0, 400.0, 800.0]
    found = paired.paired(base, [value * 1.01 for value in base])
    assert found.p is None
    assert paired.p_value(found.differences) is None
    assert not paired.skewed(found.differences)


def test_what_rounds_to_no_change_is_none() -> None:
    base = [0.1, 0.7, 1e9 / 3, 5e-5, 2 / 3, 0.3]
    patch = [value / 3 * 3 * (1 + 2**-52) for value in base]
    assert paired.paired(base, patch).method == paired.IDENTICAL
    halfway = search.against_half(
        dict(enumerate(base)), dict(enumerate(base)), dict(enumerate(patch)), level=0.95
    )
    assert search.side(halfway, up=True) is None


def test_plain_differences_know_how_large_their_values_are() -> None:
    thirds = [(1e9 + 1 / 3, 1e9 + 2 / 3), (7e8 + 2 / 3, 7e8 + 1), (1e9 / 7, 1e9 / 7 * 3 / 3)]
    one, two, none = rounding.differences(thirds)
    assert one == two == pytest.approx(1 / 3, abs=1e-6)
    assert none == 0
    # Whole numbers have no rounding, however large.
    whole = [(2.0**52, 2.0**52 + 1), (0.0, 1.0), (2.0**52 + 1, 2.0**52)]
    assert rounding.differences(whole) == (1, 1, -1)


@given(st.lists(st.floats(-1e3, 1e3), max_size=9), st.randoms())
def test_settled_values_keep_sign_order_and_size(values: list[float], random: Random) -> None:
    found = rounding.settled(values)
    assert found == pytest.approx(tuple(values), rel=1e-12, abs=0)
    assert rounding.settled([-value for value in values]) == tuple(-value for value in found)
    places = list(range(len(values)))
    random.shuffle(places)
    assert rounding.settled([values[i] for i in places]) == tuple(found[i] for i in places)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_log_ratio_is_exact_and_turns_round(base: float, patch: float) -> None:
    found = rounding.log_ratio(base, patch)
    assert found == -rounding.log_ratio(patch, base)
    ratio = Fraction(patch) / Fraction(base)
    if abs(ratio - 1) < Fraction(1, 1000):
        x = float(ratio - 1)
        assert found == pytest.approx(math.log1p(x), rel=1e-14, abs=0)
    else:
        exact = math.log(ratio.numerator) - math.log(ratio.denominator)
        assert found == pytest.approx(exact, rel=1e-9)


def test_a_step_of_a_last_digit_is_no_change_point() -> None:
    low, high = 0.3, 0.1 + 0.2
    assert low != high
    assert changepoint.shifts([low] * 5 + [high] * 5) == ()
    assert changepoint.shifts([low, high] * 4) == ()
    # Whatever the last digits are, a clean step is found where it is.
    (one,) = changepoint.shifts([low, high, low, high, 0.4, 0.4 * (1 + 2**-52), 0.4, 0.4])
    assert (one.at, one.p) == (4, 0.0)


@pytest.mark.parametrize("power", [-1000, -600, 0, 600, 1020])
def test_change_points_in_any_unit(power: int) -> None:
    noise = Random(1)
    values = [noise.gauss(1, 0.01) for _ in range(9)] + [noise.gauss(1.5, 0.01) for _ in range(9)]
    errors = [0.01] * 18
    here = changepoint.shifts(values, errors=errors)
    there = changepoint.shifts(
        [math.ldexp(value, power) for value in values],
        errors=[math.ldexp(one, power) for one in errors],
    )
    assert [one.at for one in here] == [one.at for one in there] == [9]
    assert there[0].p == pytest.approx(here[0].p, rel=1e-9)
    assert there[0].after == pytest.approx(math.ldexp(here[0].after, power), rel=1e-12)


def test_the_largest_floats_are_only_large() -> None:
    large = [_HUGE, -_HUGE, _HUGE / 2, 1.0, 0.0, -_HUGE]
    unit = [value / 2.0**1000 for value in large]
    assert paired.deviation(large) == pytest.approx(np.std(unit, ddof=1) * 2.0**1000)
    oracle = scipy_stats.ttest_1samp(unit, 0).pvalue
    assert paired.t_p(large) == pytest.approx(oracle)
    assert paired.p_value(large) == pytest.approx(paired.p_value(unit))
    low, high = paired.t_interval([_HUGE, _HUGE / 2], 0.5)
    assert low < 0.75 * _HUGE < high
    assert paired.t_interval([_HUGE, -_HUGE], 0.95) == (-math.inf, math.inf)
    assert paired.skewed([*([1e-250] * 9), 3e-250]) is paired.skewed([*([1.0] * 9), 3.0]) is True

    spread = paired.spread([_HUGE, _HUGE, _HUGE / 2])
    plain = paired.spread([1.7, 1.7, 0.85])
    assert spread.median == _HUGE
    assert spread.percent == pytest.approx(plain.percent)
    assert paired.spread([_HUGE, -_HUGE]).percent is None
    assert paired.spread([_HUGE, _HUGE / 3]).percent == pytest.approx(50)
    assert paired.spread([0.1, 0.2, -0.3]).percent is None  # their mean is zero but for rounding
    assert paired.spread([0.3, 0.1 + 0.2]).percent == 0

    many = paired.paired([1e-300] * 6, [1e300] * 6)
    assert many.excludes_zero
    assert many.low_pct == math.inf
    assert many.p == pytest.approx(2 / 64)
    same = paired.paired([_HUGE, _HUGE, _HUGE / 2], [_HUGE / 2, _HUGE / 2, _HUGE / 4])
    assert same.estimate_pct == pytest.approx(-50)

    assert crossover.straight(-_HUGE, _HUGE) == Crossover("never")
    assert crossover.straight(_HUGE, _HUGE) == Crossover("always")
    assert crossover.straight(-_HUGE / 2, _HUGE).usage == pytest.approx(50)
    assert crossover.rows([0, 1], [-_HUGE, _HUGE]).usage == pytest.approx(50)


def test_the_rounding_of_a_design_is_no_crossover() -> None:
    end = sum([-0.1] * 10)  # not quite -1
    assert end != -1
    assert crossover.straight(-1.0, -end) == crossover.straight(-1.0, 1.0) == Crossover("never")
    assert crossover.rows([0, 0.5, 1], [end + 1, 5.0, 10.0]) == Crossover("always")


def test_equal_fits_of_two_kernels_do_not_cross() -> None:
    def points(order: int) -> list[FitPoint]:
        found = [
            FitPoint(f"{slots}/{boot}", slots, fill, 4096 * boot + slots / 3 + fill * 9.7 + boot)
            for slots in (131071, 262143)
            for boot in range(3)
            for fill in (0, 1000, 60000, 120000)
        ]
        return found[::order]

    old, new = fit.line(points(1)), fit.line(points(-1))
    assert old is not None and new is not None
    assert old.beta != new.beta  # by their rounding
    assert crossover.measured(old, new, 8_388_608) == Crossover("never")


def _fit() -> Fit:
    found = fit.line([FitPoint(f"{n}", n, e, 3.0 * e + n) for n in (9, 99) for e in (0, 4, 8)])
    assert found is not None
    return found


_WRONG: dict[str, Callable[[float], object]] = {
    "paired level": lambda bad: paired.paired([1.0], [1.0], level=bad),
    "paired least_sd": lambda bad: paired.paired([1.0] * 3, [1.0] * 3, least_sd=bad),
    "deviation": lambda bad: paired.deviation([1.0, bad]),
    "skewed": lambda bad: paired.skewed([1.0] * 8 + [bad]),
    "t_quantile": lambda bad: paired.t_quantile(bad, 3),
    "t_interval": lambda bad: paired.t_interval([1.0, bad], 0.95),
    "t_interval level": lambda bad: paired.t_interval([1.0, 2.0], bad),
    "t_interval least_sd": lambda bad: paired.t_interval([1.0, 2.0], 0.95, bad),
    "interval_rank": lambda bad: ranks.interval_rank(6, bad),
    "signed_rank_p": lambda bad: ranks.signed_rank_p([1.0, 2.0, bad]),
    "p_value": lambda bad: paired.p_value([1.0, 2.0, bad]),
    "p_value of six": lambda bad: paired.p_value([1.0, 2.0, 3.0, 4.0, 5.0, bad]),
    "t_p": lambda bad: paired.t_p([1.0, 2.0, bad]),
    "t_p of two": lambda bad: paired.t_p([1.0, bad]),
    "false_discovery": lambda bad: paired.false_discovery([0.1, bad]),
    "detectable": lambda bad: paired.detectable(bad, 6),
    "detectable power": lambda bad: paired.detectable(0.1, 6, power=bad),
    "pairs_needed": lambda bad: paired.pairs_needed(bad, 1.0),
    "pairs_needed margin": lambda bad: paired.pairs_needed(0.1, 1.0, margin_pct=bad),
    "differences": lambda bad: rounding.differences([(1.0, bad)]),
    "decide margin": lambda bad: verdict.decide(
        ([1.0], [1.0]), None, direction="lower", margin_pct=bad
    ),
    "against_half": lambda bad: search.against_half({1: 1.0}, {1: 1.0}, {1: 1.0}, level=bad),
    "shifts": lambda bad: changepoint.shifts([1.0, 2.0, 3.0, bad]),
    "shifts errors": lambda bad: changepoint.shifts([1.0] * 4, errors=[0.1] * 3 + [bad]),
    "shifts risk": lambda bad: changepoint.shifts([1.0] * 4, risk=bad),
    "shifts least": lambda bad: changepoint.shifts([1.0] * 4, least=bad),
    "line": lambda bad: fit.line([FitPoint("a", 9, 0, 1.0), FitPoint("a", 9, 4, bad)]),
    "predict": lambda bad: _fit().predict(bad, 4),
    "reach": lambda bad: _fit().reach(4, bad),
    "straight": lambda bad: crossover.straight(1.0, bad),
    "rows": lambda bad: crossover.rows([0.0, 1.0], [1.0, bad]),
    "rows shares": lambda bad: crossover.rows([0.0, bad], [1.0, -1.0]),
    "stepped": lambda bad: crossover.stepped(9, lambda entries: bad),
}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", _WRONG)
def test_what_is_no_number_is_an_error(name: str, bad: float) -> None:
    with pytest.raises(ValueError):
        _WRONG[name](bad)


def test_a_missing_value_is_nan_none_or_infinite() -> None:
    found = paired.paired([1.0, math.inf, 2.0, None], [1.0, 1.0, -math.inf, 1.0])
    assert (found.n, found.dropped) == (1, 3)
    assert paired.spread([math.inf, 3.0, math.nan]).median == 3.0
    halfway = search.against_half(
        {1: 1.0, 2: math.inf, 3: 2.0}, {1: 2.0, 2: 1.0, 3: 2.0}, {1: 1.0, 2: 1.0, 3: 4.0}, level=0.9
    )
    assert halfway.n == 2


def test_what_has_no_meaning_is_an_error() -> None:
    for wrong in (
        lambda: paired.t_quantile(0.5, 0),
        lambda: ranks.coverage_of(6, 0),
        lambda: ranks.coverage_of(6, 12),
        lambda: search.sizes(0, 8),
        lambda: search.level(0, first=3, most=6),
        lambda: changepoint.shifts([1.0] * 4, errors=[-0.1] * 4),
        lambda: crossover.rows([], []),
        lambda: crossover.rows([0.0], [1.0, 2.0]),
        lambda: paired.percent(math.nan),
        lambda: paired.pairs_needed(0.1, math.nan),
        lambda: fit.line([FitPoint("a", 9, 0, 1.0), FitPoint("a", 9, 4, _HUGE)]),
    ):
        with pytest.raises(ValueError):
            wrong()
    assert ranks.coverage_of(6, 11) >= 0

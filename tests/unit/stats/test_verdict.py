# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: the rule, case by case, and what must not change them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.stats import paired, verdict
from harness.stats.verdict import Direction, Kind, Verdict
from harness.util.errors import Exit

# Noise of ten boots by hand: symmetric about zero, sd 0.1 %.
NOISE = [0.0012, -0.0012, 0.0007, -0.0007, 0.0003, -0.0003, 0.0015, -0.0015, 0.0001, -0.0001]


def _boots(n: int, effect: float = 0.0, again: float = 0.0) -> tuple[list[float], ...]:
    """Base, patch and again of n blocks; effects are log-ratios, the noise is `NOISE`."""
    base = [1000.0 + i for i in range(n)]
    patch = [b * math.exp(effect + e) for b, e in zip(base, NOISE, strict=False)]
    repeat = [b * math.exp(again - 0.9 * e) for b, e in zip(base, NOISE, strict=False)]
    return base, patch, repeat


def judge(
    base: Sequence[float | None],
    patch: Sequence[float | None],
    again: Sequence[float | None] | None,
    *,
    direction: Direction | None,
    margin_pct: float | None,
) -> Verdict:
    """The verdict on base[i], patch[i], again[i] of block i."""
    noise_pairs = None if again is None else (base, again)
    return verdict.decide((base, patch), noise_pairs, direction=direction, margin_pct=margin_pct)


def _judge(n: int = 10, effect: float = 0.0, again: float = 0.0, margin: float = 1.0) -> Verdict:
    return judge(*_boots(n, effect, again), direction="lower", margin_pct=margin)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 8, 10])
def test_each_kind(n: int) -> None:
    assert _judge(n, 0.05).kind is Kind.WORSE
    assert _judge(n, -0.05).kind is Kind.BETTER
    assert _judge(n, 0.0).kind is Kind.EQUIVALENT
    assert _judge(n, 0.0001, margin=0.02).kind is Kind.UNDECIDED
    assert _judge(n, 0.05, again=0.02).kind is Kind.NONE


def test_direction_says_what_is_worse() -> None:
    boots = _boots(10, 0.05)
    assert judge(*boots, direction="higher", margin_pct=1).kind is Kind.BETTER
    assert judge(*boots, direction="lower", margin_pct=1).kind is Kind.WORSE


def test_a_real_change_inside_the_margin_is_equivalent_and_said_to_be_real() -> None:
    got = _judge(effect=0.004)
    assert got.kind is Kind.EQUIVALENT
    assert got.change.excludes_zero
    assert got.reason.endswith("though not zero")
    assert "not zero" not in _judge(effect=0.0).reason


def test_a_real_change_across_the_edge_of_the_margin_is_worse() -> None:
    got = _judge(effect=math.log(1.01))
    assert got.kind is Kind.WORSE
    assert "part of the interval is inside the margin" in got.reason
    assert "whole interval is beyond" in _judge(effect=0.05).reason


def test_the_margin_is_a_factor_either_way() -> None:
    for factor in (1.0999, 1 / 1.0999):
        exact = judge([1.0] * 6, [factor] * 6, [1.0] * 6, direction="lower", margin_pct=10)
        assert exact.kind is Kind.EQUIVALENT
    for factor in (1.1001, 1 / 1.1001):
        exact = judge([1.0] * 6, [factor] * 6, [1.0] * 6, direction="lower", margin_pct=10)
        assert exact.kind in {Kind.WORSE, Kind.BETTER}


@pytest.mark.parametrize("n", [3, 5, 6, 10])
def test_an_exact_clock(n: int) -> None:
    same = judge([7.0] * n, [7.0] * n, [7.0] * n, direction="lower", margin_pct=0.05)
    assert same.kind is Kind.EQUIVALENT
    assert (same.change.low_pct, same.change.high_pct) == (0, 0)
    assert same.noise is not None
    assert (same.noise.cv_pct, same.noise.detectable_pct) == (0, 0)
    point = judge([7.0] * n, [7.7] * n, [7.0] * n, direction="lower", margin_pct=0.05)
    assert point.kind is Kind.WORSE
    assert point.change.low_pct == pytest.approx(10)
    small = judge([7.0] * n, [7.001] * n, [7.0] * n, direction="lower", margin_pct=0.05)
    assert small.kind is Kind.EQUIVALENT
    assert "though not zero" in small.reason


def test_what_a_a_shows_too_is_not_a_change() -> None:
    base = [1000.0] * 10
    up = [1000 * math.exp(0.004 + e) for e in NOISE]
    # A/A scatters widely around a like value: its interval holds the estimate.
    again = [1000 * math.exp(0.002 + 6 * e) for e in NOISE]
    got = judge(base, up, again, direction="lower", margin_pct=0.1)
    assert got.change.excludes_zero
    assert got.kind is Kind.UNDECIDED
    assert got.reason.startswith("zero is excluded, but A/A alone shows as much")


def test_a_a_that_differs() -> None:
    got = _judge(effect=0.05, again=0.02)
    assert got.kind is Kind.NONE
    assert got.reason.startswith("A/A itself differs: [+1.9")
    # Far below the margin it is said, and does not matter.
    small = _judge(effect=0.05, again=0.003, margin=5.0)
    assert small.kind is Kind.WORSE
    assert small.reason.endswith("A/A differs too, by less than a tenth of the margin")


@pytest.mark.parametrize(
    ("boots", "reason"),
    [
        (([1.0] * 6, [1.0] * 6, None), "no A/A boots"),
        (([1.0] * 6, [1.0] * 6, [None] * 6), "too few pairs: 0 of A/A, 3 needed"),
        (([1.0] * 2, [1.0] * 2, [1.0] * 2), "too few pairs: 2 of A/B, 3 needed"),
        (([1.0] * 6, [1.0] * 6, [1.0] * 2 + [None] * 4), "too few pairs: 2 of A/A"),
        (([0.0] * 6, [1.0] * 6, [0.0] * 6), "A/B: no per cent"),
        (([1.0] * 6, [1.0] * 6, [0.0] * 6), "A/A: no per cent"),
        (([], [], []), "no A/A boots"),
    ],
)
def test_no_verdict_and_why(
    boots: tuple[list[float | None], list[float | None], list[float | None] | None], reason: str
) -> None:
    got = judge(*boots, direction="lower", margin_pct=1)
    assert got.kind is Kind.NONE
    assert got.reason.startswith(reason)


def test_no_verdict_without_a_declaration() -> None:
    boots = _boots(6, 0.05)
    no_margin = judge(*boots, direction="lower", margin_pct=None)
    assert (no_margin.kind, no_margin.reason) == (Kind.NONE, "no margin was declared")
    no_way = judge(*boots, direction=None, margin_pct=1)
    assert (no_way.kind, no_way.reason) == (
        Kind.NONE,
        "nobody declared which direction is better",
    )
    # The numbers are there all the same.
    assert no_way.change == judge(*boots, direction="lower", margin_pct=1).change
    for margin in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="margin"):
            judge(*boots, direction="lower", margin_pct=margin)


def test_a_missing_value_takes_out_only_its_own_pairs() -> None:
    base, patch, again = (list[float | None](arm) for arm in _boots(8, 0.05))
    patch[0], again[1], base[2] = None, math.nan, None
    got = judge(base, patch, again, direction="lower", margin_pct=1)
    assert got.kind is Kind.WORSE
    assert (got.change.n, got.change.dropped) == (6, 2)
    assert got.noise is not None
    assert (got.noise.change.n, got.noise.change.dropped) == (6, 2)


def test_noise_by_hand() -> None:
    got = _judge(10)
    a = [-0.9 * e for e in NOISE]
    assert got.noise is not None
    assert got.noise.cv_pct == pytest.approx(100 * np.std(a, ddof=1) / math.sqrt(2))
    expected = paired.detectable(float(np.std(a, ddof=1)), 10, power=0.9)
    assert got.noise.detectable_pct == pytest.approx(expected)


def test_undecided_says_how_many_pairs_more() -> None:
    got = _judge(10, 0.0, margin=0.02)
    assert got.kind is Kind.UNDECIDED
    assert got.more is not None
    assert f"needs about {got.more} more pairs" in got.reason
    more = _judge(10, 0.0, margin=0.01)
    assert more.more is None or more.more > got.more
    hopeless = _judge(10, 0.0, margin=1e-6)
    assert (hopeless.kind, hopeless.more) == (Kind.UNDECIDED, None)
    assert "more than 1000 pairs" in hopeless.reason


_values = st.floats(-0.05, 0.05)
_blocks = st.lists(st.tuples(_values, _values, _values), min_size=1, max_size=12)


def _of(blocks: list[tuple[float, float, float]], scale: float = 1.0) -> list[list[float]]:
    return [[scale * math.exp(block[i]) for block in blocks] for i in range(3)]


@settings(max_examples=50, deadline=None)
@given(_blocks, st.randoms())
def test_the_order_of_the_blocks_does_not_matter(
    blocks: list[tuple[float, float, float]], random: Random
) -> None:
    shuffled = list(blocks)
    random.shuffle(shuffled)
    one, two = (judge(*_of(b), direction="lower", margin_pct=1) for b in (blocks, shuffled))
    assume(_is_clear(one))
    assert (one.kind, one.change.n) == (two.kind, two.change.n)


@settings(max_examples=50, deadline=None)
@given(_blocks, st.integers(-30, 30))
def test_the_unit_does_not_matter(blocks: list[tuple[float, float, float]], power: int) -> None:
    one = judge(*_of(blocks), direction="lower", margin_pct=1)
    two = judge(*_of(blocks, 2.0**power), direction="lower", margin_pct=1)
    assume(_is_clear(one))
    assert one.kind is two.kind


_TURNED = {Kind.WORSE: Kind.BETTER, Kind.BETTER: Kind.WORSE}


@settings(max_examples=50, deadline=None)
@given(_blocks)
def test_inverse_values_turn_the_verdict_round(blocks: list[tuple[float, float, float]]) -> None:
    one = judge(*_of(blocks), direction="lower", margin_pct=1)
    inverse = [(-b, -p, -a) for b, p, a in blocks]
    two = judge(*_of(inverse), direction="lower", margin_pct=1)
    other = judge(*_of(inverse), direction="higher", margin_pct=1)
    assume(_is_clear(one))
    assert two.kind is _TURNED.get(one.kind, one.kind)
    assert other.kind is one.kind


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(_values, _values), min_size=3, max_size=12))
def test_swapping_base_and_patch_turns_the_verdict_round(
    pairs: list[tuple[float, float]],
) -> None:
    """With the same A/A, the change is negated."""
    base, patch = [1.0] * len(pairs), [math.exp(p) for p, _ in pairs]
    aa = (base, [math.exp(a) for _, a in pairs])
    turned = (base, [math.exp(-a) for _, a in pairs])
    one = verdict.decide((base, patch), aa, direction="lower", margin_pct=1)
    two = verdict.decide((patch, base), turned, direction="lower", margin_pct=1)
    assume(_is_clear(one))
    assert two.kind is _TURNED.get(one.kind, one.kind)


def _is_clear(got: Verdict) -> bool:
    """No bound lies within a float's last digits of what it is compared with."""
    margins = [0.0, 1.0, -100 / 101, 0.1, -10 / 100.1]
    bounds = [got.change.low_pct, got.change.high_pct, got.narrow.low_pct, got.narrow.high_pct]
    if got.noise is not None:
        aa = got.noise.change
        bounds += [aa.low_pct, aa.high_pct]
        if got.change.estimate_pct is not None:
            margins.append(got.change.estimate_pct)
    near = [b - m for b in bounds for m in margins if b is not None and 0 < abs(b - m) < 1e-9]
    return not near


def _kinds(*kinds: Kind) -> list[Verdict]:
    made = {
        Kind.WORSE: _judge(effect=0.05), Kind.BETTER: _judge(effect=-0.05),
        Kind.EQUIVALENT: _judge(), Kind.UNDECIDED: _judge(margin=0.02),
        Kind.NONE: verdict.none("no complete pair"),
    }  # fmt: skip
    assert all(one.kind is kind for kind, one in made.items())
    return [made[kind] for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ((Kind.BETTER, Kind.EQUIVALENT), Exit.OK),
        ((Kind.BETTER, Kind.EQUIVALENT, Kind.UNDECIDED), Exit.UNDECIDED),
        ((Kind.EQUIVALENT, Kind.NONE), Exit.UNDECIDED),
        ((Kind.NONE, Kind.UNDECIDED, Kind.WORSE), Exit.WORSE),
        ((), Exit.UNDECIDED),
    ],
)
def test_exit_status(kinds: tuple[Kind, ...], status: Exit) -> None:
    assert verdict.worst(_kinds(*kinds)) is status

# SPDX-License-Identifier: GPL-2.0-only
"""Change points: found where they are, and rare where nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.changepoint import MIN_POINTS, RISK, shifts

RUNS = 1500
NOISE = {
    "normal": lambda draw, n: draw.normal(0, 1, n),
    "heavy": lambda draw, n: draw.standard_t(3, n),
    "skewed": lambda draw, n: draw.exponential(1, n),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("n", [4, 6, 12, 40])
def test_false_alarms_without_change(noise: str, n: int) -> None:
    draw = np.random.default_rng(n)
    marked = sum(bool(shifts(list(NOISE[noise](draw, n)))) for _ in range(RUNS))
    # Three sd of the simulation itself on top of what is promised.
    most = RISK + 3 * (RISK * (1 - RISK) / RUNS) ** 0.5
    print(f"{noise} n={n}: {100 * marked / RUNS:.1f} %")
    # The bound is for normal noise; what it costs where noise is not is measured all the same.
    assert marked / RUNS <= {"normal": 1, "heavy": 1.5, "skewed": 2}[noise] * most


def test_the_risk_is_used_not_given_away() -> None:
    draw = np.random.default_rng(5)
    marked = sum(bool(shifts(list(draw.normal(0, 1, 6)))) for _ in range(RUNS))
    assert marked / RUNS >= RISK / 5


@pytest.mark.parametrize("at", [1, 6, 10, 11])
def test_a_step_is_found_where_it_is(at: int) -> None:
    draw = np.random.default_rng(at)
    right = 0
    for _ in range(200):
        values = draw.normal(5, 1, 12)
        values[at:] += 12
        found = shifts(list(values))
        right += [one.at for one in found] == [at]
    assert right >= 184  # 5 %, and 2 sd of this simulation


def test_two_steps_and_their_levels() -> None:
    values = [1.0, 1.01, 0.99, 1.0, 5.0, 5.01, 4.99, 5.0, 3.0, 3.01, 2.99, 3.0]
    found = shifts(values)
    assert [one.at for one in found] == [4, 8]
    assert (found[1].before, found[1].after) == pytest.approx((5, 3), abs=0.02)


def test_a_step_at_the_last_point_of_few() -> None:
    assert [one.at for one in shifts([0.0, 0.01, -0.01, 5.0])] == [3]
    assert not shifts([0.0, 0.01, 5.0]) and MIN_POINTS == 4


def test_it_does_not_depend_on_unit_and_level() -> None:
    values = [0.0, 0.2, -0.1, 0.1, 3.0, 3.1, 2.9]
    first = shifts(values)
    other = shifts([1e6 + 1000 * one for one in values])
    assert [one.at for one in first] == [one.at for one in other] == [4]
    assert first[0].p == pytest.approx(other[0].p, rel=1e-3)


def test_equal_figures_do_not_make_a_tiny_one_sure() -> None:
    values = [1.0] * 6 + [1.0001] * 3
    assert shifts(values), "without errors it is infinitely sure"
    assert not shifts(values, errors=[0.001] * 9)
    assert not shifts(values, least=0.01)
    assert not shifts([2.0] * 9)


def test_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="finite"):
        shifts([1.0, float("nan"), 2.0, 3.0])
    with pytest.raises(ValueError, match="4 values and 1 errors"):
        shifts([1.0, 2.0, 3.0, 4.0], errors=[1.0])

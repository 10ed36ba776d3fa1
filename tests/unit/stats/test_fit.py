# SPDX-License-Identifier: GPL-2.0-only
"""The fit and the crossover: known answers, honest errors, curves and steps that show."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import crossover, fit
from harness.stats.fit import Fit, FitPoint, line

SIZES = (131_071, 262_143)


def _points(
    bytes_: Callable[[int, int], float],
    *,
    boots: int = 3,
    noise: Callable[[str], float] = lambda boot: 0.0,
    sizes: tuple[int, ...] = SIZES,
    steps: int = 4,
) -> list[FitPoint]:
    return [
        FitPoint(f"{slots}/{boot}", slots, e, bytes_(slots, e) + noise(f"{slots}/{boot}"))
        for slots in sizes
        for boot in range(boots)
        for e in (slots * step // steps for step in range(steps + 1))
    ]


def _line(points: list[FitPoint]) -> Fit:
    found = line(points)
    assert found is not None
    return found


@given(
    st.floats(0, 1e6), st.floats(0, 100), st.floats(0, 100), st.integers(2, 4), st.integers(2, 6)
)
def test_a_line_is_found_exactly(
    const: float, per_slot: float, per_entry: float, boots: int, steps: int
) -> None:
    found = _line(
        _points(lambda s, e: const + per_slot * s + per_entry * e, boots=boots, steps=steps)
    )
    assert found.has_const and found.shape.kind == "line"
    assert found.const.value == pytest.approx(const, abs=1e-2)
    assert found.per_slot.value == pytest.approx(per_slot, abs=1e-6)
    assert found.per_entry.value == pytest.approx(per_entry, abs=1e-6)
    ahead = found.predict(8_388_607, 4_000_000)
    assert ahead.value == pytest.approx(const + per_slot * 8_388_607 + per_entry * 4e6, abs=10)
    assert ahead.low is not None and ahead.high is not None
    assert ahead.high - ahead.low < 1e-3 * max(ahead.value, 1e6)


def test_one_size_cannot_tell_const_from_per_slot() -> None:
    found = _line(_points(lambda s, e: 1000 + 3 * s + 2 * e, sizes=SIZES[:1]))
    assert not found.has_const and found.const.value == 0
    assert found.per_slot.value == pytest.approx(3 + 1000 / SIZES[0])
    assert found.per_entry.value == pytest.approx(2)


def test_without_a_boot_to_spare_there_is_no_error() -> None:
    found = _line(_points(lambda s, e: 3 * s + 2 * e, boots=1))
    assert found.cov is None and found.per_slot.error is None
    assert found.predict(1 << 20, 5).low is None
    assert found.per_entry.value == pytest.approx(2)


def test_one_fill_level_is_no_fit() -> None:
    assert line([FitPoint("a", 10, 0, 1.0), FitPoint("b", 20, 0, 2.0)]) is None
    assert line([]) is None


def test_the_boot_is_the_unit() -> None:
    """Twice the snapshots of the same boots tell nothing new: the error must not shrink."""
    rng = np.random.default_rng(1)
    off = {f"{s}/{b}": float(rng.normal(0, 1e5)) for s in SIZES for b in range(4)}
    few = _line(_points(lambda s, e: 3 * s + 2 * e, boots=4, noise=off.__getitem__, steps=4))
    many = _line(_points(lambda s, e: 3 * s + 2 * e, boots=4, noise=off.__getitem__, steps=40))
    assert few.per_slot.error is not None and many.per_slot.error is not None
    assert many.per_slot.error == pytest.approx(few.per_slot.error, rel=0.15)


def test_intervals_cover_at_least_what_they_say() -> None:
    """Each boot has its own offset and slope; the jackknife is known to be a little too wide."""
    rng = np.random.default_rng(2)
    held, runs = 0, 300
    for _ in range(runs):
        offset = {f"{s}/{b}": rng.normal(0, [2e4, 0.05]) for s in SIZES for b in range(4)}
        points = [
            FitPoint(p.boot, p.slots, p.entries, p.bytes + o[0] + o[1] * p.entries)
            for p in _points(lambda s, e: 1e5 + 3 * s + 2 * e, boots=4)
            for o in [offset[p.boot]]
        ]
        value = _line(points).per_entry
        assert value.low is not None and value.high is not None
        held += value.low <= 2 <= value.high
    assert 0.93 * runs <= held


def _step(at: float, height: float) -> Callable[[int, int], float]:
    return lambda s, e: 3 * s + 8 * e + (height if e >= at else 0)


@pytest.mark.parametrize("noise", [0.0, 2000.0])
def test_a_step_is_exposed_and_placed(noise: float) -> None:
    rng = np.random.default_rng(3)
    points = _points(_step(150_000, 1e6), steps=8)
    found = _line(
        [FitPoint(p.boot, p.slots, p.entries, p.bytes + rng.normal(0, noise)) for p in points]
    )
    assert found.shape.kind == "step"
    entries = sorted({p.entries for p in points})
    assert found.shape.at == next(e for e in entries if e >= 150_000)


@pytest.mark.parametrize("noise", [0.0, 2000.0])
def test_a_curve_is_exposed(noise: float) -> None:
    rng = np.random.default_rng(4)
    points = _points(lambda s, e: 3 * s + 8 * e + 1e-5 * e * e, steps=8)
    found = _line(
        [FitPoint(p.boot, p.slots, p.entries, p.bytes + rng.normal(0, noise)) for p in points]
    )
    assert found.shape.kind == "curve" and found.shape.worst > 4096
    # R^2 alone would have shown nothing.
    assert found.r2 is not None and found.r2 > 0.99


def test_noise_and_page_rounding_are_no_curve() -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        off = {f"{s}/{b}": float(rng.normal(0, 5e4)) for s in SIZES for b in range(3)}
        points = _points(lambda s, e: 3 * s + 8 * e, noise=off.__getitem__)
        noisy = [FitPoint(p.boot, p.slots, p.entries, p.bytes + rng.normal(0, 2e4)) for p in points]
        alarms += _line(noisy).shape.kind != "line"
    assert alarms <= 4
    pages = _line(_points(lambda s, e: 3 * s + -(-e // 512) * 4096, steps=7))
    assert pages.shape.kind == "line"


def test_reach_says_how_far_beyond() -> None:
    found = _line(_points(lambda s, e: s + e))
    assert found.reach(2 * 262_143, 3 * 262_143) == (2.0, 3.0)


def test_straight_crossover() -> None:
    assert crossover.straight(-25, 65).usage == pytest.approx(100 * 25 / 65)
    assert crossover.straight(-25, 20).kind == crossover.NEVER
    assert crossover.straight(2, 20).kind == crossover.ALWAYS
    falling = crossover.straight(10, -40)
    assert falling.usage == 25 and falling.falls


@given(st.floats(-100, -1), st.floats(1, 100))
def test_a_table_and_a_line_agree(start: float, end: float) -> None:
    shares = [0, 0.25, 0.5, 0.75, 1]
    table = crossover.rows(shares, [start + (end - start) * s for s in shares])
    exact = crossover.straight(start, end - start)
    assert table.usage == pytest.approx(exact.usage, rel=1e-9) and not table.falls


def test_a_table_that_never_or_always_crosses() -> None:
    assert crossover.rows([0, 1], [-1, 0]).kind == crossover.NEVER
    assert crossover.rows([0, 1], [0, 1]).kind == crossover.ALWAYS
    assert crossover.rows([0, 0.5, 1], [0, -1, 1]).usage == 75


@given(st.integers(1, 10_000), st.integers(1, 9_999))
def test_stepped_finds_the_first_dearer_entry(slots: int, at: int) -> None:
    found = crossover.stepped(slots, lambda e: 1.0 if e >= at else -1.0)
    if at > slots:
        assert found.kind == crossover.NEVER
    else:
        assert found.usage == pytest.approx(100 * at / slots)


def _fits(noise: float, seed: int) -> tuple[Fit, Fit]:
    rng = np.random.default_rng(seed)
    found = []
    for per_slot, per_entry in ((3.125, 16.0), (0.0, 24.125)):
        slopes = {f"{s}/{b}": float(rng.normal(0, noise)) for s in SIZES for b in range(3)}
        points = _points(lambda s, e, a=per_slot, b=per_entry: a * s + b * e)  # type: ignore[misc]
        moved = [
            FitPoint(p.boot, p.slots, p.entries, p.bytes + slopes[p.boot] * p.entries)
            for p in points
        ]
        found.append(_line(moved))
    return found[0], found[1]


def test_measured_crossover_has_an_interval_that_covers() -> None:
    true, held, runs = 100 * 3.125 / 8.125, 0, 200
    for seed in range(runs):
        found = crossover.measured(*_fits(0.5, seed), 8_388_607)
        assert found.kind == crossover.AT and found.low is not None and found.high is not None
        held += found.low <= true <= found.high
    assert held >= 0.93 * runs


def test_exact_fits_give_a_narrow_interval() -> None:
    found = crossover.measured(*_fits(0.0, 0), 8_388_607)
    assert found.usage == pytest.approx(100 * 3.125 / 8.125)
    assert found.low is not None and found.high is not None and found.high - found.low < 1e-6


def test_a_slope_that_may_be_none_has_no_bounded_interval() -> None:
    found = [
        crossover.measured(*_fits(8.0, seed), 8_388_607) for seed in itertools.islice(range(40), 40)
    ]
    unbounded = [one for one in found if one.kind == crossover.AT and one.low is None]
    assert unbounded and all(one.method for one in unbounded)


def test_difference_of_designs_without_errors_has_no_interval() -> None:
    old = _line(_points(lambda s, e: 3 * s + 2 * e, boots=1))
    new = _line(_points(lambda s, e: 8 * e + 0.0 * s, boots=1))
    found = crossover.measured(old, new, 1000)
    assert found.low is None and found.method == ""
    assert found.usage == pytest.approx(50.0, abs=1e-6)


def test_what_comes_with_the_first_page_is_no_part_of_the_slope() -> None:
    found = _line(_points(lambda s, e: 3 * s + 2 * e + (1 << 20) * (e > 0)))
    assert found.per_entry.value == pytest.approx(2) and found.per_slot.value == pytest.approx(3)
    assert found.predict(1000, 0).value == pytest.approx(3000, abs=1)
    assert found.predict(1000, 10).value == pytest.approx(3020 + (1 << 20))


def test_t_quantile() -> None:
    assert fit.quantile(6) == pytest.approx(2.570582, rel=1e-6)

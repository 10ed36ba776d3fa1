# SPDX-License-Identifier: GPL-2.0-only
"""The search for the responsible patch: found, in log2 questions, and seldom wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import paired, search
from harness.stats.search import Side

Values = dict[int, float]


@given(st.integers(1, 500), st.data())
def test_one_change_is_found_in_log2_questions(count: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(1, count))
    found = search.search(count, lambda n: Side.SERIES if n >= culprit else Side.BASE)
    assert found.suspects == (culprit,)
    assert len(found.asked) <= math.ceil(math.log2(count))


@given(st.integers(1, 60), st.data())
def test_what_cannot_be_told_is_passed_by(count: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(1, count))
    broken = data.draw(st.frozensets(st.integers(1, max(count - 1, 1)), max_size=20))

    def ask(number: int) -> Side:
        if number in broken:
            return Side.SKIP
        return Side.SERIES if number >= culprit else Side.BASE

    found = search.search(count, ask)
    assert culprit in found.suspects
    # What is left between is skipped, all of it, and nothing is asked twice.
    between = set(found.suspects[:-1])
    assert between <= {number for number, side in found.asked if side is Side.SKIP}
    assert len({number for number, _ in found.asked}) == len(found.asked)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_there_is_always_a_change_of_side_where_it_ends(sides: list[bool]) -> None:
    """Also when the effect comes and goes: the patch named is one where it comes."""
    sides[-1] = True
    found = search.search(len(sides), lambda n: Side.SERIES if sides[n - 1] else Side.BASE)
    assert found.high == found.low + 1
    assert sides[found.high - 1] and (found.low == 0 or not sides[found.low - 1])


@pytest.mark.parametrize(
    ("first", "most", "sizes"), [(3, 12, (3, 6, 12)), (3, 10, (3, 6, 10)), (5, 5, (5,))]
)
def test_pairs_are_doubled_up_to_the_limit(first: int, most: int, sizes: tuple[int, ...]) -> None:
    assert search.sizes(first, most) == sizes


def test_the_risk_is_shared_among_all_questions() -> None:
    assert search.level(1, first=3, most=3) == pytest.approx(0.95)
    assert search.level(12, first=3, most=12) == pytest.approx(1 - 0.05 / (5 * 3))
    assert search.level(20, first=3, most=12) == pytest.approx(1 - 0.05 / (6 * 3))


@pytest.mark.parametrize("up", [True, False])
def test_nearer_to_which_end(up: bool) -> None:
    factor = 1.1 if up else 0.9
    base = {i: 100 + 0.01 * i for i in range(4)}
    whole = {i: value * factor for i, value in base.items()}

    def side(share: float) -> Side | None:
        patch = {i: value * factor**share * (1 + 1e-5 * (-1) ** i) for i, value in base.items()}
        halfway = search.against_half(base, whole, patch, level=0.99)
        return search.side(halfway, up=up)

    assert [side(share) for share in (0, 0.4, 0.6, 1)] == [
        Side.BASE, Side.BASE, Side.SERIES, Side.SERIES,
    ]  # fmt: skip
    assert side(0.5) is None, "halfway is undecided, however small the noise"
    # A pair that one of the three lacks does not count.
    assert search.against_half(base, whole, {0: 100.0, 9: 5.0}, level=0.99).n == 1


class Bench:
    """A measuring function with noise: 12 patches, one costs something."""

    def __init__(self, seed: int, *, culprit: int, effect: float, sd: float, count: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._culprit, self._effect, self._sd = culprit, effect, sd
        self.count, self.boots = count, 0
        self._known: dict[int, Values] = {}

    def values(self, number: int, pairs: int) -> Values:
        """Of the kernel as far as a patch; 0 is the base."""
        known = self._known.setdefault(number, {})
        for pair in range(len(known), pairs):
            cost = 1 + (self._effect if number >= self._culprit else 0)
            known[pair] = 10_000 * cost * math.exp(self._draw.normal(0, self._sd))
            self.boots += 1
        return {pair: known[pair] for pair in range(pairs)}


def solved(bench: Bench, *, first: int = 3, most: int = 12) -> search.Found:
    """As `harness bisect` does it, without kernels and boots."""
    level = search.level(bench.count, first=first, most=most)

    def ask(number: int) -> Side:
        for pairs in search.sizes(first, most):
            base, whole, patch = (bench.values(n, pairs) for n in (0, bench.count, number))
            side = search.side(search.against_half(base, whole, patch, level=level), up=True)
            if side:
                return side
        return Side.SKIP

    return search.search(bench.count, ask)


def test_a_costly_patch_of_twelve_is_found_among_noise() -> None:
    right, wrong, boots = 0, 0, []
    for seed in range(200):
        culprit = 1 + seed % 12
        bench = Bench(seed, culprit=culprit, effect=0.05, sd=0.01, count=12)
        found = solved(bench)
        right += found.suspects == (culprit,)
        wrong += culprit not in found.suspects
        boots.append(bench.boots)
    assert wrong <= 0.05 * 200 + 7, "5 % and two standard errors"
    assert right >= 0.5 * 200
    assert np.median(boots) <= (2 + 5) * 12


def test_under_the_noise_of_instructions_the_first_pairs_mostly_do() -> None:
    boots = []
    for culprit in range(1, 13):
        bench = Bench(culprit, culprit=culprit, effect=0.01, sd=0.0002, count=12)
        assert solved(bench).suspects == (culprit,)
        boots.append(bench.boots)
    assert np.median(boots) <= (2 + 4) * 3 and max(boots) <= (2 + 4) * 6


def test_the_interval_is_as_wide_as_its_level() -> None:
    base = dict.fromkeys(range(3), 100.0)
    whole = dict.fromkeys(range(3), 110.0)
    patch = {0: 110.0, 1: 110.1, 2: 109.9}
    wide, narrow = (search.against_half(base, whole, patch, level=x) for x in (0.999, 0.95))
    assert (wide.low_pct or 0) < (narrow.low_pct or 0) < (narrow.estimate_pct or 0)
    floored = search.against_half(base, whole, patch, level=0.95, noise=0.1)
    assert floored.method == paired.T_FLOORED and search.side(floored, up=True) is None

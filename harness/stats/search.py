# SPDX-License-Identifier: GPL-2.0-only
"""Which patch is it?  A binary search over a series, with a statistical question at each step.

A patch is on the base's side if the kernel as far as it is nearer to the base than to the whole
series, else on the series' side.  Nearer is decided pair by pair: pairs have the same guest seeds
in all kernels, so

    e_i = log(patch_i) - (log(base_i) + log(whole_i)) / 2

is above or below zero, and the interval of its mean decides, never the mean alone.  That is "the
change is more than half of the whole series'", with the noise of all three kernels in it.

Many questions are asked of noisy numbers.  So that a whole search errs by chance in at most one of
twenty, each interval is as wide as 5 % shared among all questions asks for (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.stats import paired as stats
from harness.stats.paired import Paired
from harness.stats.rounding import between

RISK = 0.05
"""That a search names a wrong patch by chance."""


class Side(StrEnum):
    """What a patch was found to be like; SKIP if it cannot be told."""

    BASE = "base"
    SERIES = "series"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search ended.

    low: the last patch on the base's side, 0 for the base itself
    high: the first one on the series' side
    asked: (patch, side) in the order of the questions
    """

    low: int
    high: int
    asked: tuple[tuple[int, Side], ...]

    @property
    def suspects(self) -> tuple[int, ...]:
        """The patches of which one is the first responsible; a single one if the search ended."""
        return tuple(range(self.low + 1, self.high + 1))


def search(count: int, ask: Callable[[int], Side]) -> Found:
    """Narrow down the patches 1 to ``count``, the last of which is on the series' side.

    Asks about log2(count) patches, rounded up.  One that is skipped costs a question more: its
    nearest neighbour is asked instead, as git bisect does.
    """
    low, high = 0, count
    asked: dict[int, Side] = {}
    while open_ := [number for number in range(low + 1, high) if number not in asked]:
        middle = (low + high) // 2
        number = min(open_, key=lambda one: (abs(one - middle), one))
        side = asked[number] = ask(number)
        if side is Side.BASE:
            low = number
        elif side is Side.SERIES:
            high = number
    return Found(low, high, tuple(asked.items()))


def level(count: int, *, first: int, most: int) -> float:
    """The level of each interval, for a series of ``count`` patches.

    A question is asked with ``first`` pairs, then with twice as many, up to ``most``.  The halves
    are uneven after a skip, which may add a question that is not counted here.
    ValueError as `sizes`, and for a series without a patch.
    """
    if count < 1:
        raise ValueError(f"a series has at least one patch, not {count}")
    questions = 1 + math.ceil(math.log2(count)) if count > 1 else 1
    return 1 - RISK / (questions * len(sizes(first, most)))


def sizes(first: int, most: int) -> tuple[int, ...]:
    """The numbers of pairs with which a question is asked: doubled, the last one ``most``.

    ValueError if ``first`` is less than one pair.
    """
    if first < 1:
        raise ValueError(f"a question is asked with at least one pair, not {first}")
    found = [first]
    while found[-1] < most:
        found.append(min(2 * found[-1], most))
    return tuple(found)


def against_half(
    base: Mapping[int, float],
    whole: Mapping[int, float],
    patch: Mapping[int, float],
    *,
    level: float,
    noise: float = 0.0,
) -> Paired:
    """The change from halfway between base and whole series to one patch; values are by pair.

    noise: the sd of control against base (natural log), which the spread is taken to have at
    least.  Only pairs that all three have count, with finite values of base and whole series above
    zero.
    """
    between(level=level)
    pairs = sorted(base.keys() & whole.keys() & patch.keys())
    good = [pair for pair in pairs if 0 < base[pair] < math.inf and 0 < whole[pair] < math.inf]
    half = [math.sqrt(base[pair]) * math.sqrt(whole[pair]) for pair in good]
    return stats.paired(half, [patch[pair] for pair in good], level=level, least_sd=noise)


def side(halfway: Paired, *, up: bool) -> Side | None:
    """The side that an interval decides for; None if it covers halfway.

    up: the whole series makes the metric larger.
    """
    if not halfway.excludes_zero:
        return None
    beyond = (halfway.estimate_pct or 0.0) > 0
    return Side.SERIES if beyond == up else Side.BASE

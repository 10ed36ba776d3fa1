# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that are equal but for the rounding of floats, out of range, or none.

A value of a boot is a mean of quotients of counts: some roundings away from what was counted. Two
ratios that are equal then differ in their last digits, and a rank, a sign or a spread made of that
difference says nothing about the kernel. So differences are settled before anything is made of
them: those of one size get the same float, and those of no size are zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

ROUNDING = 2.0**-46
"""Relative: 128 roundings of a double. Two ratios of counts below a million differ by more."""
_EXACT = 2.0**53
_ORDINARY = 400


def finite(what: str, *numbers: float) -> None:
    """ValueError, which says ``what`` needs it, unless all numbers are finite."""
    for one in numbers:
        if not math.isfinite(one):
            raise ValueError(f"{what} needs finite numbers, not {one}")


def between(**chances: float) -> None:
    """ValueError unless each is between 0 and 1."""
    for name, one in chances.items():
        if not 0 < one < 1:
            raise ValueError(f"{name} is a number between 0 and 1, not {one}")


def sized(**sizes: float) -> None:
    """ValueError unless each is finite and not below zero."""
    for name, one in sizes.items():
        if not 0 <= one < math.inf:
            raise ValueError(f"{name} is a finite number from zero on, not {one}")


def log_ratio(base: float, patch: float) -> float:
    """log(patch / base) of positive numbers; swapped, it is exactly the negative."""
    if base > patch:
        return -log_ratio(patch, base)
    if patch <= 2 * base:
        return math.log1p((patch - base) / base)
    quotient = patch / base
    # The quotient of extreme values overflows where the logs do not.
    return math.log(quotient) if math.isfinite(quotient) else math.log(patch) - math.log(base)


def log_ratios(pairs: Iterable[tuple[float, float]]) -> tuple[float, ...]:
    """log(patch) - log(base) of each (base, patch), settled; equal ones, zeros too, give zero.

    What is equal is told by the ratio, which is exact to a rounding where the logs' difference is
    not: the more so the further the values are from one.
    """
    both = list(pairs)
    exact = [0.0 if base == patch else log_ratio(base, patch) for base, patch in both]
    found = []
    for one, place in zip(exact, _places(exact, _about_one(exact)), strict=True):
        size = 0.0
        if place is not None:
            base, patch = both[place]
            size = abs(math.log(patch) - math.log(base)) or abs(exact[place])
        found.append(math.copysign(size, one) if size else 0.0)
    return tuple(found)


def _about_one(exact: Sequence[float]) -> list[float]:
    return [ROUNDING * max(1.0, abs(one)) for one in exact]


def differences(pairs: Iterable[tuple[float, float]]) -> tuple[float, ...]:
    """patch - base of each (base, patch), settled. Those of whole numbers are taken as exact.

    ValueError if a number or a difference is not finite.
    """
    both = list(pairs)
    found = [patch - base for base, patch in both]
    finite("a difference", *found)
    return settled(found, [_noise(*pair) for pair in both])


def _noise(base: float, patch: float) -> float:
    largest = max(abs(base), abs(patch))
    whole = largest < _EXACT and base.is_integer() and patch.is_integer()
    return 0.0 if whole else ROUNDING * largest


def settled(values: Sequence[float], noise: Sequence[float] | None = None) -> tuple[float, ...]:
    """The values, where sizes (absolute values) that are equal up to ``noise`` are the same float.

    noise: of each value; what is no larger than its own is zero. Without it, nothing is known but
        the values, so that none is zero, and the noise is `ROUNDING` of each
    The order and the signs of the values do not matter.
    """
    slack = [ROUNDING * abs(one) for one in values] if noise is None else noise
    return tuple(
        math.copysign(values[place], one) if place is not None else 0.0
        for one, place in zip(values, _places(values, slack), strict=True)
    )


def _places(values: Sequence[float], noise: Sequence[float]) -> list[int | None]:
    """Of each value, the place of the smallest that has its size; None where that is zero."""
    found: list[int | None] = [None] * len(values)
    level: int | None = None
    last = slack = 0.0
    for place in sorted(range(len(values)), key=lambda one: abs(values[one])):
        size = abs(values[place])
        if size - last > max(noise[place], slack):
            level = place
        last, slack = size, noise[place]
        found[place] = level
    return found


def alike(values: Sequence[float]) -> bool:
    """Whether all are equal but for rounding."""
    low, high = min(values), max(values)
    return low == high or high / 2 - low / 2 <= ROUNDING * max(abs(low), abs(high)) / 2


def in_range(values: Iterable[float]) -> tuple[list[float], int]:
    """The values times 2 ** -exponent, and the exponent, so that their squares stay in range.

    The exponent is 0, and the values are the same floats, where they are of ordinary size.
    """
    given = list(values)
    _, exponent = math.frexp(max(map(abs, given), default=0.0))
    if abs(exponent) <= _ORDINARY:
        return given, 0
    return [math.ldexp(one, -exponent) for one in given], exponent


def times_power(value: float, exponent: int) -> float:
    """value * 2 ** exponent; infinite where it has no float."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


def mean(values: Sequence[float]) -> float:
    """The mean of at least one finite number, whatever its size and the order."""
    ranged, exponent = in_range(values)
    return times_power(math.fsum(ranged) / len(ranged), exponent)

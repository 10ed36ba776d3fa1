# SPDX-License-Identifier: GPL-2.0-only
"""bytes = const + per_slot * slots + first + per_entry * entries, and what the line does not say.

`first` is what comes with the first page: what is allocated once, and where pages were put into
an area of one size only, what rounding does to the static part of that one.  So what a page costs
is the slope over the fill levels, and not the way from nothing to the first of them.

Least squares over all snapshots of one back-end and kernel. Snapshots of one boot share that boot's
accidents, so the boot is the independent unit: errors come from leaving out one boot at a time
(the cluster jackknife, CV3), t with boots - 1 degrees of freedom. Where every size of the swap area
was booted once, no boot can be left out and there is no error: it says so rather than guess.

A straight line through a curve has small errors too. So the mean of each level (slots, entries) is
held against the line: `Shape` says whether it departs, as a step or as a curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.stats.paired import LEVEL, t_quantile
from harness.stats.rounding import ROUNDING, finite

Array = NDArray[np.float64]
# A departure smaller than this part of the fitted range, or than one page, is rounding.
MATERIAL = 0.01
_PAGE = 4096
_MOST = 1e100
"""Squares of more bytes, summed, come near the end of floats."""
_SIGNIFICANT = 0.01
# A step or a curve has to take away this part of the departure to give it its name.
_NAMED = 0.75


@dataclass(frozen=True, slots=True)
class FitPoint:
    """One snapshot: the boot it is of, usable slots, entries in swap, bytes since `before`."""

    boot: str
    slots: int
    entries: int
    bytes: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How the level means depart from the line.

    kind: "line", "step" (at `at` entries), "curve", or "other"
    worst: the largest departure of a level's mean, in bytes, at `at` entries where no step is
    p: of the F test against the scatter between boots; None where boots agree to the byte or
        no level was measured twice
    """

    kind: str
    worst: float
    at: int
    p: float | None


@dataclass(frozen=True, slots=True)
class Value:
    """A number, its standard error and its 95 % interval; None where they are not known."""

    value: float
    error: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """The line. beta and cov in the order const, per_slot, per_entry, first; cov None if not known.

    has_const: sizes of the swap area differ, so that a constant part can be told from per_slot;
        if not, const is 0 and per_slot has all that is there before the first entry. Where there
        is no swap area at all, const has it and per_slot is 0
    boots, points: how many; slots, entries: the largest that were measured
    r2: share of the variance that the line takes; None if all bytes are equal
    scatter: root mean square of the residuals, bytes; worst: the largest residual, bytes
    """

    beta: tuple[float, float, float, float]
    cov: tuple[tuple[float, ...], ...] | None
    has_const: bool
    boots: int
    points: int
    slots: int
    entries: int
    r2: float | None
    scatter: float
    worst: float
    shape: Shape

    @property
    def const(self) -> Value:
        """Bytes whatever the size."""
        return self._value(np.array([1.0, 0.0, 0.0, 0.0]))

    @property
    def per_slot(self) -> Value:
        """Bytes for each slot of the swap area, used or not."""
        return self._value(np.array([0.0, 1.0, 0.0, 0.0]))

    @property
    def per_entry(self) -> Value:
        """Bytes for each page in swap."""
        return self._value(np.array([0.0, 0.0, 1.0, 0.0]))

    def predict(self, slots: float, entries: float) -> Value:
        """Bytes of one more boot of that size and fill, with its prediction interval.

        The interval takes the line for granted, and adds the scatter around it once.
        """
        return self._value(row(slots, entries), self.scatter**2)

    def reach(self, slots: float, entries: float) -> tuple[float, float]:
        """How many times further than measured: in slots, in entries."""
        finite("a projection", slots, entries)
        return slots / self.slots if self.slots else math.inf, (
            entries / self.entries if self.entries else math.inf
        )

    def _value(self, at: Array, extra: float = 0.0) -> Value:
        value = float(at @ np.asarray(self.beta))
        if self.cov is None:
            return Value(value)
        error = math.sqrt(max(float(at @ np.asarray(self.cov) @ at), 0.0) + extra)
        half = quantile(self.boots) * error
        return Value(value, error, value - half, value + half)


def row(slots: float, entries: float) -> Array:
    """What beta is multiplied with; ValueError if a number is not finite."""
    finite("a projection", slots, entries)
    return np.array([1.0, float(slots), float(entries), float(entries > 0)])


def quantile(boots: int) -> float:
    """Of Student's t for a 95 % interval from so many boots."""
    return t_quantile((1 + LEVEL) / 2, boots - 1)


def line(points: Sequence[FitPoint]) -> Fit | None:
    """The fit; None if fewer than two fill levels were measured.

    ValueError if a number is not finite or beyond 1e100.
    """
    for one in points:
        finite("a fit", one.bytes)
        if max(abs(one.bytes), abs(one.slots), abs(one.entries)) > _MOST:
            raise ValueError(f"a fit needs numbers up to {_MOST:g}: {one}")
    if len({one.entries for one in points}) < 2:
        return None
    names = sorted({one.boot for one in points})
    sizes = {one.slots for one in points}
    has_const = len(sizes) > 1 or sizes == {0}
    # Of const, per_slot, per_entry those that can be told apart.
    columns = [0] * has_const + [1] * (sizes != {0}) + [2]
    columns += [3] * (len({one.entries for one in points if one.entries}) > 1)
    x = np.array([row(one.slots, one.entries) for one in points])[:, columns]
    y = np.array([one.bytes for one in points], dtype=np.float64)
    # Columns of like size: slots are millions, the constant is 1.
    scale = np.abs(x).max(axis=0)
    beta = _solve(x / scale, y)
    if beta is None:
        return None
    residual = y - (x / scale) @ beta
    kept = [_without(points, name, x / scale, y) for name in names] if len(names) > 1 else [None]
    widen = np.zeros((4, len(columns)))
    widen[columns, :] = np.diag(1 / scale)
    cov = None
    if all(one is not None for one in kept):
        moved = np.array([one for one in kept if one is not None])
        spread = moved - moved.mean(axis=0)
        inner = (len(names) - 1) / len(names) * spread.T @ spread
        cov = tuple(tuple(float(v) for v in row) for row in widen @ inner @ widen.T)
    whole = widen @ beta
    total = float(((y - y.mean()) ** 2).sum())
    left = float((residual**2).sum())
    return Fit(
        beta=(float(whole[0]), float(whole[1]), float(whole[2]), float(whole[3])),
        cov=cov,
        has_const=has_const,
        boots=len(names),
        points=len(points),
        slots=max(one.slots for one in points),
        entries=max(one.entries for one in points),
        r2=1 - left / total if total > len(y) * (ROUNDING * np.abs(y).max()) ** 2 else None,
        scatter=math.sqrt(left / max(len(y) - x.shape[1], 1)),
        worst=float(np.abs(residual).max()),
        shape=_shape(points, x / scale, y, (x / scale) @ beta),
    )


def _solve(x: Array, y: Array) -> Array | None:
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)


def _without(points: Sequence[FitPoint], name: str, x: Array, y: Array) -> Array | None:
    keep = np.array([one.boot != name for one in points])
    return _solve(x[keep], y[keep])


def _shape(points: Sequence[FitPoint], x: Array, y: Array, fitted: Array) -> Shape:
    """Lack of fit: the means of the levels against the line."""
    levels = sorted({(one.slots, one.entries) for one in points})
    place = {level: i for i, level in enumerate(levels)}
    group = np.array([place[one.slots, one.entries] for one in points])
    counts = np.bincount(group)
    means = np.bincount(group, weights=y) / counts
    centre = np.bincount(group, weights=fitted) / counts
    off = means - centre
    worst = int(np.abs(off).argmax())
    lack = float((counts * off**2).sum())
    pure = float(((y - means[group]) ** 2).sum())
    free, noise = len(levels) - x.shape[1], len(y) - len(levels)
    p = None
    if free > 0 and noise > 0 and pure > 1e-9 * max(lack, 1.0):
        p = float(stats.f.sf((lack / free) / (pure / noise), free, noise))
    span = float(fitted.max() - fitted.min())
    size = float(np.abs(off).max())
    if free < 1 or size <= max(MATERIAL * span, _PAGE) or (p is not None and p > _SIGNIFICANT):
        return Shape("line", size, levels[worst][1], p)
    kind, at = _named(x, y, means[group], np.array([one.entries for one in points], np.float64))
    return Shape(kind, size, levels[worst][1] if at is None else at, p)


def _named(x: Array, y: Array, means: Array, entries: Array) -> tuple[str, int | None]:
    """Whether one step or one square term takes most of the departure away."""
    base = _left(x, means)
    top = float(entries.max()) or 1.0
    curve = _left(np.column_stack([x, (entries / top) ** 2]), means)
    steps = [
        (_left(np.column_stack([x, (entries >= at).astype(np.float64)]), means), int(at))
        for at in np.unique(entries)[1:]
    ]
    step, at = min(steps)
    if base <= 0 or min(step, curve) > (1 - _NAMED) * base:
        return "other", None
    # The step has a free place, so in a tie the curve is the simpler word.
    return ("step", at) if step < 0.5 * curve else ("curve", None)


def _left(x: Array, y: Array) -> float:
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(((y - x @ beta) ** 2).sum())

# SPDX-License-Identifier: GPL-2.0-only
"""A finished search for the responsible patch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.series.model import Step
from harness.stats.paired import Paired
from harness.stats.search import Found, Side


@dataclass(frozen=True, slots=True)
class Look:
    """One patch that was asked about.

    change: from the base; halfway: from halfway to the whole series, which decides; both None
        where there is nothing to compare, and then ``why`` says why
    count: what its profile counts, in a search for that; then change and halfway are None
    """

    step: Step
    side: Side
    change: Paired | None
    halfway: Paired | None
    why: str = ""
    count: float | None = None

    @classmethod
    def skipped(cls, step: Step, why: str) -> Look:
        """A patch that cannot be tested."""
        return cls(step, Side.SKIP, None, None, why)


@dataclass(frozen=True, slots=True)
class Counts:
    """What profiles count of one function or lock, for each ``unit`` ("page") of ``metric``.

    what: "instructions of f()" or the like; still: a change that is none
    patches: by the number of the last patch
    """

    what: str
    metric: str
    unit: str
    base: float
    still: float
    patches: Mapping[int, float]

    def change(self, high: int, low: int = 0) -> float:
        """From the kernel as far as patch ``low``, the base for 0, to that as far as ``high``."""
        return self.patches[high] - (self.patches[low] if low else self.base)

    def side(self, number: int, whole: int) -> Side:
        """Whether a kernel is beyond halfway from the base to the ``whole`` series.

        SKIP if it is no further from halfway than what changes by itself.
        """
        beyond = self.change(number) - self.change(whole) / 2
        if abs(beyond) <= self.still:
            return Side.SKIP
        return Side.SERIES if (beyond > 0) == (self.change(whole) > 0) else Side.BASE

    def excludes_zero(self, whole: int) -> bool:
        """Whether halfway is further from both ends than what changes by itself."""
        return abs(self.change(whole)) > 2 * self.still


@dataclass(frozen=True, slots=True)
class Bisection:
    """A finished search.

    facts: which series on which base; level: of all intervals here
    whole: what the whole series changes; found: None if that is not sure to be anything
    own: what the suspects change together: from the last patch on the base's side to the first on
        the series'
    builds: patched kernels that were asked for, failed ones too; boots: in all, the base's too
    counts: where the metric is counted by profiles; then ``whole`` is of one pair, and ``own`` None
    """

    name: str
    command: str
    facts: Mapping[str, Any]
    cell: str
    metric: str
    level: float
    whole: Paired
    steps: tuple[Step, ...]
    found: Found | None
    own: Paired | None
    looks: tuple[Look, ...]
    builds: int
    boots: int
    counts: Counts | None = None

    @property
    def culprit(self) -> Step | None:
        """The first patch responsible; None if it was not pinned down."""
        suspects = self.found.suspects if self.found else ()
        return self.steps[suspects[0] - 1] if len(suspects) == 1 else None

    @property
    def share(self) -> float | None:
        """The part of the whole effect that the suspects make; None if it is not known."""
        if self.counts and self.found:
            whole_change = self.counts.change(len(self.steps))
            return self.counts.change(self.found.high, self.found.low) / whole_change
        whole, own = self.whole.estimate_pct, self.own.estimate_pct if self.own else None
        if whole is None or own is None or whole == 0 or min(whole, own) <= -100:
            return None
        return math.log1p(own / 100) / math.log1p(whole / 100)

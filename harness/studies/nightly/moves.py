# SPDX-License-Identifier: GPL-2.0-only
"""The history -> what moved: docs/nightly.md states the rule.  Runs nothing."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.stats.fence import Fence, fence
from harness.studies.nightly.store import HistoryStore, Search, StoredEstimate
from harness.studies.nightly.trend import TrendLine, TrendPoint
from harness.util.errors import Exit

_DIGITS = 8
Noise = Mapping[tuple[str, str, str], Fence]
"""The bars, by suite, cell and metric."""


@dataclass(frozen=True, slots=True)
class Move:
    """A line that moved at one of its points.

    id: the same in all nights; before: the point that it moved from, None for no change of the base
    change_pct: from that point to this one; bar: of the cell, None where too few know it
    since: ISO, the beginning of the night that measured the point first
    search: what a bisection came to, None if none did
    """

    id: str
    line: TrendLine
    at: TrendPoint
    before: TrendPoint | None
    change_pct: float
    bar: Fence | None
    since: str
    search: Search | None = None

    @property
    def verdict(self) -> str:
        """worse or better; "other" where no direction is better."""
        if self.line.direction not in ("lower", "higher"):
            return "other"
        is_worse = (self.change_pct > 0) is (self.line.direction == "lower")
        return "worse" if is_worse else "better"

    @property
    def size(self) -> str:
        """How far beyond the cell's noise; "" where that is not known."""
        return self.bar.size(self.change_pct) if self.bar else ""

    @property
    def answer(self) -> str:
        """What a bisection said, in a sentence; "" without one."""
        if self.search is None or self.search.status in (Exit.OK, Exit.UNDECIDED):
            return self.search.detail if self.search else ""
        return f"The search failed: {self.search.detail}"

    @property
    def command(self) -> str:
        """The command that searches for the patch; "" where the history does not know it."""
        made = str(asked(self.at).get("command", ""))
        return f"{made} METRIC={self.line.metric}" if made else ""


def asked(point: TrendPoint) -> dict[str, Any]:
    """What the history has of how a point was measured: see `job.asked`."""
    text = point.comparison.asked
    return dict(json.loads(text)) if text else {}


def find(history: HistoryStore, lines: Sequence[TrendLine]) -> tuple[Move, ...]:
    """All moves of the lines, the newest first, of one night the worst first."""
    begun = {one.id: one.started for one in history.nights()}
    first: dict[str, str] = {}
    for one in history.comparisons():
        first.setdefault(one.key, begun.get(one.night, ""))
    known, searches = noise(history), {one.move: one for one in history.searches()}
    found = []
    for line in lines:
        bar = known.get((line.suite, line.cell, line.metric))
        before = None
        for mark in line.marks:
            step = _step(before, mark, bar)
            if step is not None:
                name = _id(line, mark)
                since = first.get(mark.comparison.key, "")
                found.append(Move(name, line, mark, before, step, bar, since, searches.get(name)))
            if _logs(mark.estimate):
                before = mark
    worst = sorted(found, key=lambda one: (one.verdict != "worse", -abs(one.change_pct)))
    return tuple(sorted(worst, key=lambda one: one.since, reverse=True))


def noise(history: HistoryStore) -> Noise:
    """The bars that base against base gives, over all comparisons of a cell."""
    suites = {one.key: one.suite for one in history.comparisons()}
    newest = {(one.key, one.cell, one.metric): one for one in history.estimates()}
    seen: dict[tuple[str, str, str], list[float]] = {}
    for one in newest.values():
        if one.role == "primary" and one.aa_change_pct is not None:
            place = (suites.get(one.key, ""), one.cell, one.metric)
            seen.setdefault(place, []).append(one.aa_change_pct)
    made = {place: fence(changes) for place, changes in seen.items()}
    return {place: one for place, one in made.items() if one}


def _step(before: TrendPoint | None, at: TrendPoint, bar: Fence | None) -> float | None:
    """The change from one point to the next in per cent, if it is a move."""
    new = _logs(at.estimate)
    if new is None:
        return None
    if before is None:
        moved = at.estimate.verdict in ("worse", "better")
        step = at.estimate.estimate_pct or 0.0
    else:
        old = _logs(before.estimate)
        assert old is not None
        moved = new[1] > old[2] or new[2] < old[1]
        step = 100 * math.expm1(new[0] - old[0])
        moved = moved and abs(step) > (at.estimate.margin_pct or 0.0)
    return step if moved and (bar is None or bar.is_high(step)) else None


def _logs(one: StoredEstimate) -> tuple[float, float, float] | None:
    """Change and interval as natural logs; None where there is no whole interval."""
    ends = (one.estimate_pct, one.low_pct, one.high_pct)
    if any(end is None or not math.isfinite(end) or end <= -100 for end in ends):
        return None
    return tuple(math.log1p((end or 0.0) / 100) for end in ends)  # type: ignore[return-value]


def _id(line: TrendLine, at: TrendPoint) -> str:
    revision = at.comparison.revision
    what = [line.subject, line.base, line.suite, line.cell, line.metric, revision]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:_DIGITS]

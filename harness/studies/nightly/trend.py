# SPDX-License-Identifier: GPL-2.0-only
"""The history -> what the trend says: a line for each metric, its points, where it moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.stats import changepoint
from harness.stats.changepoint import Shift
from harness.stats.verdict import NEGLIGIBLE
from harness.studies.nightly.job import Job
from harness.studies.nightly.store import (
    HistoryStore,
    Night,
    NightlyComparison,
    NightlyFailure,
    StoredEstimate,
)

_NORMAL = 1.96
# Worth reading first: what moved, then by the newest verdict.
_ORDER = ("worse", "undecided", "none", "better", "equivalent")


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One point: a revision or head, the night that last looked at it, and what it found.

    shift: the level of the line moved at this point; None if it did not
    """

    comparison: NightlyComparison
    estimate: StoredEstimate
    shift: Shift | None = None

    @property
    def label(self) -> str:
        """The revision, or the name of what has none."""
        return self.comparison.revision or self.comparison.subject


@dataclass(frozen=True, slots=True)
class TrendLine:
    """One primary metric of one cell of one subject on one base, oldest point first."""

    subject: str
    base: str
    suite: str
    cell: str
    metric: str
    unit: str
    direction: str
    margin: float | None
    marks: tuple[TrendPoint, ...]

    @property
    def title(self) -> str:
        """What it is, in one line."""
        suite = f" ({self.suite})" if self.suite else ""
        return f"{self.subject} on {self.base}: {self.cell} {self.metric}{suite}"

    @property
    def shifts(self) -> tuple[TrendPoint, ...]:
        """The points at which the level moved."""
        return tuple(mark for mark in self.marks if mark.shift is not None)


@dataclass(frozen=True, slots=True)
class Trend:
    """All that the page and the text say.

    fresh: this night's comparisons, with their primary estimates; left: what the budget left over
    unlisted: what the registry lacks, a sentence each; expected: when what is left will be done
    risk: the probability of any mark on the page where nothing changed
    """

    name: str
    night: Night
    nights: int
    fresh: tuple[tuple[NightlyComparison, tuple[StoredEstimate, ...]], ...]
    failures: tuple[NightlyFailure, ...]
    left: tuple[Job, ...]
    lines: tuple[TrendLine, ...]
    unlisted: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    risk: float = changepoint.RISK


def read(
    history: HistoryStore, *, name: str, left: Sequence[Job] = (), unlisted: Sequence[str] = (),
    expected: Sequence[str] = (),
) -> Trend:  # fmt: skip
    """The trend as it is after the last night.  ValueError where there was no night."""
    nights = history.nights()
    if not nights:
        raise ValueError("no night yet")
    night = nights[-1]
    comparisons = history.comparisons()
    primary: dict[tuple[int, str], list[StoredEstimate]] = {}
    for one in history.estimates():
        if one.role == "primary":
            primary.setdefault((one.night, one.key), []).append(one)
    fresh = tuple(
        (one, tuple(primary.get((one.night, one.key), ())))
        for one in comparisons
        if one.night == night.id
    )
    latest = {one.key: one for one in comparisons}.values()  # a key's last night replaces others
    lines = _marked(_lines(list(latest), primary))
    return Trend(
        name, night, len(nights), fresh, tuple(history.failures(night.id)), tuple(left),
        tuple(sorted(lines, key=_urgency)), tuple(unlisted), tuple(expected),
    )  # fmt: skip


def _lines(
    latest: list[NightlyComparison], primary: dict[tuple[int, str], list[StoredEstimate]]
) -> list[TrendLine]:
    found: dict[tuple[str, str, str, str, str], list[TrendPoint]] = {}
    for one in sorted(latest, key=lambda each: (each.date, each.night)):
        for estimate in primary.get((one.night, one.key), ()):
            key = (one.subject, one.base, one.suite, estimate.cell, estimate.metric)
            found.setdefault(key, []).append(TrendPoint(one, estimate))
    return [
        TrendLine(
            *key,
            unit=next((m.estimate.unit for m in marks if m.estimate.unit), ""),
            direction=next((m.estimate.direction for m in marks if m.estimate.direction), ""),
            margin=marks[-1].estimate.margin_pct,
            marks=tuple(marks),
        )
        for key, marks in found.items()
    ]


def _marked(lines: list[TrendLine]) -> list[TrendLine]:
    """With change points; all lines that could have one share the risk."""
    tested = [line for line in lines if len(_usable(line)) >= changepoint.MIN_POINTS]
    return [
        _with_shifts(line, changepoint.RISK / len(tested)) if line in tested else line
        for line in lines
    ]


def _with_shifts(line: TrendLine, risk: float) -> TrendLine:
    usable = _usable(line)
    values = [math.log1p((mark.estimate.estimate_pct or 0.0) / 100) for _, mark in usable]
    found = changepoint.shifts(
        values,
        errors=[_error(mark.estimate) for _, mark in usable],
        least=math.log1p(NEGLIGIBLE * (line.margin or 0.0) / 100),
        risk=risk,
    )
    marks = list(line.marks)
    for one in found:
        place, mark = usable[one.at]
        in_percent = replace(
            one, before=100 * math.expm1(one.before), after=100 * math.expm1(one.after)
        )
        marks[place] = replace(mark, shift=in_percent)
    return replace(line, marks=tuple(marks))


def _usable(line: TrendLine) -> list[tuple[int, TrendPoint]]:
    """The points that have a figure, with their places in the line."""
    found = []
    for place, mark in enumerate(line.marks):
        value = mark.estimate.estimate_pct
        if value is not None and math.isfinite(value) and value > -100:
            found.append((place, mark))
    return found


def _error(one: StoredEstimate) -> float:
    """A point's standard error (natural log), from half of its 95 % interval; 0 without one.

    Of a t interval from few pairs that is more than its standard error: it is a floor only.
    """
    low, high = one.low_pct, one.high_pct
    if low is None or high is None or low <= -100 or not math.isfinite(high):
        return 0.0
    return (math.log1p(high / 100) - math.log1p(low / 100)) / 2 / _NORMAL


def _urgency(line: TrendLine) -> tuple[int, int, str]:
    verdict = line.marks[-1].estimate.verdict
    rank = _ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)
    return (0 if line.shifts and line.marks[-1].shift else 1, rank, line.title)

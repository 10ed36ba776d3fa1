# SPDX-License-Identifier: GPL-2.0-only
"""Published times of a series, and what a prediction says of them: kernels/claims/times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import Check, Items, Model, Positive, Slug, SomeItems, Text

TIMES = REPO / "kernels" / "claims" / "times"


@dataclass(frozen=True, slots=True)
class Time:
    """A mean and its spread, as printed."""

    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One line of the table, less being better; revisions: in the order of the publication."""

    workload: str
    measure: str
    unit: str
    base: Time
    revisions: tuple[Time, ...]

    def change_pct(self, revision: int) -> float:
        """Change against base in per cent."""
        return 100 * (self.revisions[revision].mean / self.base.mean - 1)

    def side(self, revision: int) -> int:
        """1 for slower, -1 for faster, 0 if the spreads of both could make the difference."""
        new = self.revisions[revision]
        apart = new.mean - self.base.mean
        noise = math.hypot(new.spread, self.base.spread)
        return (apart > noise) - (apart < -noise)


def _row(value: Any) -> Any:
    if not isinstance(value, list) or len(value) < 5:
        raise yamlfile.Wanted("a list: workload, measure, unit, base, each revision")
    times = [_time(item) for item in value[3:]]
    if not all(isinstance(word, str) for word in value[:3]):
        raise yamlfile.Wanted("a list that begins with workload, measure and unit")
    return (*value[:3], tuple(times))


def _time(value: Any) -> tuple[float, float]:
    pair = value if isinstance(value, list) else []
    if len(pair) != 2 or not all(type(one) in {int, float} and one >= 0 for one in pair):
        raise yamlfile.Wanted("a list whose times are a mean and a spread")
    if not pair[0] or not all(map(math.isfinite, pair)):
        raise yamlfile.Wanted("a list whose means are numbers above zero")
    return float(pair[0]), float(pair[1])


_Row = Annotated[tuple[Text, Text, Text, tuple[tuple[float, float], ...]], Check(_row, first=True)]


@dataclass(frozen=True, slots=True)
class Published(Model):
    """The table, as its file has it, which says what the keys are.

    cpus: 0 if nobody said; nearest: cell and metric by "workload measure"
    """

    name: str
    title: Text
    source: Text
    setup: Text
    base: Slug
    revisions: SomeItems[Slug]
    rows: SomeItems[_Row]
    cpus: Positive = 0
    nearest: Mapping[str, Items[Text]] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[PublishedRow, ...]:
        """The rows by their parts."""
        return tuple(
            PublishedRow(
                workload, measure, unit, Time(*times[0]), tuple(Time(*one) for one in times[1:])
            )
            for workload, measure, unit, times in self.rows
        )


def load(name: str, folder: Path = TIMES) -> Published:
    """The table of that name.  UserError names the file and the key at fault."""
    path = folder / f"{name}.yaml"
    made = yamlfile.load(path, Published, name=name)
    for number, row in enumerate(made.lines, 1):
        if len(row.revisions) != len(made.revisions):
            raise UserError(
                f"{path}: rows, entry {number}: it has {len(row.revisions)} revisions, "
                f"and 'revisions' names {len(made.revisions)}"
            )
    return made


@dataclass(frozen=True, slots=True)
class Forecast:
    """A prediction against one row.

    signs: of the revisions, those predicted on the side of the margin that was published, of all
    orders: pairs of revisions whose order by change is predicted as published, of those that the
        publication's spreads tell apart
    """

    row: PublishedRow
    predicted: tuple[float, ...]
    signs: tuple[int, int]
    orders: tuple[int, int]


def forecast(row: PublishedRow, predicted: Sequence[float], margin_pct: float) -> Forecast:
    """``predicted``: changes in per cent, one for each revision of the row."""
    sides = [(one > margin_pct) - (one < -margin_pct) for one in predicted]
    signs = sum(side == row.side(index) for index, side in enumerate(sides))
    told, right = 0, 0
    for left, other in combinations(range(len(predicted)), 2):
        first, second = row.revisions[left], row.revisions[other]
        apart = first.mean - second.mean
        if abs(apart) > math.hypot(first.spread, second.spread):
            told += 1
            right += (predicted[left] - predicted[other]) * apart > 0
    return Forecast(row, tuple(predicted), (signs, len(sides)), (right, told))


def against(
    table: Published, predicted: Mapping[tuple[str, str], Sequence[float]], margin_pct: float
) -> tuple[Forecast, ...]:
    """For each row with a prediction, by workload and measure."""
    return tuple(
        forecast(row, predicted[row.workload, row.measure], margin_pct)
        for row in table.lines
        if (row.workload, row.measure) in predicted
    )

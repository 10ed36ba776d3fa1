# SPDX-License-Identifier: GPL-2.0-only
"""What each counter did in each phase: differences between a boot's marks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# "in:begin" or "in:2:begin" as the harness's own workloads say it; also "in.begin", "in.begin.2".
_MARK = re.compile(
    r"(?P<phase>.+?)(?:[.#:-]r?(?P<before>\d+))?[.:](?P<edge>begin|end)(?:[.#:-]r?(?P<after>\d+))?"
)

# Here a line that has gone means zero. Elsewhere it means that nobody knows the last value:
# the CPU time of a kernel thread that has ended, the counters of a device that was removed.
_GAUGES = frozenset({"slabinfo", "allocinfo", "vmallocinfo", "swaps"})


@dataclass(frozen=True, slots=True)
class CounterSeries:
    """One number of one kernel file, over time."""

    path: str
    probe: str
    key: str
    field: str
    unit: str


@dataclass(frozen=True, slots=True)
class SampleMark:
    """A sample taken at a mark: which files it has, and the values by number of the series."""

    text: str
    paths: frozenset[str]
    values: dict[int, float]


@dataclass(frozen=True, slots=True)
class Delta:
    """A series (by number) at the begin and the end of one round of a phase."""

    phase: str
    round: int
    series: int
    begin: float
    end: float


def of_boot(
    marks: Sequence[SampleMark], series: Sequence[CounterSeries]
) -> tuple[list[Delta], list[str]]:
    """All differences of one boot, and a sentence for each mark without its counterpart.

    Marks are "<phase>[:<round>]:begin" and ":end". A round that they do not name counts up.
    A series that only the end has began at zero, provided that its file was read at the begin.
    """
    found: list[Delta] = []
    complaints: list[str] = []
    opened: dict[tuple[str, str], SampleMark] = {}
    rounds: dict[str, int] = {}
    for mark in marks:
        match = _MARK.fullmatch(mark.text)
        if match is None:
            continue
        phase, given = match["phase"], match["before"] or match["after"] or ""
        if match["edge"] == "begin":
            opened[phase, given] = mark
            continue
        begin = opened.pop((phase, given), None)
        if begin is None:
            complaints.append(f"mark {mark.text} has no begin")
            continue
        turn = int(given) if given else rounds.get(phase, 0)
        rounds[phase] = turn + 1
        found += [Delta(phase, turn, *change) for change in _changes(begin, mark, series)]
    complaints += [f"mark {mark.text} has no end" for mark in opened.values()]
    return found, complaints


def _changes(
    begin: SampleMark, end: SampleMark, series: Sequence[CounterSeries]
) -> Iterator[tuple[int, float, float]]:
    """(series, value at begin, value at end) where both are known."""
    for number, after in end.values.items():
        before = begin.values.get(number)
        if before is None and series[number].path in begin.paths:
            before = 0.0
        if before is not None and math.isfinite(before) and math.isfinite(after):
            yield number, before, after
    for number, before in begin.values.items():
        gone = number not in end.values and series[number].path in end.paths
        if gone and series[number].probe in _GAUGES and math.isfinite(before):
            yield number, before, 0.0

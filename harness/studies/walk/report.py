# SPDX-License-Identifier: GPL-2.0-only
"""A walk's folder -> walk.txt, walk.html, walk.csv and the waterfalls."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from harness.report import canvas, page
from harness.report.table import sheet
from harness.results.manifest import ResultKind
from harness.stats import verdict
from harness.stats.verdict import Verdict
from harness.studies.result import StudyResult
from harness.studies.walk import analysis, arms, plots, text
from harness.studies.walk.analysis import MetricWalk, Stop, Walk, WalkPoint
from harness.util import atomic
from harness.util.errors import Exit

_COLUMNS = (
    "number", "subject", "commit", "failure", "build_seconds", "objects", "boots", "boots_lost",
    "cell", "backend", "workload", "metric", "unit", "direction", "base_median", "median", "since",
    "own_n", "own_pct", "own_low_pct", "own_high_pct", "own_method", "own_verdict", "own_reason",
    "whole_n", "whole_pct", "whole_low_pct", "whole_high_pct", "whole_method", "whole_verdict",
    "whole_reason",
)  # fmt: skip
_FUNCTIONS = (
    "number", "since", "cell", "metric", "unit", "function", "file", "before", "after", "change",
)  # fmt: skip
_MEMORY = ("backend", "number", "per_slot", "per_slot_error", "per_entry", "per_entry_error")


def make(folder: Path) -> StudyResult:
    """Write results/<name>/report/ of a walk anew, from its record and the results below it.

    Runs nothing; the same input gives byte-identical files.  UserError as `analysis.analyse`.
    """
    if arms.is_several(folder):
        found = arms.analyse(folder)
        name, each = found.name, found.each
        words, screen = arms.render(found), arms.summary(found)
    else:
        walk = analysis.analyse(folder)
        name, each = walk.name, {"": walk}
        words, screen = text.render(walk), text.summary(walk)
    figures = [one for name, walk in each.items() for one in plots.draw(walk, name)]
    target = folder / "report"
    canvas.save(figures, target / "plots")
    atomic.text(target / "walk.csv", values(each))
    if any(walk.memory for walk in each.values()):
        atomic.text(target / "walk-memory.csv", memory(each))
    if any(walk.profiles for walk in each.values()):
        atomic.text(target / "walk-functions.csv", functions(each))
    title = f"{name}: {next(iter(each.values())).series} patch by patch"
    atomic.text(
        target / "walk.html",
        page.rendered("text-page.html.j2", title=title, text=words, plots=figures),
    )
    atomic.text(target / "walk.txt", words)
    return StudyResult(
        ResultKind.WALK,
        folder,
        words,
        target / "walk.html",
        _status(each.values()),
        summary=f"{screen}\nFull report: {target / 'walk.txt'}\n",
    )


def _status(walks: Collection[Walk]) -> Exit:
    """KERNEL if anything did not build or survive; else what the verdicts come to."""
    hurt = any(one.lost or any(stop.failure or stop.lost for stop in one.stops) for one in walks)
    return Exit.KERNEL if hurt else verdict.worst([v for one in walks for v in one.verdicts])


def values(each: Mapping[str, Walk]) -> str:
    """walk.csv: one row a stop and primary metric, or one where a stop has none.

    Changes in per cent, ``own`` since the stop ``since`` (0: the base).  With several arms, each
    row begins with the arm and the level of its intervals.
    """
    level = ("level_pct",) if len(each) > 1 else ()
    return sheet(
        _heads(each, (*level, *_COLUMNS)),
        (
            (*_whose(each, name), *((walk.level,) if level else ()), *row)
            for name, walk in each.items()
            for stop in walk.stops
            for row in _rows(walk, stop)
        ),
    )


def functions(each: Mapping[str, Walk]) -> str:
    """walk-functions.csv: the functions that each stop changes, in instructions an operation."""
    return sheet(
        _heads(each, _FUNCTIONS),
        (
            (
                *_whose(each, name), one.number, one.since, one.cell, one.metric, one.unit,
                item.title, item.file, item.own.base, item.own.patch, item.own.change,
            )
            for name, walk in each.items()
            for one in walk.profiles
            for item in one.functions
        ),
    )  # fmt: skip


def memory(each: Mapping[str, Walk]) -> str:
    """walk-memory.csv: bytes a slot and a page in swap at each stop; number 0 is the base."""
    return sheet(
        _heads(each, _MEMORY),
        (
            (
                *_whose(each, name), one.backend, size.number, size.per_slot.value,
                size.per_slot.error, size.per_entry.value, size.per_entry.error,
            )
            for name, walk in each.items()
            for one in walk.memory
            for size in one.sizes
        ),
    )  # fmt: skip


def _heads(each: Mapping[str, Walk], heads: Sequence[str]) -> tuple[str, ...]:
    return (*(("arm",) if len(each) > 1 else ()), *heads)


def _whose(each: Mapping[str, Walk], name: str) -> tuple[str, ...]:
    return (name,) if len(each) > 1 else ()


def _rows(walk: Walk, stop: Stop) -> Iterator[tuple[object, ...]]:
    head = _stop(stop)
    found = [(line, mark) for line in walk.lines for mark in line.marks]
    rows = [(*head, *_mark(line, mark)) for line, mark in found if mark.number == stop.number]
    yield from rows or [(*head, *[""] * (len(_COLUMNS) - len(head)))]


def _stop(stop: Stop) -> tuple[object, ...]:
    return (
        stop.number, stop.subject, stop.commit, stop.failure, stop.seconds, stop.objects,
        stop.boots, len(stop.lost),
    )  # fmt: skip


def _mark(line: MetricWalk, mark: WalkPoint) -> tuple[object, ...]:
    return (
        line.cell, line.backend, line.workload, line.metric, line.unit, line.direction, line.base,
        mark.median, mark.since, *_verdict(mark.own), *_verdict(mark.whole),
    )  # fmt: skip


def _verdict(one: Verdict) -> tuple[object, ...]:
    change = one.change
    return (
        change.n, change.estimate_pct, change.low_pct, change.high_pct, change.method, one.kind,
        one.reason,
    )  # fmt: skip

# SPDX-License-Identifier: GPL-2.0-only
"""Revisions of a series side by side: effects and what changed between them.  Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.report import files, layout, table
from harness.report.layout import listed, paragraphs, section, wrap
from harness.report.model import Estimate
from harness.report.numbers import change, interval, number
from harness.report.profile import tables as profile
from harness.report.table import Table, columns
from harness.results import record as records
from harness.results.manifest import ResultKind
from harness.series.rangediff import Digest
from harness.stats import verdict
from harness.stats.verdict import Verdict
from harness.studies.arms import analysis
from harness.studies.result import StudyResult
from harness.util import atomic

COLUMNS = (
    "revision", "date", "base", "patches", "results", "failure", "cell", "metric", "unit",
    "base_median", "n", "change_pct", "low_pct", "high_pct", "verdict", "reason",
)  # fmt: skip
_METHOD = (
    "Each revision is compared with its own base, so an effect is what that revision does to that "
    "base. Two effects side by side do not test one revision against the other."
)
_TOGETHER = (
    "Revisions with one base ran interleaved, with the same boots of the base and the same guest "
    "seeds: these are also compared with each other, pair by pair, at the level that all "
    "comparisons of a cell share (Bonferroni)."
)


@dataclass(frozen=True, slots=True)
class Posting:
    """One revision.

    base: the source it was compared with; count: its patches; folder: its result's name
    failure: why there is no comparison, "" if there is one
    since: the revision that ``digest`` compares it with; None for the first
    effects: the primary rows of its own report
    functions: what its profile says, a sentence for each cell
    study: that has it beside others on the same base, "" for none
    """

    name: str
    date: str
    base: str = ""
    count: int = 0
    folder: str = ""
    failure: str = ""
    since: str = ""
    digest: Digest | None = None
    effects: tuple[Estimate, ...] = ()
    study: str = ""
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RevisionStep:
    """From one revision to the next one on the same base, pair by pair."""

    old: str
    new: str
    cell: str
    metric: str
    change: Verdict


@dataclass(frozen=True, slots=True)
class RevisionHistory:
    """All revisions, oldest first.  steps: between those on one base."""

    name: str
    title: str
    command: str
    postings: tuple[Posting, ...]
    steps: tuple[RevisionStep, ...] = ()


def record(folder: Path, history: RevisionHistory) -> None:
    """Write revisions.json: all but the figures, which the results beside the folder have."""
    leave: Any = {"postings": {"__all__": {"effects", "functions"}}, "steps": True}
    data = TypeAdapter(RevisionHistory).dump_python(history, mode="json", exclude=leave)
    records.write(folder, ResultKind.REVISIONS, data)


def beside(folder: Path) -> tuple[Path, ...]:
    """The results that a study of revisions is made of: they lie beside it."""
    found = read(folder).postings
    names = dict.fromkeys(one.study or one.folder for one in found if one.folder)
    return tuple(folder.resolve().parent / name for name in names)


def make(folder: Path) -> StudyResult:
    """Write revisions.txt and revisions.csv again, from revisions.json and the results beside it.

    Runs nothing. UserError where a version without revisions.json wrote the folder.
    """
    history = read(folder)
    root = folder.resolve().parent
    postings = tuple(_figures(root, one) if one.folder else one for one in history.postings)
    history = replace(history, postings=postings, steps=tuple(_steps(root, postings)))
    text = render(history)
    atomic.text(folder / "revisions.csv", sheet(history))
    atomic.text(folder / "revisions.txt", text)
    verdicts = [row.verdict for row in history.postings[-1].effects if row.verdict]
    worst = verdict.worst(verdicts)
    return StudyResult(ResultKind.REVISIONS, folder, text, folder / "revisions.txt", worst)


def _figures(root: Path, one: Posting) -> Posting:
    """With what its own report says."""
    told = files.read(root / one.folder, counters=False)
    primary = told.profile.primary if told.profile else ()
    return replace(one, effects=told.primary, functions=tuple(map(profile.summary, primary)))


def _steps(root: Path, postings: Sequence[Posting]) -> Iterator[RevisionStep]:
    """From each revision to the next one that was measured with it."""
    for name in dict.fromkeys(one.study for one in postings if one.study):
        sound = {one.name for one in analysis.analyse(root / name).arms if not one.failure}
        there = [one.name for one in postings if one.study == name and one.name in sound]
        for old, new in pairwise(there):
            for line in analysis.analyse(root / name, old).primary:
                for one in line.effects:
                    if one.arm == new:
                        yield RevisionStep(old, new, line.cell, line.metric, one.verdict)


def steps(folder: Path) -> tuple[RevisionStep, ...]:
    """Between the revisions of a study that were measured together."""
    return tuple(_steps(folder.resolve().parent, read(folder).postings))


def read(folder: Path) -> RevisionHistory:
    """What revisions.json says: all but the effects.  UserError if there is none."""
    return TypeAdapter(RevisionHistory).validate_python(records.read(folder, ResultKind.REVISIONS))


def render(history: RevisionHistory) -> str:
    """revisions.txt: ASCII, at most 72 columns: failures, effects, what changed, the method."""
    rows = [row for posting in history.postings for row in posting.effects]
    keys = dict.fromkeys((row.cell, row.name) for row in rows)
    return layout.page(
        (
            paragraphs(_head(history)),
            *(table.text(_effects(history, *key)) for key in keys),
            table.text(_between(history)),
            section("The functions that each revision changes most", _functions(history)),
            section("What changed from revision to revision", _changes(history)),
            section("How to read this", listed(_method(history))),
            section("Where the rest is", paragraphs(_rest(history))),
        )
    )


def sheet(history: RevisionHistory) -> str:
    """revisions.csv: one row a revision and primary metric, or one where there is none."""
    return table.sheet(COLUMNS, (row for one in history.postings for row in _values(one)))


def _values(one: Posting) -> Iterator[tuple[object, ...]]:
    head = (one.name, one.date, one.base, one.count, one.folder, one.failure)
    for row in one.effects:
        found = row.verdict
        yield (
            *head, row.cell, row.name, row.data_unit, row.base.median, row.change.n,
            row.change.estimate_pct, row.change.low_pct, row.change.high_pct,
            found.kind if found else "", found.reason if found else "",
        )  # fmt: skip
    if not one.effects:
        yield (*head, *[""] * (len(COLUMNS) - len(head)))


def _head(history: RevisionHistory) -> Iterator[str]:
    yield f"Revisions of {history.name}: {history.title}"
    measured = sum(not one.failure for one in history.postings)
    yield f"{measured} of {len(history.postings)} revisions were compared."
    for one in history.postings:
        if one.failure:
            yield f"{one.name}: NOT COMPARED: {one.failure}"


def _changes(history: RevisionHistory) -> Iterator[str]:
    for one in history.postings:
        what = f"{one.count} patches on {one.base}" if one.count else "not applied"
        yield from paragraphs([f"{one.name} {one.date}: {what}"])
        if one.digest is None:
            continue
        yield from wrap(f"since {one.since}: {one.digest.text}", "  ", "    ")
        for item in one.digest.changes:
            if item.kind != "same":
                place = "/".join("-" if n is None else str(n) for n in (item.old, item.new))
                yield from wrap(f"{item.kind:<8}{place:>6}  {item.subject}", "    ", " " * 20)


def _functions(history: RevisionHistory) -> Iterator[str]:
    for one in history.postings:
        for said in one.functions:
            yield from wrap(f"{one.name}: {said}", rest="  ")


def _effects(history: RevisionHistory, cell: str, metric: str) -> Table:
    found = [
        (one.name, row)
        for one in history.postings
        for row in one.effects
        if (row.cell, row.name) == (cell, metric)
    ]
    first = found[0][1]
    better = f"; {first.direction} is better" if first.direction else ""
    return Table(
        f"{first.backend} {first.workload}: {metric}, {first.unit}{better}",
        columns("revision", "base", "patch", "change", "95 % interval", "n", "verdict"),
        tuple(
            (
                name, number(row.base.median), number(row.patch.median), change(row.change),
                interval(row.change), str(row.change.n),
                str(row.verdict.kind) if row.verdict else "",
            )
            for name, row in found
        ),
    )  # fmt: skip


def _between(history: RevisionHistory) -> Table:
    """The revisions on one base, each against the one before it."""
    heads = ("cell, metric", "from", "to", "change", "interval", "n", "verdict")
    rows = (
        (
            f"{one.cell} {one.metric}", one.old, one.new, change(one.change.change),
            interval(one.change.change), str(one.change.change.n), str(one.change.kind),
        )
        for one in history.steps
    )  # fmt: skip
    title = "From revision to revision on one base, pair by pair"
    return Table(title, columns(*heads), tuple(rows))


def _method(history: RevisionHistory) -> Iterator[str]:
    yield _METHOD
    if history.steps:
        yield _TOGETHER


def _rest(history: RevisionHistory) -> Iterator[str]:
    for name in dict.fromkeys(one.study for one in history.postings if one.study):
        yield f"{name}: all of its revisions against any of them (REFERENCE= of make report)"
    for one in history.postings:
        if one.folder:
            yield f"{one.name}: results folder {one.folder}, with a report of its own"
    yield f"To repeat it: {history.command}"

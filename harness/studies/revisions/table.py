# SPDX-License-Identifier: GPL-2.0-only
"""Revisions of a series side by side: effects and what changed between them.  Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from harness.report import files, layout, table
from harness.report.layout import listed, paragraphs, section, wrap
from harness.report.model import Estimate
from harness.report.numbers import change, interval, number
from harness.report.table import Table, columns
from harness.results import record as records
from harness.results.manifest import ResultKind
from harness.series.rangediff import Digest
from harness.stats import verdict
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


@dataclass(frozen=True, slots=True)
class Posting:
    """One revision.

    base: the source it was compared with; count: its patches; folder: its result's name
    failure: why there is no comparison, "" if there is one
    since: the revision that ``digest`` compares it with; None for the first
    effects: the primary rows of its own report
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


@dataclass(frozen=True, slots=True)
class RevisionHistory:
    """All revisions, oldest first."""

    name: str
    title: str
    command: str
    postings: tuple[Posting, ...]


def record(folder: Path, history: RevisionHistory) -> None:
    """Write revisions.json: all but the effects, which the results beside the folder have."""
    leave = {"postings": {"__all__": {"effects"}}}
    data = TypeAdapter(RevisionHistory).dump_python(history, mode="json", exclude=leave)
    records.write(folder, ResultKind.REVISIONS, data)


def beside(folder: Path) -> tuple[Path, ...]:
    """The results that a study of revisions is made of: they lie beside it."""
    found = read(folder).postings
    return tuple(folder.resolve().parent / one.folder for one in found if one.folder)


def make(folder: Path) -> StudyResult:
    """Write revisions.txt and revisions.csv again, from revisions.json and the results beside it.

    Runs nothing. UserError where a version without revisions.json wrote the folder.
    """
    history = read(folder)
    found = {path.name: files.read(path, counters=False).primary for path in beside(folder)}
    history = replace(
        history,
        postings=tuple(replace(one, effects=found.get(one.folder, ())) for one in history.postings),
    )
    text = render(history)
    atomic.text(folder / "revisions.csv", sheet(history))
    atomic.text(folder / "revisions.txt", text)
    verdicts = [row.verdict for row in history.postings[-1].effects if row.verdict]
    worst = verdict.worst(verdicts)
    return StudyResult(ResultKind.REVISIONS, folder, text, folder / "revisions.txt", worst)


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
            section("What changed from revision to revision", _changes(history)),
            section("How to read this", listed([_METHOD])),
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


def _rest(history: RevisionHistory) -> Iterator[str]:
    for one in history.postings:
        if one.folder:
            yield f"{one.name}: results folder {one.folder}, with a report of its own"
    yield f"To repeat it: {history.command}"

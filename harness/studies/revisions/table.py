# SPDX-License-Identifier: GPL-2.0-only
"""Revisions of a series side by side: effects and what changed between them.  Runs nothing."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.report import analysis
from harness.report.model import Estimate
from harness.report.numbers import change, interval, number
from harness.results import frames, manifest
from harness.series.rangediff import Digest
from harness.util.escape import visible

WIDTH = 72
_COLUMNS = (8, 9, 9, 9, 18, 3, 10)
COLUMNS = (
    "revision", "date", "base", "patches", "results", "failure", "cell", "metric", "unit",
    "base_median", "n", "change_pct", "low_pct", "high_pct", "verdict", "reason",
)  # fmt: skip


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
class History:
    """All revisions, oldest first."""

    name: str
    title: str
    command: str
    postings: tuple[Posting, ...]


def effects(results: Path) -> tuple[Estimate, ...]:
    """The primary rows of a results folder, the same as in its report."""
    data = frames.load(results, counters=False)
    return analysis.analyse(data, manifest.load(results), results).primary


def render(history: History) -> str:
    """revisions.txt: ASCII, at most 72 columns."""
    blocks = [_head(history), _changes(history)]
    rows = [row for posting in history.postings for row in posting.effects]
    for key in dict.fromkeys((row.cell, row.name) for row in rows):
        blocks.append(_table(history, *key))
    blocks.append(_foot(history))
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"


def sheet(history: History) -> str:
    """revisions.csv: one row a revision and primary metric, or one where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in history.postings:
        head = (one.name, one.date, one.base, one.count, one.folder, one.failure)
        for row in one.effects:
            verdict = row.verdict
            writer.writerow(
                (
                    *head, row.cell, row.name, row.data_unit, row.base.median, row.change.n,
                    row.change.estimate_pct, row.change.low_pct, row.change.high_pct,
                    verdict.kind if verdict else "", verdict.reason if verdict else "",
                )
            )  # fmt: skip
        if not one.effects:
            writer.writerow((*head, *[""] * (len(COLUMNS) - len(head))))
    return out.getvalue()


def _head(history: History) -> Iterator[str]:
    yield from _wrap(f"Revisions of {history.name}: {history.title}")
    measured = sum(not one.failure for one in history.postings)
    yield from _wrap(f"{measured} of {len(history.postings)} revisions were compared.")
    for one in history.postings:
        if one.failure:
            yield from _wrap(f"{one.name}: NOT COMPARED: {one.failure}")
    yield from _wrap(
        "Each revision is compared with its own base, so an effect is what that revision does to "
        "that base. Two effects side by side are no test of one revision against the other."
    )


def _changes(history: History) -> Iterator[str]:
    for one in history.postings:
        what = f"{one.count} patches on {one.base}" if one.count else "not applied"
        yield from _wrap(f"{one.name} {one.date}: {what}")
        if one.digest is None:
            continue
        yield from _wrap(f"  since {one.since}: {one.digest.text}", "    ")
        for item in one.digest.changes:
            if item.kind != "same":
                place = "/".join("-" if n is None else str(n) for n in (item.old, item.new))
                yield from _wrap(f"    {item.kind:<8}{place:>6}  {item.subject}", " " * 20)


def _table(history: History, cell: str, metric: str) -> Iterator[str]:
    found = [
        (one, row)
        for one in history.postings
        for row in one.effects
        if (row.cell, row.name) == (cell, metric)
    ]
    first = found[0][1]
    better = f"; {first.direction} is better" if first.direction else ""
    yield from _wrap(f"{first.backend} {first.workload}: {metric}, {first.unit}{better}")
    yield ""
    yield _row(("revision", "base", "patch", "change", "95 % interval", "n", "verdict"))
    yield "-" * WIDTH
    for one, row in found:
        yield _row(
            (
                one.name,
                number(row.base.median),
                number(row.patch.median),
                change(row.change),
                interval(row.change),
                str(row.change.n),
                str(row.verdict.kind) if row.verdict else "",
            )
        )


def _foot(history: History) -> Iterator[str]:
    for one in history.postings:
        if one.folder:
            yield from _wrap(f"{one.name}: results folder {one.folder}, with a report of its own")
    yield from _wrap(f"Command: {history.command}")


def _row(cells: tuple[str, ...]) -> str:
    head = cells[0].ljust(_COLUMNS[0])
    rest = (c.rjust(width) for c, width in zip(cells[1:], _COLUMNS[1:], strict=True))
    return " ".join([head, *rest]).rstrip()


def _wrap(text: str, rest: str = "  ") -> list[str]:
    return textwrap.wrap(visible(text), WIDTH, subsequent_indent=rest, break_on_hyphens=False)

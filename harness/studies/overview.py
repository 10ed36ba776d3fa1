# SPDX-License-Identifier: GPL-2.0-only
"""What `harness results` shows: when, what, verdicts and size of each result.  Runs nothing."""

from __future__ import annotations

import csv
import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from harness.report import layout, table
from harness.report.table import Column, Table
from harness.results import listing, record
from harness.results.listing import ListedResult
from harness.results.manifest import ResultKind
from harness.stats.verdict import Kind
from harness.util import atomic
from harness.util.hostspace import below, in_words

_WIDTH = 100
_COLUMNS = (
    Column("when"), Column("kind", name=True), Column("name", name=True),
    Column("verdicts", name=True), Column("size"),
)  # fmt: skip


def render(root: Path) -> str:
    """All results of a folder, newest first; what is under way or was cut off is said."""
    found = listing.entries(root)
    if not found:
        return f"'{root}' has no results yet: 'make compare' makes one\n"
    once = {(one.st_dev, one.st_ino): one.st_blocks * 512 for one in below(root)}
    total = sum(once.values())
    rows = tuple(_row(one) for one in found)
    note = f"{len(found)} results, {in_words(total)}: a boot that several results have counts once"
    lines = table.text(Table("", _COLUMNS, rows), width=_WIDTH)
    return layout.page([lines, layout.wrap(note, width=_WIDTH)])


def verdicts(one: ListedResult) -> str:
    """What a result came to, in a few words read from its report."""
    if not one.finished or one.kind is None:
        return "unfinished"
    said = _SAID.get(one.kind)
    return said(one.path) if said else ""


def _row(one: ListedResult) -> tuple[str, ...]:
    when = datetime.datetime.fromtimestamp(one.when, datetime.UTC).astimezone()
    return (
        f"{when:%Y-%m-%d %H:%M}",
        str(one.kind or "?"),
        one.path.name,
        verdicts(one),
        in_words(one.size),
    )


def _counted(found: Sequence[str]) -> str:
    counts = Counter(found)
    return ", ".join(f"{kind} {counts[kind]}" for kind in map(str, Kind) if counts[kind])


def _of_table(
    place: str, column: str, folder: Path, said: Callable[[Sequence[str]], str] = _counted
) -> str:
    try:
        with (folder / place).open(encoding="utf-8", newline="") as lines:
            found = [row.get(column) or "" for row in csv.DictReader(lines)]
    except (OSError, csv.Error, UnicodeDecodeError):
        return "no report"
    return said(found)


def _of_comparison(folder: Path) -> str:
    said = _of_table("report/estimates.csv", "verdict", folder)
    boots = (atomic.json_file(path) or {} for path in folder.glob("boots/*/*/boot.json"))
    failed = sum(one.get("outcome") != "ok" for one in boots)
    return "; ".join(filter(None, (f"{failed} boots failed" if failed else "", said)))


def _of_search(folder: Path) -> str:
    found = record.read(folder, ResultKind.BISECT)
    if found.get("culprit"):
        return f"patch {found['culprit']['number']}"
    suspects = found.get("suspects") or []
    return f"one of patches {suspects[0]}-{suspects[-1]}" if suspects else "no effect"


def _of_arms(folder: Path) -> str:
    found = record.read(folder, ResultKind.ARMS)["arms"]
    failed = sum(bool(one["failure"]) for one in found)
    said = _of_table("report/arms.csv", "verdict", folder)
    count = f"{failed} arm{'s' if failed != 1 else ''} failed" if failed else ""
    return "; ".join(filter(None, (count, said)))


def _states(found: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(found).items()))


_SAID: dict[ResultKind, Callable[[Path], str]] = {
    ResultKind.COMPARE: _of_comparison,
    ResultKind.WALK: partial(_of_table, "report/walk.csv", "own_verdict"),
    ResultKind.REVISIONS: partial(_of_table, "revisions.csv", "verdict"),
    ResultKind.BISECT: _of_search,
    ResultKind.ARMS: _of_arms,
    ResultKind.CASES: partial(_of_table, "report/cases.csv", "result", said=_states),
}

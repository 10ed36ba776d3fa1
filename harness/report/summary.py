# SPDX-License-Identifier: GPL-2.0-only
"""The end of a run on a terminal: one screen with what failed and each cell's verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.report import model, phrases, table, tables
from harness.report.layout import wrap
from harness.report.lost import ExcludedBoot
from harness.report.model import Report
from harness.util.escape import visible

COLOURS = {"worse": "red", "better": "green", "equivalent": "green", "undecided": "yellow"}
"""The colour of a verdict on a terminal."""
LINES, WIDTH = 24, 80
"""A terminal of the usual size."""


def text(report: Report, folder: Path) -> list[str]:
    """The screen: failures and broken tests, verdicts, what they do not say, where the rest is.

    At most `LINES` lines of `WIDTH` columns where the table leaves room; boots that failed are
    named as far as they fit.  ``folder`` is the report's.
    """
    rows = table.text(tables.verdicts(report), width=WIDTH)
    opening = [line for said in _opening(report) for line in wrap(said, width=WIDTH)]
    closing = [
        *wrap(phrases.clock_line(report), width=WIDTH),
        *wrap(model.caution(report), width=WIDTH),
        # Whole, however long it is: it is there to be copied.
        visible(f"Full report: {folder / 'report.html'}, report.txt beside it"),
    ]
    blanks = 2 if rows else 1
    room = LINES - len(opening) - len(rows) - len(closing) - blanks
    lines = [*opening, *_failures(report, max(room, 1))]
    return [*lines, "", *rows, *([""] if rows else []), *closing]


def _opening(report: Report) -> Iterator[str]:
    yield from model.opening(report)
    if report.facts.debug:
        yield report.facts.debug
    if report.facts.unset:
        yield report.facts.unset
    if report.facts.same_kernel:
        yield "Base and patch are the same kernel image: every change is noise."


def _failures(report: Report, room: int) -> Iterator[str]:
    """The first boots that failed, a line each, and how many more there are."""
    failed = [boot for boot in report.failures if boot.outcome != "missing"]
    shown = failed if len(failed) <= room else failed[: room - 1]
    for boot in shown:
        said = f"  {boot.cell} {boot.pair:02d}-{boot.arm}: {_why(boot)}"
        yield visible(said)[:WIDTH].rstrip()
    if len(shown) < len(failed):
        yield f"  and {len(failed) - len(shown)} boots more that failed"


def _why(boot: ExcludedBoot) -> str:
    return f"known: {boot.known}" if boot.known else boot.place or boot.detail


def show(screen: str, console: Console | None = None, *, failed: bool = False) -> None:
    """Print a screen on stdout; on a terminal a line that ends in a verdict has its colour.

    failed: the first line says what went wrong
    """
    out = console or Console(highlight=False)
    for number, line in enumerate(screen.splitlines()):
        style = "bold red" if failed and number == 0 else COLOURS.get(line.rpartition(" ")[2], "")
        out.print(Text(line, style=style), soft_wrap=True)

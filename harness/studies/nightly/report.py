# SPDX-License-Identifier: GPL-2.0-only
"""The history -> report/: trend.txt, trend.html, junit.xml and the figures.  Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter

from harness.report import canvas, formats, page, table
from harness.report.canvas import Plot
from harness.report.formats import JunitCase
from harness.report.numbers import change, interval
from harness.results import checksums
from harness.results import record as records
from harness.results.manifest import ResultKind
from harness.studies.nightly import moves, plots, store, text, trend, triage, words
from harness.studies.nightly.job import Job
from harness.studies.nightly.trend import Trend
from harness.studies.nightly.triage import Triage
from harness.studies.result import StudyResult, sealed
from harness.util import atomic
from harness.util.errors import Exit

_JOBS = TypeAdapter(tuple[Job, ...])
_LABELS = {"worse": "failure", "undecided": "skipped", "none": "skipped"}


def record(
    root: Path, name: str, left: Sequence[Job], unlisted: Sequence[str], expected: Sequence[str]
) -> None:
    """Write nightly.json: what the history does not have; expected: when what is left is done."""
    jobs = _JOBS.dump_python(tuple(left), mode="json")
    told = {"name": name, "left": jobs, "unlisted": list(unlisted), "expected": list(expected)}
    records.write(root, ResultKind.NIGHTLY, told)


def keep(root: Path, said: Path) -> None:
    """Copy a file of words into the folder, and write the report with them.

    UserError where a file of the folder is not as it was recorded.
    """
    checksums.guard(root)
    atomic.binary(root / words.COPY, said.read_bytes())
    sealed(root, make)


def make(root: Path) -> StudyResult:
    """Write the report of the last night and of all before it.

    A folder of before nightly.json has the name of the folder, and no comparison left over.
    """
    data: dict[str, Any] = {"name": root.resolve().name, "left": ()}
    if (root / ResultKind.NIGHTLY.record).is_file():
        data = records.read(root, ResultKind.NIGHTLY)
    with store.reading(root / store.NAME) as history:
        left = _JOBS.validate_python(data["left"])
        missing = data.get("unlisted", ())
        found = trend.read(history, name=data["name"], left=left, unlisted=missing,
                           expected=data.get("expected", ()))  # fmt: skip
        moved = Triage(moves.find(history, found.lines), words.read(root / words.COPY))
        status = Exit(history.nights()[-1].status)
    figures = plots.draw(found)
    target = root / "report"
    canvas.save(figures, target / "plots")
    said = text.render(found, moved)
    atomic.text(target / "junit.xml", formats.junit(found.name, list(_cases(found))))
    atomic.text(target / "trend.html", _page(found, moved, figures))
    atomic.text(target / "trend.txt", said)
    return StudyResult(ResultKind.NIGHTLY, root, said, target / "trend.html", status)


def _page(found: Trend, moved: Triage, figures: Sequence[Plot]) -> str:
    links = {one.folder: f"../{quote(one.folder)}/report/report.html" for one, _ in found.fresh}
    return page.rendered(
        "trend.html.j2",
        trend=found,
        opening=text.opening(found),
        failures=text.failures(found),
        moved=triage.listing(moved),
        fresh=table.region(text.fresh(found), links),
        plots=figures,
        lines=map(text.points, found.lines),
        method=text.method(found),
    )


def _cases(found: Trend) -> Iterator[JunitCase]:
    """Worse is a failure, what went wrong an error; undecided and not run are skipped."""
    for comparison, estimates in found.fresh:
        for one in estimates:
            said = f"{one.verdict}: {change(one)} {interval(one)}, n = {one.n}"
            yield JunitCase(
                comparison.folder, one.metric, _LABELS.get(one.verdict, ""), said, one.reason
            )
    for lost in found.failures:
        bad = "skipped" if lost.kind in ("skipped", "missing") else "error"
        yield JunitCase(lost.place, lost.kind, bad, f"{lost.kind}: {lost.detail}")
    for job in found.left:
        yield JunitCase(job.folder, "not run", "skipped", f"the budget was spent ({job.why})")

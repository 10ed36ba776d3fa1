# SPDX-License-Identifier: GPL-2.0-only
"""Results folder -> overhead.txt, overhead.html, overhead.csv and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report import canvas
from harness.report import page as pages
from harness.report.canvas import Plot
from harness.results.manifest import ResultKind
from harness.studies.overhead import analysis, phrases, plots, tables, text
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import Exit


def make(results: Path) -> StudyResult:
    """Write results/<name>/report/ anew.

    Reads manifest.json and boots/ of the results folder, runs nothing. The same input gives
    byte-identical files. UserError if no boot of the overhead workload counts.
    """
    report = analysis.analyse(results)
    figures = plots.draw(report)
    target = results / "report"
    words = text.render(report)
    canvas.save(figures, target / "plots")
    atomic.text(target / "overhead.csv", tables.structures(report))
    atomic.text(target / "overhead.html", page(report, figures))
    atomic.text(target / "overhead.txt", words)
    # A weight that is known and not found is the harness's fault, not the kernel's.
    status = Exit.INFRA if weights_hold(report) is False else Exit.OK
    return StudyResult(
        ResultKind.OVERHEAD,
        results,
        words,
        target / "overhead.html",
        status,
        summary=f"{text.summary(report)}\nFull report: {target / 'overhead.txt'}\n",
    )


def page(report: Overhead, plots: Sequence[Plot]) -> str:
    """overhead.html, without a script or an address outside; text from outside is escaped."""
    return pages.rendered(
        "overhead.html.j2",
        report=report,
        title=phrases.title(report),
        warnings=list(phrases.warnings(report)),
        answer=tables.answer(report),
        parts=[_part(report, backend, plots) for backend in report.backends],
        method=phrases.METHOD,
    )


def _part(report: Overhead, backend: BackendOverhead, plots: Sequence[Plot]) -> dict[str, object]:
    mine = {f"structures-{backend.name}", f"claim-{backend.name}"}
    return {
        "name": backend.name,
        "lists": [
            ("What makes the difference", list(phrases.makers(backend))),
            ("Where patch needs more memory than base", list(phrases.crossings(backend))),
            ("Known weights", phrases.weights(backend)),
        ],
        "plots": [one for one in plots if one.slug in mine],
        "tables": tables.of(report, backend),
        "details": list(tables.details(backend)),
        "notes": list(phrases.notes(backend)),
    }


def weights_hold(overhead: Overhead) -> bool | None:
    """Whether all known weights of a calibration series were measured; None without any."""
    found = [known.holds for backend in overhead.backends for known in backend.known]
    return all(found) if found else None

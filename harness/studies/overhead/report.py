# SPDX-License-Identifier: GPL-2.0-only
"""Results folder -> overhead.txt, overhead.html, overhead.csv and plots."""

from __future__ import annotations

from pathlib import Path

from harness.report import canvas
from harness.results.manifest import ResultKind
from harness.studies.overhead import analysis, csv, page, plots, text
from harness.studies.overhead.analysis import Overhead
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
    atomic.text(target / "overhead.csv", csv.render(report))
    atomic.text(target / "overhead.html", page.render(report, figures))
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


def weights_hold(overhead: Overhead) -> bool | None:
    """Whether all known weights of a calibration series were measured; None without any."""
    found = [known.holds for backend in overhead.backends for known in backend.known]
    return all(found) if found else None

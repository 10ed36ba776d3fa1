# SPDX-License-Identifier: GPL-2.0-only
"""Results folder -> overhead.txt, overhead.html, overhead.csv and plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.report import canvas
from harness.studies.overhead import analysis, csv, page, plots, text
from harness.studies.overhead.analysis import Overhead
from harness.util import atomic


@dataclass(frozen=True, slots=True)
class OverheadReport:
    """A report that was written. folder: results/<name>/report; overhead: its numbers."""

    folder: Path
    overhead: Overhead

    @property
    def weights_hold(self) -> bool | None:
        """Whether all known weights of a calibration series were measured; None without any."""
        found = [known.holds for backend in self.overhead.backends for known in backend.known]
        return all(found) if found else None


def make(results: Path) -> OverheadReport:
    """Write results/<name>/report/ anew.

    Reads manifest.json and boots/ of the results folder, runs nothing. The same input gives
    byte-identical files. UserError if no boot of the overhead workload counts.
    """
    report = analysis.analyse(results)
    figures = plots.draw(report)
    target = results / "report"
    canvas.save(figures, target / "plots")
    atomic.text(target / "overhead.csv", csv.render(report))
    atomic.text(target / "overhead.html", page.render(report, figures))
    atomic.text(target / "overhead.txt", text.render(report))
    return OverheadReport(target, report)

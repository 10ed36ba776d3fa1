"""Results folder -> overhead.txt, overhead.html, overhead.csv and plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness import publish
from harness.overhead import analysis, page, plots, sheet, text
from harness.overhead.analysis import Overhead
from harness.report import canvas


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was written. folder: results/<name>/report; overhead: its numbers."""

    folder: Path
    overhead: Overhead

    @property
    def weights_hold(self) -> bool | None:
        """Whether all known weights of a calibration series were measured; None without any."""
        found = [known.holds for backend in self.overhead.backends for known in backend.known]
        return all(found) if found else None


def make(results: Path) -> Made:
    """Write results/<name>/report/ anew.

    Reads manifest.json and boots/ of the results folder, runs nothing. The same input gives
    byte-identical files. UserError if no boot of the overhead workload counts.
    """
    report = analysis.analyse(results)
    figures = plots.draw(report)
    target = results / "report"
    canvas.save(figures, target / "plots")
    publish.text(target / "overhead.csv", sheet.render(report))
    publish.text(target / "overhead.html", page.render(report, figures))
    publish.text(target / "overhead.txt", text.render(report))
    return Made(target, report)

# SPDX-License-Identifier: GPL-2.0-only
"""A walk's folder -> walk.txt, walk.html, walk.csv and the waterfalls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report import canvas, page
from harness.report.canvas import Plot
from harness.results.manifest import ResultKind
from harness.stats import verdict
from harness.studies.result import StudyResult
from harness.studies.walk import analysis, csv, plots, text
from harness.studies.walk.analysis import Walk
from harness.util import atomic
from harness.util.errors import Exit


def make(folder: Path) -> StudyResult:
    """Write results/<name>/report/ of a walk anew, from its record and the results below it.

    Runs nothing; the same input gives byte-identical files.  UserError as `analysis.analyse`.
    """
    walk = analysis.analyse(folder)
    figures = plots.draw(walk)
    target = folder / "report"
    canvas.save(figures, target / "plots")
    words = text.render(walk)
    atomic.text(target / "walk.csv", csv.render(walk))
    if walk.memory:
        atomic.text(target / "walk-memory.csv", csv.memory(walk))
    atomic.text(target / "walk.html", _page(walk, words, figures))
    atomic.text(target / "walk.txt", words)
    return StudyResult(
        ResultKind.WALK,
        folder,
        words,
        target / "walk.html",
        _status(walk),
        summary=f"{text.summary(walk)}\nFull report: {target / 'walk.txt'}\n",
    )


def _status(walk: Walk) -> Exit:
    """KERNEL if anything did not build or survive; else what the verdicts come to."""
    hurt = walk.lost or any(stop.failure or stop.lost for stop in walk.stops)
    return Exit.KERNEL if hurt else verdict.worst(walk.verdicts)


def _page(walk: Walk, words: str, figures: Sequence[Plot]) -> str:
    title = f"{walk.name}: {walk.series} patch by patch"
    return page.rendered("text-page.html.j2", title=title, text=words, plots=figures)

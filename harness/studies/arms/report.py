# SPDX-License-Identifier: GPL-2.0-only
"""A study's folder -> arms.txt, arms.html, arms.csv and the plots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.report import canvas, page
from harness.report.table import sheet
from harness.results.manifest import ResultKind
from harness.stats import verdict
from harness.studies.arms import analysis, plots, text
from harness.studies.arms.analysis import ArmStudy
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import Exit

_COLUMNS = (
    "reference", "arm", "failure", "cell", "backend", "workload", "metric", "unit", "direction",
    "role", "reference_median", "median", "n", "change_pct", "low_pct", "high_pct", "level_pct",
    "method", "verdict", "reason",
)  # fmt: skip


def make(folder: Path) -> StudyResult:
    """Write results/<name>/report/ of a study anew, from its record and the results below it.

    Runs nothing; the same input gives byte-identical files.  UserError as `analysis.analyse`.
    """
    study = analysis.analyse(folder)
    figures = plots.draw(study)
    target = folder / "report"
    canvas.save(figures, target / "plots")
    words = text.render(study)
    title = f"{study.name}: arms"
    atomic.text(target / "arms.csv", values(study))
    atomic.text(
        target / "arms.html",
        page.rendered("text-page.html.j2", title=title, text=words, plots=figures),
    )
    atomic.text(target / "arms.txt", words)
    return StudyResult(
        ResultKind.ARMS,
        folder,
        words,
        target / "arms.html",
        _status(study),
        summary=f"{text.summary(study)}\nFull report: {target / 'arms.html'}, arms.txt beside it\n",
    )


def against(folder: Path, reference: str) -> str:
    """The text with another arm for reference; writes nothing.  Errors as `analysis.analyse`."""
    return text.render(analysis.analyse(folder, reference))


def _status(study: ArmStudy) -> Exit:
    """KERNEL if an arm failed or a boot did; else what the verdicts come to."""
    hurt = study.failed or study.lost or any(one.lost for one in study.arms)
    return Exit.KERNEL if hurt else verdict.worst(study.verdicts)


def values(study: ArmStudy) -> str:
    """arms.csv: one row an arm, cell and metric, or one where an arm failed."""
    return sheet(_COLUMNS, _rows(study))


def _rows(study: ArmStudy) -> Iterator[tuple[object, ...]]:
    for one in study.failed:
        yield (study.reference, one.name, one.failure, *[""] * (len(_COLUMNS) - 3))
    for line in study.lines:
        for effect in line.effects:
            found = effect.verdict
            own = found.change
            judged = (effect.said, found.reason) if line.role == analysis.PRIMARY else ("", "")
            yield (
                effect.reference, effect.arm, "", line.cell, line.backend, line.workload,
                line.metric, line.unit, line.direction, line.role, effect.before, effect.median,
                own.n, own.estimate_pct, own.low_pct, own.high_pct, study.level, own.method,
                *judged,
            )  # fmt: skip

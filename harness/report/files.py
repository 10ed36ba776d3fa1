# SPDX-License-Identifier: GPL-2.0-only
"""Results folder -> report: text, page, plots and CSV files; and what the verdicts come to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.report import analysis, canvas, page, plots, scaling, tables, tally, text, waits
from harness.report.model import Report
from harness.report.profile import coststables, flame
from harness.report.profile import tables as profile
from harness.report.profile.model import Profile
from harness.results import frames, manifest
from harness.stats import verdict
from harness.util import atomic
from harness.util.errors import Exit


@dataclass(frozen=True, slots=True)
class Written:
    """A report that was written. folder: results/<name>/report; report: what its files say."""

    folder: Path
    report: Report

    @property
    def status(self) -> Exit:
        """OK, WORSE or UNDECIDED; failures of kernels are not in it. See `verdict.worst`.

        A test of the kernel's own that the patch breaks is WORSE, whatever the verdicts.
        """
        return Exit.WORSE if self.report.regressions else verdict.worst(self.report.verdicts)


def make(results: Path) -> Written:
    """Write results/<name>/report/ anew.

    Reads manifest.json and boots/ of the results folder, runs nothing. The same input gives
    byte-identical files. UserError if there is no boot, or if two clocks are mixed.
    """
    data = frames.load(results)
    report = analysis.analyse(data, manifest.load(results), results)
    figures = plots.draw(report, data)
    target = results / "report"
    canvas.save(figures, target / "plots")
    atomic.pieces(target / "metrics.csv", (part.encode() for part in tables.metrics(data)))
    atomic.pieces(target / "counters.csv", (part.encode() for part in tally.sheet(data)))
    atomic.text(target / "estimates.csv", tables.estimates(report))
    if report.sweeps:
        atomic.text(target / "processes.csv", scaling.sheet(report))
    if report.waits:
        atomic.text(target / "waits.csv", waits.sheet(report.waits))
    if report.profile:
        _profile(report.profile, target)
    if report.costs:
        atomic.text(target / "costs.txt", coststables.render(report.costs))
        atomic.text(target / "misses.csv", coststables.misses(report.costs))
        atomic.text(target / "locks.csv", coststables.holds(report.costs))
    atomic.text(target / "report.html", page.render(report, figures))
    atomic.text(target / "report.txt", text.render(report))
    return Written(target, report)


def _profile(found: Profile, target: Path) -> None:
    atomic.text(target / "profile.txt", profile.render(found))
    atomic.text(target / "functions.csv", profile.sheet(found))
    atomic.text(target / "lines.csv", profile.lines(found))
    atomic.text(target / "edges.csv", profile.edges(found))
    shutil.rmtree(target / "profile", ignore_errors=True)
    (target / "profile").mkdir(parents=True)
    for one in found.operations:
        name = f"{one.cell}.{one.metric}"
        atomic.text(target / "profile" / f"{name}.svg", flame.draw(one))
        for arm in frames.ARMS:
            atomic.text(target / "profile" / f"{name}.{arm}.folded", profile.folded(one, arm))


def read(results: Path, *, counters: bool = True) -> Report:
    """What a report would say; writes nothing. Errors as in `make`.

    Without ``counters`` the samples are not read, which takes most of the time.
    """
    data = frames.load(results, counters=counters)
    return analysis.analyse(data, manifest.load(results), results)

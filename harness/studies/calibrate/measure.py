# SPDX-License-Identifier: GPL-2.0-only
"""``make calibrate``: known weights on the scale.

Each calibration series becomes a comparison of its own, in a folder of its own, with everything
that a comparison has: report, hashes, resuming; they share the boots of the base.  What they come
to together is one table.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from harness.build.pair import Context
from harness.experiment.defaults import CALIBRATION_PAIRS
from harness.experiment.spec import Experiment
from harness.results import record
from harness.results.manifest import ResultKind
from harness.studies import compare
from harness.studies.calibrate import report
from harness.studies.calibrate.report import SERIES
from harness.studies.result import StudyResult, sealed
from harness.util.errors import UserError

_log = logging.getLogger(__name__)


def calibrate(experiment: Experiment, context: Context) -> StudyResult:
    """Run what is missing of all comparisons, then weigh.

    Raises the harness's typed errors; UserError for a clock under which the weights are not exact.
    """
    if experiment.kernels.patch not in {None, "calibration"} or experiment.kernels.head:
        raise UserError("calibrate brings its own series: leave PATCH and HEAD out")
    if experiment.matrix.suite:
        raise UserError("calibrate has a workload of its own: leave SUITE out")
    if experiment.guest.clock == "wall":
        raise UserError("calibrate counts instructions: leave CLOCK out, or say CLOCK=insn")
    folder = context.results / experiment.changed(name=experiment.name or "calibration").title
    inner = replace(context, results=folder)
    for series in SERIES:
        _log.info(f"series {series}")
        # The null series is the A/A of all others: no third boot.
        one = compare.counted(experiment).changed(
            patch=series,
            name=series,
            workloads=("pageio",),
            pairs=experiment.schedule.pairs or CALIBRATION_PAIRS,
            aa=False,
        )
        # All of them start from the same boots of the base.
        compare.compare(one, inner, donors=[folder / name for name in SERIES if name != series])
    record.write(folder, ResultKind.CALIBRATE, {"name": folder.name, "series": SERIES})
    made = sealed(folder, report.make)
    return made

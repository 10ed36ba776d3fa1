# SPDX-License-Identifier: GPL-2.0-only
"""The comparisons of a calibration -> calibration.txt.  Runs nothing."""

from __future__ import annotations

from pathlib import Path

from harness.results.manifest import ResultKind
from harness.results.pairing import Measurement
from harness.studies.calibrate import text, weights
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import Exit
from harness.util.paths import REPO

REGISTRY = REPO / "kernels" / "series"
SERIES = (
    "calibration-null",
    "calibration-in10",
    "calibration-in100",
    "calibration-in1000",
    "calibration-out1000",
)
STEPS = (
    ("calibration-in10", "calibration-in100"),
    ("calibration-in100", "calibration-in1000"),
)


def make(folder: Path) -> StudyResult:
    """Write calibration.txt again, from the comparisons below ``folder``.  Runs nothing."""
    data = {series: Measurement.load(folder / series) for series in SERIES}
    known = [weight for series in SERIES for weight in weights.read(series, REGISTRY)]
    checks = (
        *weights.weigh(data, known),
        *(check for a, b in STEPS for check in weights.steps(data, known, light=a, heavy=b)),
    )
    words = text.render(folder.name, data[SERIES[0]], checks)
    atomic.text(folder / "calibration.txt", words)
    # An instrument that is off is no statement about a kernel.
    status = Exit.INFRA if weights.failures(checks) else Exit.OK
    return StudyResult(ResultKind.CALIBRATE, folder, words, folder / "calibration.txt", status)

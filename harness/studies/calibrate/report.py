# SPDX-License-Identifier: GPL-2.0-only
"""The comparisons of a calibration -> calibration.txt.  Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from harness.results import record
from harness.results.manifest import ResultKind
from harness.results.pairing import Measurement
from harness.studies.calibrate import profiled, text, weights
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import Exit
from harness.util.paths import REPO

PROFILED = ("calibration-in10", "calibration-in100", "calibration-in1000")
"""Weights that are looked for in profiles, too, on each back-end."""
PLACED = ("calibration-lock500", "calibration-miss1")
"""Weights that only a profile shows."""
REGISTRY = REPO / "kernels" / "series"
WEIGHTS = {
    way: [f"calibration-{way}{n}" for n in (10, 100, 300, 1000, 3000)] for way in ("in", "out")
}
"""By way, lightest first."""
ALL_BACKENDS = (
    "calibration-null",
    "calibration-in10",
    "calibration-in100",
    "calibration-in1000",
    "calibration-out1000",
)
WAITING_ONLY = tuple(
    name for names in WEIGHTS.values() for name in names if name not in ALL_BACKENDS
)
"""Where pages wait, a cost can move between tasks as timers shift: what one weight hides shows at
another."""


def make(folder: Path) -> StudyResult:
    """Write calibration.txt again, from the comparisons below ``folder``.  Runs nothing."""
    told = record.read(folder, ResultKind.CALIBRATE)
    series = [str(name) for name in told["series"]]
    with_profile = [str(name) for name in told.get("profiled", ())]  # none in older results
    data = {name: Measurement.load(folder / name) for name in {*series, *with_profile}}
    known = [weight for name in series for weight in weights.read(name, REGISTRY)]
    checks = weights.weigh(data, known, _steps(series))
    found = tuple(
        one
        for name in with_profile
        for one in profiled.find(folder / name, name, data[name], REGISTRY)
    )
    words = text.render(folder.name, data[series[0]], checks, found)
    atomic.text(folder / "calibration.txt", words)
    # An instrument that is off is no statement about a kernel.
    failed = [*weights.failures(checks), *profiled.failures(found)]
    status = Exit.INFRA if failed else Exit.OK
    return StudyResult(ResultKind.CALIBRATE, folder, words, folder / "calibration.txt", status)


def _steps(series: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each weight and the next heavier one of the same way."""
    for names in WEIGHTS.values():
        yield from pairwise(name for name in names if name in series)

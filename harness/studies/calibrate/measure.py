# SPDX-License-Identifier: GPL-2.0-only
"""``make calibrate``: known weights on the scale.

Each calibration series becomes a comparison of its own, in a folder of its own, with everything
that a comparison has: report, hashes, resuming; they share the boots of the base.  What they come
to together is one table.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from harness.build.pair import Context
from harness.experiment.spec import Experiment
from harness.results import frames, manifest
from harness.studies import compare
from harness.studies.calibrate import text, weights
from harness.studies.calibrate.weights import SeriesBoots
from harness.util import atomic
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO

_log = logging.getLogger(__name__)

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
PAIRS = 6
"""A weight of 10 instructions needs more than a verdict about one per cent."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A finished calibration; ``failures`` are sentences, none if every weight was found."""

    folder: Path
    text: str
    failures: tuple[str, ...]

    @property
    def status(self) -> Exit:
        """OK, or INFRA: an instrument that is off is no statement about a kernel."""
        return Exit.INFRA if self.failures else Exit.OK


def calibrate(experiment: Experiment, site: Context) -> Calibrated:
    """Run what is missing of all comparisons, then weigh.

    Raises the harness's typed errors; UserError for a clock under which the weights are not exact.
    """
    if experiment.patch not in {None, "calibration"} or experiment.head:
        raise UserError("calibrate brings its own series: leave PATCH and HEAD out")
    if experiment.suite:
        raise UserError("calibrate has a workload of its own: leave SUITE out")
    if experiment.clock == "wall":
        raise UserError("calibrate counts instructions: leave CLOCK out, or say CLOCK=insn")
    folder = site.results / replace(experiment, name=experiment.name or "calibration").title
    inner = replace(site, results=folder)
    for series in SERIES:
        _log.info(f"series {series}")
        # The null series is the A/A of all others: no third boot.
        one = replace(
            experiment,
            patch=series,
            name=series,
            workloads=("pageio",),
            pairs=experiment.pairs or PAIRS,
            aa=False,
            clock="insn",
            accel="tcg" if experiment.accel == "auto" else experiment.accel,
        )
        # All of them start from the same boots of the base.
        compare.compare(one, inner, donors=[folder / name for name in SERIES if name != series])
    return write(folder)


def write(folder: Path) -> Calibrated:
    """The calibration of the comparisons below ``folder``: calibration.txt is written anew."""
    data = {series: _comparison(folder / series) for series in SERIES}
    known = [weight for series in SERIES for weight in weights.read(series, REGISTRY)]
    checks = (
        *weights.weigh(data, known),
        *(check for a, b in STEPS for check in weights.steps(data, known, light=a, heavy=b)),
    )
    words = text.render(folder.name, data[SERIES[0]], checks)
    atomic.text(folder / "calibration.txt", words)
    return Calibrated(folder, words, weights.failures(checks))


def _comparison(folder: Path) -> SeriesBoots:
    return SeriesBoots(frames.load(folder, counters=False), manifest.load(folder))

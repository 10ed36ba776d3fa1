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
from harness.studies.calibrate import weights
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
    failed = weights.failures(checks)
    text = "\n".join([_head(data, folder.name), weights.render(checks), *_foot(failed, checks)])
    atomic.text(folder / "calibration.txt", text)
    return Calibrated(folder, text, failed)


def _comparison(folder: Path) -> SeriesBoots:
    return SeriesBoots(frames.load(folder, counters=False), manifest.load(folder))


def _head(data: dict[str, SeriesBoots], name: str) -> str:
    facts = data[SERIES[0]].manifest
    return (
        f"Calibration '{name}': known weights on {facts.text('arms', 'base', 'name')}\n"
        f"({facts.text('arms', 'base', 'version')}), in instructions for each page.\n"
        f"{_what_is_counted(data)}\n"
    )


def _what_is_counted(data: dict[str, SeriesBoots]) -> str:
    facts = data[SERIES[0]].manifest
    backends = sorted({cell.rpartition(".")[0] for cell in data[SERIES[0]].cells})
    waiting = [name for name in backends if facts.waits_io(name)]
    rest = ", ".join(name for name in backends if name not in waiting)
    said = [f"CPU instructions: {', '.join(waiting)}."] if waiting else []
    return " ".join([*said, *([f"Elapsed instructions: {rest}."] if rest else [])])


def _foot(failed: tuple[str, ...], checks: tuple[weights.Check, ...]) -> list[str]:
    unseen = [item for item in checks if not item.weight.is_null and not item.seen]
    lines = [
        "Known: the machine code that the series adds, counted. What loads its",
        "operands comes on top (about 4 instructions); a step between two",
        "series has none of that. A check fails if the known value is outside",
        "an interval that all checks together miss in one of twenty",
        "calibrations, or if a null series is not equivalent to no change",
        f"within {weights.EQUIVALENT_PCT} %.",
        "",
    ]
    for item in unseen:
        lines.append(f"Below resolution: {item.weight.series} on {item.cell}.")
    count = len(checks)
    if not failed:
        return [*lines, f"All {count} checks hold.", ""]
    return [*lines, f"{len(failed)} of {count} checks fail:", *(f"- {x}" for x in failed), ""]

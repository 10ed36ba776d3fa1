# SPDX-License-Identifier: GPL-2.0-only
"""``make calibrate``: known weights on the scale.

Each calibration series becomes a comparison of its own, in a folder of its own, with everything
that a comparison has: report, hashes, resuming; they share the boots of the base.  What they come
to together is one table, and what their profiles find another.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.build.pair import Context
from harness.experiment import spec
from harness.experiment.defaults import CALIBRATION_BACKENDS, CALIBRATION_PAIRS
from harness.experiment.meant import Meant
from harness.experiment.settings import Matrix
from harness.experiment.spec import Experiment
from harness.results import manifest as manifests
from harness.results import record
from harness.results.manifest import ResultKind
from harness.run import evidence, identity, manifest
from harness.series import registry
from harness.studies import compare, methods
from harness.studies.calibrate import report
from harness.studies.calibrate.report import (
    ALL_BACKENDS,
    PLACED,
    PROFILED,
    REGISTRY,
    WAITING_ONLY,
)
from harness.studies.result import StudyResult, sealed
from harness.util.errors import UserError
from harness.vm import instrument

_log = logging.getLogger(__name__)

_WORKLOAD = {"pageio": {"histogram-rounds": 0}}
"""Latencies are not weighed."""
_INSTRUMENTS = {
    **dict.fromkeys(PROFILED, (instrument.PROFILE,)),
    "calibration-lock500": (instrument.PROFILE, instrument.LOCKS),
    "calibration-miss1": (instrument.PROFILE, instrument.CACHES),
}
"""What the profiles of a series are made with."""


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
    identity.claimed(folder, ResultKind.CALIBRATE)
    inner = replace(context, results=folder)
    chosen = {series: _backends(series, experiment) for series in (*ALL_BACKENDS, *WAITING_ONLY)}
    series_run = [series for series, backends in chosen.items() if backends]
    if why := methods.unprofiled("insn", experiment.guest.cpus):
        _log.warning(f"no weight is looked for in profiles: {why}")
    profiled = [] if why else list(PROFILED)

    def compared(series: str, backends: tuple[Any, ...], pairs: int) -> None:
        _log.info(f"series {series}")
        # The null series is the A/A of all others: no third boot.
        one = methods.counted(experiment).changed(
            patch=series,
            name=series,
            backends=backends,
            workloads=(_WORKLOAD,),
            pairs=pairs,
            aa=False,
            profile=series in profiled,
        )
        # All of them start from the same boots of the base.
        donors = [folder / name for name in (*series_run, *profiled) if name != series]
        compare.compare(
            one,
            inner,
            donors=[*donors, *methods.donors(context)],
            instruments=_INSTRUMENTS.get(series, ()),
        )

    for series in series_run:
        compared(series, chosen[series], experiment.schedule.pairs or CALIBRATION_PAIRS)
    if profiled:
        version = manifests.load(folder / series_run[0]).arm("base").version
        for series in PLACED:
            if registry.read(series, registry=REGISTRY).applies(version):
                profiled.append(series)
                compared(series, _one_backend(chosen[ALL_BACKENDS[0]], experiment), 1)
            else:
                _log.warning(f"{series} has no patches for {version}: it is not looked for")
    _keep(folder, series_run[0], experiment)
    facts = {"name": folder.name, "series": series_run, "profiled": profiled}
    record.write(folder, ResultKind.CALIBRATE, facts)
    return sealed(folder, report.make)


def _backends(series: str, experiment: Experiment) -> tuple[Any, ...]:
    """The back-ends that a series is measured on."""
    asked = experiment.matrix.backends
    if asked == Matrix().backends:
        asked = CALIBRATION_BACKENDS
    if series in ALL_BACKENDS:
        return asked
    return tuple(item for item in asked if _waits(item, experiment))


def _one_backend(asked: tuple[Any, ...], experiment: Experiment) -> tuple[Any, ...]:
    """The one on which a lock and a miss are looked for: where no page waits, if there is any."""
    return (min(asked[::-1], key=lambda item: _waits(item, experiment)),)


def _waits(backend: Any, experiment: Experiment) -> bool:
    return any(cell.waits_io for cell in experiment.changed(backends=(backend,)).matrix.cells)


def _keep(folder: Path, first: str, asked: Experiment) -> None:
    """Write the spec file, with the base as the first comparison kept it."""
    one = spec.load(folder / first / evidence.SPEC, {})
    base = one.meant.base
    if base and base.diff:
        shutil.copyfile(one.meant.file(base.diff), folder / base.diff)
    asked = asked.changed(kernel_git=one.host.kernel_git)
    manifest.write_spec(folder, asked, "calibrate", meant=Meant(folder, base=base))

# SPDX-License-Identifier: GPL-2.0-only
"""``make overhead``: the boots whose snapshots tell what swap metadata costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.build.pair import Context, KernelPair
from harness.experiment import defaults
from harness.experiment.backend import Backend
from harness.experiment.settings import Matrix
from harness.experiment.spec import Experiment
from harness.results import checksums
from harness.run.manifest import Request
from harness.studies import compare
from harness.studies.compare import Boots
from harness.studies.overhead import report
from harness.studies.overhead.model import ALONE
from harness.studies.result import StudyResult
from harness.util import progress
from harness.util.errors import Exit, UserError
from harness.util.units import format_size, parse_size
from harness.vm.boot import BootRequest

BACKENDS = ("zswap", "swapfile", "zram", ALONE)
WORKLOAD = "overhead"
_METADATA = 1 << 30
"""What ext4 writes on a disk of any of these sizes, generously."""
_AREAS = {"swapfile": "/mnt/swap/swapfile", "zswap": "/mnt/swap/swapfile", "swappart": "/dev/vdc"}


@dataclass(frozen=True, slots=True)
class OverheadOptions:
    """What is asked beside the kernels. Sizes and fill in words like 4G."""

    sizes: Sequence[str] = defaults.OVERHEAD_SIZES
    fill: str = defaults.OVERHEAD_FILL
    steps: int = defaults.OVERHEAD_STEPS


def overhead(
    experiment: Experiment,
    options: OverheadOptions,
    context: Context,
    *,
    made: KernelPair | None = None,
    donors: Sequence[Path] = (),
) -> StudyResult:
    """Boot both kernels over each back-end and area size, take snapshots, report.

    ``made`` and ``donors`` are as in `compare.Boots`.  Raises the harness's typed errors.
    """
    one = planned(experiment, options)
    boots = Boots(
        change=instrumented,
        written=parse_size(options.fill) + _METADATA,
        made=made,
        donors=donors,
        request=request(experiment, options),
        # What one kernel alone can do is measured there: the other has no figure beside it.
        alone=True,
        words=f"overhead-{experiment.words}",
    )
    with (
        compare.measured(one, context, boots) as (folder, ran),
        progress.stage("report"),
    ):
        written = report.make(folder)
        checksums.report(folder)
    return replace(written, status=Exit.KERNEL) if ran.failed else written


def request(experiment: Experiment, options: OverheadOptions) -> Request:
    """What repeats a measurement: `planned` makes the matrix from it."""
    words = (
        f"SIZES={','.join(options.sizes)}",
        f"FILL={options.fill}",
        f"STEPS={options.steps}",
    )
    asked = experiment.changed(
        pairs=experiment.schedule.pairs or defaults.OVERHEAD_PAIRS,
        sizes=tuple(map(str, options.sizes)),
        fill=options.fill,
        steps=options.steps,
    )
    return Request(asked, WORKLOAD, words)


def planned(experiment: Experiment, options: OverheadOptions) -> Experiment:
    """The matrix: each back-end at each size.  Raises UserError for a back-end with settings."""
    if experiment.matrix.suite:
        raise UserError("overhead has cells of its own: leave SUITE out")
    sizes = [parse_size(size) for size in options.sizes]
    fill = parse_size(options.fill)
    if not sizes or fill > min(sizes) * 9 // 10:
        smallest = format_size(min(sizes)) if sizes else "none"
        raise UserError(
            f"a fill of {options.fill} does not fit a swap area of {smallest}: "
            "make FILL smaller or SIZES larger"
        )
    default = experiment.matrix.backends == Matrix().backends
    backends: list[object] = []
    for name in BACKENDS if default else experiment.matrix.backends:
        if not isinstance(name, str):
            raise UserError(f"overhead takes back-ends without settings, not {name}")
        if name == ALONE:
            backends.append({name: {}})
            continue
        for size in sizes:
            label = f"{name}-{format_size(size)}"
            backends.append({name: {"size": size, "hold": "yes", "name": label}})
    settings = {"bytes": fill, "steps": options.steps}
    return experiment.changed(
        backends=tuple(backends),
        workloads=({WORKLOAD: settings},),
        pairs=experiment.schedule.pairs or defaults.OVERHEAD_PAIRS,
        aa=False,
        # An area of 32 GiB cannot lie in the guest's memory; nothing here is timed.
        disk="host",
    )


def instrumented(boot_request: BootRequest) -> BootRequest:
    """The boot with allocation profiling on, and a workload that sets up its own swap area."""
    workload = boot_request.cell.workload
    known = dict(workload.parameters) | _area(boot_request.cell.backend)
    cell = replace(boot_request.cell, workload=replace(workload, parameters=tuple(known.items())))
    return replace(boot_request, cell=cell, profiled=True)


def _area(backend: Backend) -> dict[str, str]:
    settings = dict(backend.settings)
    if backend.kind == "zram":
        return {
            "zram": "zram0",
            "zram-size": settings["size"],
            "compressor": settings["compressor"],
        }
    if backend.kind == ALONE:
        return {"alone": "yes"}
    return {"area": _AREAS[backend.kind]}

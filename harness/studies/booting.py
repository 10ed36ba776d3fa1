# SPDX-License-Identifier: GPL-2.0-only
"""The boots of a plan, run on this machine or on a cluster, from what was set up for them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.build import image, program
from harness.build.pair import Context
from harness.report.live import Survey, View
from harness.run import manifest, plan, resources
from harness.run.cluster import cluster
from harness.run.engine import Engine, Local
from harness.run.manifest import Setting
from harness.util import progress, scratch
from harness.vm.accel import Accelerator
from harness.vm.boot import VmConfig
from harness.vm.guest import Keys
from harness.vm.watch import Deadlines

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where boots go.  judged: the result whose running estimates are shown; None for none."""

    root: Path
    judged: Path | None = None


@contextmanager
def engine(context: Context, chosen: Accelerator) -> Iterator[Engine | None]:
    """The cluster that was asked for, looked at before anything is built; None: this machine."""
    if not context.scheduler:
        yield None
        return
    with cluster.connected(context.scheduler, chosen.name) as found:
        yield found


def boot_all(
    planned: Sequence[plan.Block],
    settings: Sequence[Setting],
    context: Context,
    place: Place,
    shown: View,
    engine: Engine | None,
    written: int | None = None,
) -> plan.Run:
    """Run the boots that are missing.

    ``settings`` are those of the results that they are for: one, or the arms of a study, which
    differ in their kernels.  ``written`` is as in `compare.Boots`.
    """
    setting = settings[0]
    guest, timeout = setting.experiment.guest, float(setting.experiment.schedule.timeout)
    if engine is None:
        cells = {cell.name: cell for one in settings for cell in one.cells}
        load = resources.Load(
            setting.experiment, tuple(cells.values()), setting.clock, setting.disk, written
        )
        engine = Local(resources.admitted(load, context, to_make={}).guests)
    folders = [[one.folder for one in block] for block in planned]
    survey = Survey(folders, place.root, engine.workers)
    shown.boots(survey, place.judged, manifest.describe(setting), setting.clock)
    count = sum(len(block) for block in planned)
    with (
        scratch.folder() as name,
        progress.stage("boots", note=f"{count} of them, {engine.workers} side by side"),
    ):
        keys = Keys.make(Path(name))
        tools = Path(name) / "tools.img"
        own = program.build_all(
            [cell for one in settings for cell in one.cells],
            cache=context.cache,
            sandbox=context.sandbox,
        )
        image.make_tools_disk(tools, setting.tools, ssh=keys.for_guest, programs=own)
        tests = _tests_disks(settings, keys, Path(name), own)
        host = VmConfig(
            root=setting.image.root,
            tools=tools,
            keys=keys,
            accel=setting.accelerator.name,
            clock=setting.clock,
            memory=guest.memory,
            cpus=guest.cpus,
            swap=guest.swap,
            disk=setting.disk,
            deadlines=Deadlines.for_clock(setting.clock, workload=timeout),
            plugins=setting.plugins,
            variants={
                packages: made.root for one in settings for packages, made in one.variants.items()
            },
            selftests=tests,
            cmdline=guest.cmdline,
            without=setting.accelerator.without,
            alone=engine.workers == 1,
        )
        return plan.run(planned, host, place.root, engine=engine)


def _tests_disks(
    settings: Sequence[Setting], keys: Keys, folder: Path, own: Mapping[str, Path]
) -> dict[str, Path]:
    """By the key of a kernel, a tools disk that has its tests, too."""
    made: dict[str, Path] = {}
    for setting in settings:
        for name, tests in setting.selftests.items():
            key = setting.arms[name].kernel.key
            if key not in made:
                made[key] = folder / f"tools-{key}.img"
                image.make_tools_disk(
                    made[key],
                    setting.tools,
                    ssh=keys.for_guest,
                    selftests=tests.path,
                    programs=own,
                )
    return made


def say_times(ran: plan.Run, before: int) -> None:
    """Log how long each stage took since ``before`` stages had ended."""
    stages = progress.stages(before)
    total = progress.elapsed(before)
    for item in stages:
        _log.info(f"  {item.stage:<16} {item.seconds:8.1f} s")
    _log.info(
        f"  {'all stages':<16} {total:8.1f} s, a guest running for {ran.qemu_seconds:.1f} s "
        f"({100 * ran.qemu_seconds / total if total else 0:.0f} %)"
    )

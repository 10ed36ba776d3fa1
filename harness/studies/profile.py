# SPDX-License-Identifier: GPL-2.0-only
"""Where a change is: a comparison of few boots whose point are the profiles of both kernels."""

from __future__ import annotations

from dataclasses import replace

from harness.build.pair import Context
from harness.experiment.defaults import PROFILE_PAIRS
from harness.experiment.spec import Experiment
from harness.report import files
from harness.report.profile import brief
from harness.results import checksums
from harness.studies import compare, methods
from harness.studies.compare import INSTRUMENTS, Boots
from harness.studies.result import StudyResult
from harness.util import progress
from harness.util.errors import Exit, InfraError, UserError
from harness.vm import accel


def profile(experiment: Experiment, context: Context) -> StudyResult:
    """Boot both kernels without a plugin and under each; report functions, parts and lines.

    Raises UserError where nothing can be profiled; the other errors are those of `compare`.
    """
    chosen = accel.choose(experiment.guest.accel, cache=context.cache)
    clock = methods.choose_clock(experiment, chosen.name)
    if why := methods.unprofiled(clock, experiment.guest.cpus):
        raise UserError(f"nothing can be profiled: {why}")
    one = experiment.changed(
        profile=True, pairs=experiment.schedule.pairs or PROFILE_PAIRS, aa=False
    )
    boots = Boots(words=f"{one.words}-profile", instruments=INSTRUMENTS)
    with compare.measured(one, context, boots) as (folder, ran), progress.stage("report"):
        made = compare.report(folder)
        checksums.report(folder)
    told = files.read(folder, counters=False)
    found = told.profile
    if found is None or not found.operations:
        raise InfraError(f"no profile boot of '{folder.name}' has counts; see its boots' consoles")
    screen = "\n".join(
        [
            *brief.whole(found, told.costs),
            f"Full profile: {folder}/report/profile.txt, costs.txt beside it",
        ]
    )
    status = Exit.KERNEL if ran.failed else Exit.OK
    return replace(made, summary=screen + "\n", status=status, done=ran.done)

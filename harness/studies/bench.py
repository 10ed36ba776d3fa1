# SPDX-License-Identifier: GPL-2.0-only
"""``make bench``: what observing costs the observed.

The same kernel is booted three times in each pair: as always; with a sampler that keeps marks but
reads nothing; and without a sampler.  The workloads' own figures are compared.  The first against
the second is what reading adds to a measurement.  The second against the third is the protocol of
the marks: at each one all counters are brought up to date and the guest rests, in every arm of
every comparison, so that a phase begins as it did in the boot before.
The result is kept beside the kernel in the cache, and every later comparison on that kernel with
the same guest programs prints it.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.build.pair import Context
from harness.experiment.spec import Experiment
from harness.results import checksums, frames, observer
from harness.results.manifest import ResultKind
from harness.results.pairing import Measurement, beside
from harness.run.manifest import Request
from harness.stats import paired as stats
from harness.studies import compare
from harness.studies.compare import Boots
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import Exit, UserError
from harness.vm.boot import BootRequest, Observed


@dataclass(frozen=True, slots=True)
class Effect:
    """What a part of the observing adds to one primary metric.

    part: a key of `observer.PARTS`
    n: pairs; the rest in per cent of the boots without that part, with its 95 % interval (None
    where there is none)
    """

    part: str
    cell: str
    metric: str
    n: int
    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None


def bench(experiment: Experiment, context: Context) -> StudyResult:
    """Measure the observer on the base kernel.  Raises the harness's typed errors."""
    if experiment.kernels.patch not in {None, "calibration"} or experiment.kernels.head:
        raise UserError("bench looks at the base alone: leave PATCH and HEAD out")
    one = experiment.changed(
        patch=None,
        head=experiment.kernels.base,
        aa=True,
    )
    boots = Boots(
        change=_watched,
        request=Request(experiment, "bench"),
        words=experiment.changed(name=f"bench-{experiment.kernels.base}").title,
    )
    with compare.measured(one, context, boots) as (folder, ran):
        effects = effects_of(Measurement.load(folder))
        facts = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
        key = observer.place(
            context.cache, facts["kernels"]["base"], facts["tools"], facts["clock"]
        )
        key.parent.mkdir(parents=True, exist_ok=True)
        atomic.text(key, atomic.json_text([asdict(item) for item in effects]))
        made = make(folder)
        checksums.report(folder)
    return replace(made, status=Exit.KERNEL) if ran.failed else made


def make(folder: Path) -> StudyResult:
    """Write bench.txt again from the boots below ``folder``.  Runs nothing."""
    read = Measurement.load(folder)
    text = render(effects_of(read), read.data)
    atomic.text(folder / "bench.txt", text)
    return StudyResult(ResultKind.BENCH, folder, text, folder / "bench.txt", Exit.OK)


_WATCHED = {"base": Observed.FULL, frames.CONTROL: Observed.MARKS, "patch": Observed.NONE}
_PARTS = {"reading": ("base", frames.CONTROL), "marks": (frames.CONTROL, "patch")}
"""By part of the observing: the arm with it and the one without."""


def _watched(boot_request: BootRequest) -> BootRequest:
    """All arms are the same kernel: what an arm stands for here is how it is watched."""
    return replace(boot_request, observed=_WATCHED[boot_request.arm])


def effects_of(read: Measurement) -> tuple[Effect, ...]:
    """The effect on each cell's primary metric, from the boots that `bench` made."""
    made = []
    for cell in read.cells:
        metric = read.primary(cell)
        if metric is None:
            continue
        for part, arms in _PARTS.items():
            seen, unseen = (read.values(cell, metric, arm) for arm in arms)
            change = stats.paired(*beside(unseen, seen))
            bounds = (change.estimate_pct, change.low_pct, change.high_pct)
            made.append(Effect(part, cell, metric, change.n, *bounds))
    return tuple(made)


def render(effects: tuple[Effect, ...], data: frames.Frames) -> str:
    """The table, 72 columns, plain text."""
    lines = [
        "What observing adds to each primary metric (same kernel with and",
        "without it, paired, 95 % interval).",
    ]
    for part, words in observer.PARTS.items():
        lines += ["", *textwrap.wrap(f"{words}:", 72)]
        lines += [f"  {observer.sentence(asdict(one))}" for one in effects if one.part == part]
    lines.append("")
    for name, size in observer.footprint(data).items():
        lines.append(f"  {name}: {size / (1 << 20):.1f} MiB of guest memory (resident set)")
    return "\n".join(lines) + "\n"

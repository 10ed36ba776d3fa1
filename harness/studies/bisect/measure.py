# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect METRIC``: the first patch of a series that is responsible for its effect."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from harness.build.pair import Context
from harness.experiment.defaults import BISECT_MOST_PAIRS
from harness.experiment.settings import Matrix
from harness.experiment.spec import Experiment
from harness.results import record
from harness.results.frames import ARMS, CONTROL
from harness.results.manifest import ResultKind
from harness.results.pairing import Measurement, beside
from harness.run import manifest, reuse
from harness.stats import paired as stats
from harness.stats import search
from harness.stats.paired import Paired
from harness.stats.search import Found, Side
from harness.studies import methods
from harness.studies.bisect import outcome, target
from harness.studies.bisect.model import Bisection, Counts, Look
from harness.studies.bisect.target import CountTarget
from harness.studies.result import StudyResult, sealed
from harness.studies.walk import trial
from harness.studies.walk.trial import Track
from harness.util.errors import KernelFailure, UserError
from harness.util.yamlfile import nearest
from harness.vm import counter, instrument

_log = logging.getLogger(__name__)

BACKENDS = ("zram",)
"""Where nobody says which: it boots and runs in the shortest time, and waits for no disk."""

_INSTRUMENTS = {target.FUNCTION: instrument.PROFILE, target.LOCK: instrument.LOCKS}

Values = Mapping[int, float]
"""One metric of one kernel, by pair."""


def bisect(
    experiment: Experiment, metric: str, context: Context, *, most: int = BISECT_MOST_PAIRS
) -> StudyResult:
    """Search the series for the patch that changes ``metric``; resumes like a comparison.

    Raises the harness's typed errors: UserError for a metric that no chosen workload has,
    KernelFailure when the whole series does not build or survive.
    """
    aim = target.parse(metric)
    one = aimed(experiment, metric).changed(most_pairs=most)
    if aim:
        if why := methods.unprofiled("insn", experiment.guest.cpus):
            raise UserError(f"METRIC={metric} needs profiles: {why}")
        if aim.kind == target.LOCK and any(cell.splits_memory for cell in one.cells()):
            raise UserError(f"METRIC={metric} needs the locks: {methods.SPLIT}: leave out numa=")
        one, most = one.changed(pairs=1, aa=False), 1
    first = methods.resolved(one, "insn").schedule.pairs
    if most < first:
        raise UserError(f"MOST_PAIRS is {most}, fewer than the {first} PAIRS to begin with")
    track = trial.lay(one, context, ResultKind.BISECT, f"bisect-{metric.replace(':', '-')}")
    folder = track.folder
    with manifest.locked(folder):
        _same_search(folder, metric)
        track.begin()
        made_by = _CountSearch(track, aim) if aim else _Search(track, metric, most)
        found = made_by.solve()
        record.write(folder, ResultKind.BISECT, outcome.as_data(found))
        made = sealed(folder, outcome.make)
    return made


def aimed(experiment: Experiment, metric: str) -> Experiment:
    """The experiment with the one cell that is looked at.

    Without a choice of the user's that is the default workload that has the metric, on zram.
    UserError if there is no such cell, or more than one.
    """
    if experiment.matrix.suite:
        raise UserError("bisect looks at one cell: leave SUITE out, choose with WORKLOADS=")
    if experiment.matrix.backends == Matrix().backends:
        experiment = experiment.changed(backends=BACKENDS)
    if target.parse(metric):
        return _one_cell(experiment, metric)
    having, every = [], set()
    for item in experiment.matrix.workloads:
        cell = experiment.changed(workloads=(item,)).cells()[0]
        every |= set(cell.workload.data["metrics"])
        if metric in cell.workload.data["metrics"]:
            having.append(item)
    if not having:
        raise UserError(
            f"no chosen workload has a metric '{metric}' (WORKLOADS= chooses)"
            f"{nearest(metric.removesuffix('_ns'), every)}"  # as 0.1.0 called it
        )
    one = experiment.changed(workloads=tuple(having))
    cells = one.cells()
    if len(cells) > 1:
        raise UserError(
            f"'{metric}' is looked for in one cell, and {', '.join(c.name for c in cells)} have "
            "it: choose with BACKENDS= and WORKLOADS="
        )
    if metric.endswith("busy") and not counter.counts(cells[0], one.guest.cpus):
        raise UserError(
            f"'{metric}' is counted only where pages wait for a disk, and on {cells[0].name} they "
            f"do not: '{metric.removesuffix('_busy')}' is the same there"
        )
    return one.changed(metric=metric)


def _one_cell(experiment: Experiment, metric: str) -> Experiment:
    """The cell whose profile counts ``metric``: of the first workload, if none is chosen."""
    if experiment.matrix.workloads == Matrix().workloads:
        experiment = experiment.changed(workloads=Matrix().workloads[:1])
    cells = experiment.cells()
    if len(cells) > 1:
        raise UserError(
            f"'{metric}' is counted in one cell, and there are "
            f"{', '.join(cell.name for cell in cells)}: choose with BACKENDS= and WORKLOADS="
        )
    return experiment.changed(metric=metric)


def _same_search(folder: Path, metric: str) -> None:
    """UserError if ``folder`` has the answer to another question."""
    if (folder / ResultKind.BISECT.record).is_file():
        known = record.read(folder, ResultKind.BISECT)["metric"]
        if known != metric:
            raise UserError(
                f"'{folder}' holds a search for {known}: leave NAME= out or give another"
            )


class _Search:
    """One search, and what was measured for it."""

    def __init__(self, track: Track, metric: str, most: int) -> None:
        self._track, self._metric = track, metric
        (cell,) = track.experiment.cells()
        self._cell = cell
        self._sizes = search.sizes(track.experiment.schedule.pairs, most)
        self._count = len(track.steps)
        self._level = search.level(self._count, first=self._sizes[0], most=most)
        self._base: Values = {}
        self._patched: dict[int, Values] = {}
        self._pairs: dict[int, int] = {}
        self._noise = 0.0
        self._failed: dict[int, str] = {}
        self._looks: list[Look] = []

    def solve(self) -> Bisection:
        """Measure the whole series, then ask about patches until one is left."""
        whole = self._whole()
        if not whole.excludes_zero:
            return self._concluded(whole, None)
        up = (whole.estimate_pct or 0.0) > 0
        found = search.search(self._count, lambda number: self._ask(number, up=up))
        # It may have more pairs by now.
        return self._concluded(self._change(self._base, self._patched[self._count]), found)

    def _whole(self) -> Paired:
        """The effect of the whole series, with as many pairs as it takes to see it."""
        if not self._built(self._count):
            raise KernelFailure(f"the whole series: {self._failed[self._count]}")
        for pairs in self._sizes:
            self._measure(self._count, pairs)
            if not self._base or not self._patched[self._count]:
                raise KernelFailure(
                    f"no boot of the base, or none of the whole series, gave {self._metric}: see "
                    f"{self._track.folder / trial.name(self._count)}"
                )
            change = self._change(self._base, self._patched[self._count])
            if change.excludes_zero:
                break
        return change

    def _ask(self, number: int, *, up: bool) -> Side:
        step = self._track.steps[number - 1]
        if not self._built(number):
            return self._note(Look.skipped(step, self._failed[number]))
        for pairs in self._sizes:
            self._measure(self._count, pairs)
            self._measure(number, pairs)
            if not self._patched[number]:
                return self._note(Look.skipped(step, "no boot of it gave a value"))
            halfway = search.against_half(
                self._base,
                self._patched[self._count],
                self._patched[number],
                level=self._level,
                noise=self._noise,
            )
            side = search.side(halfway, up=up)
            if side:
                break
            _log.info(f"patch {number}: undecided with {pairs} pairs")
        change = self._change(self._base, self._patched[number])
        return self._note(Look(step, side or Side.SKIP, change, halfway))

    def _note(self, look: Look) -> Side:
        self._looks.append(look)
        _log.info(outcome.sentence(look))
        return look.side

    def _built(self, number: int) -> bool:
        self._failed[number] = self._track.build(number).failure
        return not self._failed[number]

    def _measure(self, number: int, pairs: int) -> None:
        """Bring a patch to so many pairs at least, and read its values."""
        if pairs <= self._pairs.get(number, 0):
            return
        self._pairs[number] = pairs
        read = Measurement.load(self._track.measure(number, pairs=pairs).folder)
        base, patch, control = (
            read.values(self._cell.name, self._metric, arm) for arm in (*ARMS, CONTROL)
        )
        self._patched[number] = _by_pair(patch)
        if len(base) > len(self._base):
            self._base = _by_pair(base)
            self._noise = stats.paired(*beside(base, control)).deviation or 0.0

    def _change(self, old: Values, new: Values) -> Paired:
        ends = beside(pd.Series(old, dtype=float), pd.Series(new, dtype=float))
        return stats.paired(*ends, level=self._level, least_sd=self._noise)

    def _concluded(self, whole: Paired, found: Found | None) -> Bisection:
        own = None
        if found is not None:
            before = self._patched.get(found.low, {}) if found.low else self._base
            own = self._change(before, self._patched[found.high])
        return Bisection(
            name=self._track.folder.name,
            command=self._command(),
            facts=self._track.facts(),
            cell=self._cell.name,
            metric=self._metric,
            level=self._level,
            whole=whole,
            steps=self._track.steps,
            found=found,
            own=own,
            looks=tuple(self._looks),
            builds=len(self._failed),
            boots=self._boots(),
        )

    def _command(self) -> str:
        self._track.keep("bisect")
        most = self._sizes[-1]
        words = [f"METRIC={self._metric}"]
        words += [f"MOST_PAIRS={most}"] if most not in (1, BISECT_MOST_PAIRS) else []
        return self._track.command("bisect", words)

    def _boots(self) -> int:
        """Boots that the search took; one that serves several patches is one."""
        folders = [self._track.folder / trial.name(number) for number in self._patched]
        there = sum(len(list(one.glob("boots/*/*/boot.json"))) for one in folders)
        return there - sum(len(reuse.read(one)) for one in folders)


class _CountSearch(_Search):
    """A search by what one profile boot of each kernel counts."""

    def __init__(self, track: Track, aim: CountTarget) -> None:
        super().__init__(track, aim.metric, 1)
        self._aim = aim
        self._counts: dict[int, float] = {}

    def solve(self) -> Bisection:
        """Count the whole series, then ask about patches until one is left."""
        if not self._built(self._count):
            raise KernelFailure(f"the whole series: {self._failed[self._count]}")
        first = target.require(self._aim, self._booted(self._count), self._cell.name)
        self._counts[self._count] = first.patch
        still = target.still(first.base, first.patch)
        counts = Counts(self._aim.what, first.metric, first.unit, first.base, still, self._counts)
        found = None
        if counts.excludes_zero(self._count):
            found = search.search(self._count, lambda number: self._count_of(number, counts))
        whole = stats.paired([first.base], [first.patch])
        return replace(self._concluded(whole, None), found=found, counts=counts)

    def _count_of(self, number: int, counts: Counts) -> Side:
        step = self._track.steps[number - 1]
        if not self._built(number):
            return self._note(Look.skipped(step, self._failed[number]))
        try:
            reading = target.read(self._aim, self._booted(number), self._cell.name)
        except UserError as error:
            return self._note(Look.skipped(step, str(error)))
        count = reading.patch if reading and reading.metric == counts.metric else 0.0
        self._counts[number] = count
        side = counts.side(number, self._count)
        return self._note(Look(step, side, None, None, count=count))

    def _booted(self, number: int) -> Path:
        self._patched[number] = {}  # whose boots are counted
        instruments = (_INSTRUMENTS[self._aim.kind],)
        return self._track.measure(number, pairs=1, instruments=instruments).folder


def _by_pair(values: pd.Series[float]) -> Values:
    return {int(pair): float(values[pair]) for pair in values.index}

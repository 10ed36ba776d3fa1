# SPDX-License-Identifier: GPL-2.0-only
"""What a report says, before it is text, page or table: estimates by workload."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from harness.report.background import PhaseLoad
from harness.report.lost import ExcludedBoot, Failing
from harness.report.profile.costs import Costs
from harness.report.profile.model import Profile
from harness.report.profileboots import ProfileBoot
from harness.report.sweep import Sweep
from harness.report.waits import LockWait
from harness.results import pairing
from harness.results.pairing import PairedValues
from harness.results.sizes import Sizes
from harness.stats import paired
from harness.stats import verdict as verdicts
from harness.stats.verdict import Kind, Noise, Verdict

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
MIN_BEYOND = 10
"""A percentile is given only if every boot has this many events beyond it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number of one cell, base against patch.

    role: "primary", "secondary", "percentile" or "counter"
    name: the metric; the percentile ("p99"); the counter ("vmstat pswpin")
    phase: where a percentile or a counter was taken, else ""
    unit: as printed; data_unit: as in the raw files
    direction: "lower" or "higher" is better, "" if nobody said
    q: adjusted p, for counters only; evident: chance does not explain its change, which is asked
        by t, since ranks of few pairs never reach what hundreds of counters ask for
    noise: control against base; None for counters, and where there is no such boot
    verdict: for primary metrics only
    again: (pair, change in per cent) of control against base, for primary metrics only
    bucket_pct: of percentiles, the width in per cent of the histogram's bucket that it lies in
    """

    role: str
    cell: str
    backend: str
    workload: str
    name: str
    phase: str
    unit: str
    data_unit: str
    direction: str
    base: paired.Spread
    patch: paired.Spread
    base_values: tuple[float, ...]
    patch_values: tuple[float, ...]
    pairs: tuple[int, ...]
    change: paired.Paired
    q: float | None = None
    noise: Noise | None = None
    verdict: Verdict | None = None
    again: tuple[tuple[int, float], ...] = ()
    bucket_pct: float | None = None
    evident: bool = False

    @classmethod
    def of(
        cls, key: Mapping[str, Any], group: PairedValues, change: paired.Paired, **rest: Any
    ) -> Self:
        """The row of a group of values, see `pairing.groups`; rest: the fields not in it."""
        base, patch = tuple(group.base.tolist()), tuple(group.patch.tolist())
        return cls(
            cell=str(key["cell"]),
            backend=str(key["backend"]),
            workload=str(key["workload"]),
            base=paired.spread(base),
            patch=paired.spread(patch),
            base_values=base,
            patch_values=patch,
            pairs=group.pairs,
            change=change,
            **rest,
        )

    @property
    def both(self) -> list[tuple[float, float]]:
        """(base, patch) of those pairs of which neither lacks the value."""
        values = zip(self.base_values, self.patch_values, strict=True)
        return [pair for pair in values if all(map(math.isfinite, pair))]

    @property
    def changes(self) -> tuple[tuple[int, float], ...]:
        """(pair, change in per cent) of those pairs that have one."""
        return pairing.changes(self.pairs, self.base_values, self.patch_values)


@dataclass(frozen=True, slots=True)
class BootPair:
    """The boots of one pair. boots: (arm, outcome, folder below the result) in the order of run.

    started: ISO time of the first; counts: base and patch are usable
    """

    cell: str
    pair: int
    started: str
    counts: bool
    boots: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """A counter in one phase: medians over the boots of complete pairs.

    None for a kernel that does not have it
    """

    backend: str
    phase: str
    name: str
    base: float | None
    patch: float | None


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """One workload.

    parameters: what the workload was run with, as "size=32M, ..."
    only_one: counters and metrics that only one kernel has, as "base: name" or "patch: name"
    tested: how many counters were compared
    background: what ran beside the program in the phases where all is counted
    unmeasured: (back-end, primary metric) without a complete pair: there is no row to judge
    counts: the counters that are given moved or not, where some boot is not zero; absent: those
        that neither kernel has
    backing: that base and patch differ in huge pages, a sentence for each back-end
    """

    workload: str
    description: str
    parameters: str
    margin: str
    declared: bool
    primary: tuple[Estimate, ...]
    secondary: tuple[Estimate, ...]
    percentiles: tuple[Estimate, ...]
    counters: tuple[Estimate, ...]
    only_one: tuple[str, ...]
    tested: int
    unmeasured: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    background: tuple[PhaseLoad, ...] = ()
    counts: tuple[PhaseCount, ...] = ()
    absent: tuple[str, ...] = ()
    backing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Regression:
    """One of the kernel's own tests that passes in every boot of base and fails on patch.

    base: boots of the base that it passed in; failed: boots of patch that it failed in, of
    ``patch`` that ran it
    boot: the first of those; directive and log are what it said there, the log's last lines
    """

    cell: str
    test: str
    base: int
    failed: int
    patch: int
    directive: str
    boot: str
    log: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Where and how often."""
        end = f" ({self.directive})" if self.directive else ""
        return (
            f"{self.cell} {self.test}: passes in {self.base} of {self.base} base boots, fails in "
            f"{self.failed} of {self.patch} patch boots{end}"
        )


@dataclass(frozen=True, slots=True)
class Tested:
    """The kernel's own tests in one cell.

    counts: (arm, "12 pass, 1 fail"), changes: what differs and is no regression, unbuilt: tests
    that an arm's tree does not have or cannot build; sentences
    """

    cell: str
    counts: tuple[tuple[str, str], ...]
    regressions: tuple[Regression, ...]
    changes: tuple[str, ...]
    unbuilt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report: everything that its files say.

    planned: boots that there should be; usable: boots that count
    has_control: the base kernel was booted a second time, for A/A
    blocks: all boots, in the order in which the pairs were begun
    failing: how often either kernel fails; None if no boot did
    sizes: of both kernels; None in results that do not have them
    profile: of its profile boots; None without such boots
    costs: of its boots under the caches and locks plugins, likewise
    sweeps: workloads that differ in their number of processes alone
    waits: locks that were waited for, of kernels that count it
    profiled: its boots under plugins, which no other figure here counts
    """

    name: str
    clock: str
    planned: int
    usable: int
    has_control: bool
    failures: tuple[ExcludedBoot, ...]
    parts: tuple[WorkloadReport, ...]
    defects: tuple[str, ...]
    facts: Facts
    blocks: tuple[BootPair, ...] = ()
    tested: tuple[Tested, ...] = ()
    failing: Failing | None = None
    sizes: Sizes | None = None
    profile: Profile | None = None
    costs: Costs | None = None
    sweeps: tuple[Sweep, ...] = ()
    waits: tuple[LockWait, ...] = ()
    profiled: tuple[ProfileBoot, ...] = ()

    @property
    def boots_called(self) -> str:
        """What tells the boots that are timed from those of a profile, if there are such."""
        return "timing boots" if self.profiled else "boots"

    @property
    def profile_failures(self) -> tuple[ProfileBoot, ...]:
        """The boots under plugins that failed."""
        return tuple(one for one in self.profiled if one.failed)

    @property
    def regressions(self) -> tuple[Regression, ...]:
        """The kernel's own tests that the patch breaks, of all cells."""
        return tuple(item for part in self.tested for item in part.regressions)

    @property
    def primary(self) -> tuple[Estimate, ...]:
        """The primary rows of all workloads."""
        return tuple(row for part in self.parts for row in part.primary)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each primary metric of each cell; "none" where nothing could be measured."""
        made = [row.verdict for row in self.primary if row.verdict is not None]
        lost = [
            verdicts.none(f"no complete pair has {name}")
            for part in self.parts
            for _, name in part.unmeasured
        ]
        return (*made, *lost)

    @property
    def rows(self) -> tuple[Estimate, ...]:
        """All rows."""
        return tuple(
            row
            for part in self.parts
            for row in (*part.primary, *part.secondary, *part.percentiles, *part.counters)
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Sentences and (label, value) lines about the run.

    unseen: what the clock cannot see, in one sentence to stand under a table; "" for wall time
    basis: how the base fits the series, "" if there is no series or nobody looked
    conditions: what the guests' kernels said of themselves: MGLRU, THP and so on
    skipped: cells that could not be run, each with its reason
    debug: that a kernel checks itself, in one sentence; "" for one fit to be measured
    unset: that options of the series are off, in one sentence; "" where none is
    """

    compared: tuple[tuple[str, str], ...]
    patches: tuple[str, ...]
    clock: str
    blind: tuple[str, ...]
    unseen: str
    machine: tuple[tuple[str, str], ...]
    repeat: tuple[tuple[str, str], ...]
    config_diff: tuple[str, ...]
    same_kernel: bool
    basis: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = ()
    debug: str = ""
    doubts: tuple[str, ...] = ()
    unset: str = ""


def opening(report: Report) -> tuple[str, ...]:
    """The report's first lines: broken tests and failures before anything else, then verdicts.

    Then why the patches may not be what was meant, and where the kernels differ in huge pages.
    """
    broken = (selftest_line(report),) if report.regressions else ()
    failing = report.failing
    often = (failing.sentence, *failing.first) if failing else ()
    outcome, verdict = outcome_line(report), verdict_line(report)
    hurt = report.failures or report.profile_failures
    said = (outcome, *often, verdict) if hurt else (verdict, outcome)
    unlike = (text for part in report.parts for text in part.backing)
    return (*broken, *said, *report.facts.doubts, *unlike)


def selftest_line(report: Report) -> str:
    """How many of the kernel's own tests the patch breaks, and the first of them."""
    broken = [f"{item.cell} {item.test}" for item in report.regressions]
    one = len(broken) == 1
    what, passing, fail = ("test", "passes", "fails") if one else ("tests", "pass", "fail")
    more = f"; and {len(broken) - 3} more" if len(broken) > 3 else ""
    return (
        f"REGRESSION: {len(broken)} {what} of the kernel's own {passing} on base and {fail} on "
        f"patch: "
        f"{'; '.join(broken[:3])}{more}."
    )


def outcome_line(report: Report) -> str:
    """What became of the boots."""
    failed = [f for f in report.failures if f.outcome != "missing"]
    missing = len(report.failures) - len(failed)
    what, hurt = report.boots_called, report.profile_failures
    profiled = f"{len(report.profiled)} profile boots"
    sentences = []
    if failed:
        sentences.append(f"{len(failed)} of {report.planned} {what} failed: {_kinds(failed)}.")
    if missing:
        sentences.append(f"{missing} of {report.planned} {what} not run yet.")
    if not sentences and not hurt:
        both = f" and {profiled}" if report.profiled else ""
        sentences.append(f"All {report.planned} {what}{both} finished; no failure.")
    elif hurt:
        if not sentences:
            sentences.append(f"All {report.planned} {what} finished.")
        sentences.append(f"{len(hurt)} of {profiled} failed: {_kinds(hurt)}.")
    elif report.profiled:
        sentences.append(f"All {profiled} finished.")
    count = len(report.facts.skipped)
    if count:
        sentences.append(f"{count} {'cell was' if count == 1 else 'cells were'} skipped.")
    return " ".join(sentences)


def _kinds(failed: Sequence[ExcludedBoot] | Sequence[ProfileBoot]) -> str:
    """How boots failed, in which cell, and how many of which kernel."""
    kinds = Counter((one.outcome, one.cell, one.arm) for one in failed)
    return "; ".join(
        f"{outcome} in {cell}, {count} {arm}"
        for (outcome, cell, arm), count in sorted(kinds.items())
    )


def verdict_line(report: Report) -> str:
    """How many primary metrics got which verdict."""
    found = [one.kind for one in report.verdicts]
    if not found:
        return "No verdicts: no primary metric was declared."
    if set(found) == {Kind.NONE}:
        return no_verdict(report.verdicts)
    kinds = [Kind.WORSE, Kind.BETTER, Kind.EQUIVALENT, Kind.UNDECIDED]
    if Kind.NONE in found:
        kinds.append(Kind.NONE)
    return ", ".join(f"{kind}: {found.count(kind)}" for kind in kinds) + "."


def no_verdict(lacking: Sequence[Verdict]) -> str:
    """What stands in the place of a count of verdicts where there is none: 0 worse says nothing."""
    pairs = max(one.change.n for one in lacking)
    if 0 < pairs < verdicts.MIN_PAIRS:
        given = "One pair gives" if pairs == 1 else f"{pairs} pairs give"
        return f"{given} no verdict; {verdicts.MIN_PAIRS} are the fewest that do."
    reasons = {one.reason for one in lacking}
    if len(reasons) == 1:
        return f"No verdict: {reasons.pop()}."
    return "No verdict, for several reasons: see the report."


def caution(report: Report) -> str:
    """Why there is no verdict where base was not compared with itself; "" where it was."""
    if report.has_control:
        return ""
    return (
        "No noise floor was measured: base was not compared with itself (A/A) in this run. "
        "So there are no verdicts, only numbers."
    )

"""What a report says, before it is text, page or table: estimates by workload."""

from __future__ import annotations

from dataclasses import dataclass

from harness import stats

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
MIN_BEYOND = 10
"""A percentile is given only if every boot has this many events beyond it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one cell, base against patch.

    role: "primary", "secondary", "percentile" or "counter"
    name: the metric; the percentile ("p99"); the counter ("vmstat pswpin")
    phase: where a percentile or a counter was taken, else ""
    unit: as printed; data_unit: as in the raw files
    direction: "lower" or "higher" is better, "" if nobody said
    q: adjusted p, for counters only
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
    base: stats.Spread
    patch: stats.Spread
    base_values: tuple[float, ...]
    patch_values: tuple[float, ...]
    pairs: tuple[int, ...]
    change: stats.Paired
    q: float | None = None

    @property
    def word(self) -> str:
        """ "worse", "better", "higher" or "lower"; "" unless >= 6 pairs and zero is excluded."""
        if self.change.n < stats.MIN_EXACT or not self.change.excludes_zero:
            return ""
        higher = (self.change.low_pct or 0) > 0
        if not self.direction:
            return "higher" if higher else "lower"
        return "better" if higher == (self.direction == "higher") else "worse"


@dataclass(frozen=True, slots=True)
class Failure:
    """A boot that does not count."""

    cell: str
    pair: int
    arm: str
    outcome: str
    detail: str
    folder: str
    console: str


@dataclass(frozen=True, slots=True)
class Part:
    """One workload.

    only_one: counters that only one of the two kernels has, as "base: name" or "patch: name"
    tested: how many counters were compared
    """

    workload: str
    description: str
    margin: str
    declared: bool
    primary: tuple[Row, ...]
    secondary: tuple[Row, ...]
    percentiles: tuple[Row, ...]
    counters: tuple[Row, ...]
    only_one: tuple[str, ...]
    tested: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report: everything that its files say.

    planned: boots that there should be; usable: boots that count
    """

    name: str
    clock: str
    planned: int
    usable: int
    failures: tuple[Failure, ...]
    parts: tuple[Part, ...]
    defects: tuple[str, ...]
    facts: Facts

    @property
    def primary(self) -> tuple[Row, ...]:
        """The primary rows of all workloads."""
        return tuple(row for part in self.parts for row in part.primary)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(
            row
            for part in self.parts
            for row in (*part.primary, *part.secondary, *part.percentiles, *part.counters)
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Sentences and (label, value) lines about the run."""

    compared: tuple[tuple[str, str], ...]
    patches: tuple[str, ...]
    clock: str
    blind: tuple[str, ...]
    machine: tuple[tuple[str, str], ...]
    repeat: tuple[tuple[str, str], ...]
    config_diff: tuple[str, ...]
    same_kernel: bool


def outcome_line(report: Report) -> str:
    """The report's first line: failures before anything else."""
    failed = [f for f in report.failures if f.outcome != "missing"]
    missing = len(report.failures) - len(failed)
    sentences = []
    if failed:
        kinds = sorted({(f.outcome, f.cell, f.arm) for f in failed})
        counted = "; ".join(
            f"{outcome} in {cell}, "
            f"{sum((f.outcome, f.cell, f.arm) == (outcome, cell, arm) for f in failed)} {arm}"
            for outcome, cell, arm in kinds
        )
        sentences.append(f"{len(failed)} of {report.planned} boots failed: {counted}.")
    if missing:
        sentences.append(f"{missing} of {report.planned} boots not run yet.")
    if not sentences:
        sentences.append(f"All {report.planned} boots finished; no failure.")
    return " ".join(sentences)


def caution(report: Report) -> str:
    """What the numbers do not say."""
    few = [row for row in report.primary if row.change.n < stats.MIN_EXACT]
    text = (
        "No noise floor was measured: base was not compared with itself in this run. "
        "'worse' and 'better' say only that the 95 % interval excludes zero at 6 or more "
        "pairs; a verdict needs the noise floor, and the declared margin, too."
    )
    if few:
        text += " Below 6 pairs there are only numbers: 5 pairs can never reach p < 0.05."
    return text

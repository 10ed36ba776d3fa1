# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a comparison: verdicts, noise, metrics, percentiles, counters; and its CSV files.

metrics.csv has one value a boot, estimates.csv one row a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice

from harness.report import counters as kernel_counters
from harness.report import phrases, table
from harness.report.background import PhaseLoad
from harness.report.model import Estimate, PhaseCount, Report, WorkloadReport
from harness.report.numbers import change, exact, interval, number, percent
from harness.report.table import Column, Table, columns, heading_row
from harness.results import counted, pairing
from harness.results.frames import Frames
from harness.stats.verdict import Kind

_COMPARED = ("base", "+-", "patch", "change", "95 % interval", "n")
_JUDGED = ("base", "patch", "change", "95 % interval", "n")
_NOISE = ("A/A change", "A/A 95 % interval", "A/A n", "A/A CV", "min. detectable")
_LABEL = "back-end"
_VERDICT = Column("verdict", strong=True)
_TOP_THREADS = 4
_LEAST_THREAD = 0.001
"""Of all instructions: of threads that spend less nothing is said."""
_BACKGROUND = (
    "Medians over boots of the means over rounds. Workload: what the scheduler charges to its "
    "processes, which is not exact: see docs/measurements.md. Rest: all else, which is the idle "
    "task with the interrupts that it takes, kernel threads, other programs, and the sampler "
    "(last column)."
)
_THREADS = (
    "CPU time of kernel threads from the mark before a phase to the mark behind it, in millions of "
    "instructions. The marks lie outside of the phase, so it may be more than the rest."
)


def verdicts(report: Report) -> Table:
    """One row for each primary metric of each cell, also of those that could not be measured."""
    heads = (*columns("cell", *_JUDGED), _VERDICT)
    rows: list[tuple[str, ...]] = []
    for part in report.parts:
        names = {*(row.name for row in part.primary), *(name for _, name in part.unmeasured)}
        for name in sorted(names):
            mine = [row for row in part.primary if row.name == name]
            said = f"{name}, {phrases.unit(mine)}" if mine else name
            lost = [f"{backend}.{part.workload}" for backend, one in part.unmeasured if one == name]
            rows.append(heading_row(said, len(heads)))
            rows += [(row.cell, *_judged(row)) for row in mine]
            rows += [(cell, "-", "-", "-", "none", "0", str(Kind.NONE)) for cell in lost]
    return Table("", heads, tuple(rows))


def pmu(report: Report) -> Table:
    """What the guests' PMU counted for each unit of work of the primary metrics; mostly no row."""
    rows = []
    for part in report.parts:
        for row in part.primary:
            ends = {f"{row.name}_{end}": end for end in counted.ENDS}
            rows += [
                (f"{row.cell} {ends[one.name]}", *_judged(one)[:-1])
                for one in part.secondary
                if one.name in ends and one.backend == row.backend
            ]
    heads = columns("cell and event", *_JUDGED)
    return Table("Counted by the guests' PMU, user and kernel, for each of these:", heads, (*rows,))


def noise(part: WorkloadReport) -> Table:
    """What A/A shows for the primary metrics, beside every verdict."""
    rows = _grouped(part.primary, _metric(part), lambda row: (row.backend, *phrases.noise(row)))
    return Table(
        "Noise floor: control against base (A/A), in %",
        columns(_LABEL, *_NOISE),
        rows,
        tuple(phrases.scatters(part.primary)),
    )


def primary(part: WorkloadReport, *, aa: bool) -> Table:
    """The primary metrics with spread, verdict and, if ``aa``, the noise floor in per cent."""
    notes = (*judging(part), *(phrases.scatters(part.primary) if aa else ()))
    made = _comparison("Primary metrics", part.primary, _metric(part), aa=aa, judged=True)
    return replace(made, notes=notes)


def judging(part: WorkloadReport) -> tuple[str, ...]:
    """Why the verdicts are what they are, and how the intervals were made."""
    rows = part.primary
    return (*phrases.reasons(rows), *phrases.methods(rows), *phrases.skews(rows))


def secondary(part: WorkloadReport, *, aa: bool = False) -> Table:
    """The secondary metrics that some boot changes, by metric."""
    return _comparison("Secondary metrics", changed(part.secondary), aa=aa)


def percentiles(part: WorkloadReport, *, aa: bool = False, only_moved: bool = False) -> Table:
    """The latency percentiles, by histogram; only_moved: those that moved beyond
    `counters.SHARE`."""
    rows = [row for row in part.percentiles if not only_moved or kernel_counters.beyond(row)]
    title = "Latency percentiles"
    if only_moved:
        title += f" that changed by more than {kernel_counters.SHARE:g} %"
    return _comparison(title, rows, aa=aa)


def always(part: WorkloadReport) -> Table:
    """The counters that are given moved or not, below a heading for each back-end and phase."""
    heads = columns("counter", "base", "patch", "difference")
    rows: list[tuple[str, ...]] = []
    for (backend, phase), mine in groupby(part.counts, lambda row: (row.backend, row.phase)):
        rows.append(heading_row(f"{backend}, phase {phase}", len(heads)))
        rows += [(row.name, exact(row.base), exact(row.patch), _difference(row)) for row in mine]
    notes = ["Without a row: zero in all boots of both kernels."]
    if part.absent:
        notes.append(f"In neither kernel: {', '.join(part.absent)}.")
    return Table("Counters by phase, moved or not", heads, tuple(rows), tuple(notes))


def _difference(row: PhaseCount) -> str:
    if row.base is None or row.patch is None:
        return "-"
    return exact(row.patch - row.base, sign=True)


def counters(rows: Sequence[Estimate], *, most: int | None = None, whole: bool = False) -> Table:
    """Counters by back-end, at most ``most`` of each, in the order given; whole: with intervals."""
    made = _grouped(
        rows,
        lambda row: row.backend,
        lambda row: (
            row.name, row.phase, number(row.base.median), number(row.patch.median), row.unit,
            change(row.change), *((interval(row.change),) if whole else ()),
        ),
        most,
    )  # fmt: skip
    heads = ("change", "95 % interval") if whole else ("change",)
    return Table("", columns("counter", "phase", "base", "patch", "unit", *heads, names=2), made)


def background(part: WorkloadReport) -> Table:
    """What ran in the phases beside the workload, where all instructions are counted."""
    rows = tuple(
        (
            f"{one.cell} {one.phase}", one.arm,
            *(f"{value / 1e6:.2f}" for value in (one.busy, one.program, one.beside, one.sampler)),
        )
        for one in part.background
    )  # fmt: skip
    heads = ("cell and phase", "arm", "whole guest", "workload", "rest", "sampler")
    threads = [
        f"{one.cell} {one.phase}, {one.arm}: {said}."
        for one in part.background
        if (said := _threads(one))
    ]
    notes = (_BACKGROUND, *([_THREADS, *threads] if threads else []))
    title = "Instructions of the whole guest in each phase, in millions"
    return Table(title, columns(*heads, names=2), rows, notes if rows else ())


def _threads(one: PhaseLoad) -> str:
    """The kernel threads that ran longest; "" where that is next to nothing."""
    if not one.threads or one.threads[0][1] < _LEAST_THREAD * one.busy:
        return ""
    shown = ((name, f"{spent / 1e6:.2f}") for name, spent in one.threads[:_TOP_THREADS])
    return ", ".join(f"{name} {spent}" for name, spent in shown if float(spent))


def changed(rows: Sequence[Estimate]) -> list[Estimate]:
    """The rows of metrics that some pair of some back-end changes."""
    alive = {row.name for row in rows if not _unchanged(row)}
    return [row for row in rows if row.name in alive]


def unchanged(rows: Sequence[Estimate]) -> list[str]:
    """The metrics that no pair of any back-end changes."""
    return sorted({row.name for row in rows} - {row.name for row in changed(rows)})


def _unchanged(row: Estimate) -> bool:
    found = row.change.differences
    return bool(found) and not any(found)


def _metric(part: WorkloadReport) -> Callable[[Estimate], str]:
    margin = "" if part.margin == "unknown" else f"; declared margin {part.margin}"
    return lambda row: f"{row.name} (primary), {phrases.unit([row])}{margin}"


def _comparison(
    title: str,
    rows: Sequence[Estimate],
    group: Callable[[Estimate], str] | None = None,
    *,
    aa: bool,
    judged: bool = False,
) -> Table:
    """Base against patch below a heading for each ``group``: the number and its unit.

    aa: with the noise floor in per cent; judged: with the verdict
    """
    heads = [*columns(_LABEL, *_COMPARED), *([_VERDICT] if judged else [])]
    if aa:
        heads += (Column(head, "" if head == "A/A n" else "%") for head in _NOISE)

    def cells(row: Estimate) -> tuple[str, ...]:
        kind = (_kind(row),) if judged else ()
        return (_label(row), *_compared(row), *kind, *(phrases.noise(row) if aa else ()))

    return Table(
        title, tuple(heads), _grouped(rows, group or _heading, cells), tuple(phrases.skews(rows))
    )


def _grouped(
    rows: Iterable[Estimate],
    group: Callable[[Estimate], str],
    cells: Callable[[Estimate], tuple[str, ...]],
    most: int | None = None,
) -> tuple[tuple[str, ...], ...]:
    """At most ``most`` rows below a heading for each group, groups in the order of their names."""
    made: list[tuple[str, ...]] = []
    for said, mine in groupby(sorted(rows, key=group), group):
        found = [cells(row) for row in islice(mine, most)]
        made += [heading_row(said, len(found[0])), *found]
    return tuple(made)


def _heading(row: Estimate) -> str:
    name = phrases.histogram(row) if row.role == "percentile" else row.name
    return f"{name}, {phrases.unit([row])}"


def _label(row: Estimate) -> str:
    return (
        f"{row.name.rpartition(' ')[2]} {row.backend}" if row.role == "percentile" else row.backend
    )


def _kind(row: Estimate) -> str:
    return "" if row.verdict is None else str(row.verdict.kind)


def _judged(row: Estimate) -> tuple[str, ...]:
    base, _, *rest = _compared(row)
    return (base, *rest, _kind(row))


def _compared(row: Estimate) -> tuple[str, ...]:
    spread = percent(row.base.percent, sign=False)
    return (
        number(row.base.median), spread if spread == "-" else f"{spread}%",
        number(row.patch.median), change(row.change), _interval(row), str(row.change.n),
    )  # fmt: skip


def _interval(row: Estimate) -> str:
    """The interval; the bucket of a percentile where all pairs agree, as buckets do."""
    if row.bucket_pct is not None and row.change.low_pct == row.change.high_pct is not None:
        return f"bucket {percent(row.bucket_pct, sign=False)}%"
    return interval(row.change)


_METRICS = (
    "cell", "backend", "workload", "arm", "pair", "outcome", "used", "name", "value", "unit",
)  # fmt: skip
_ESTIMATES = (
    "role", "cell", "backend", "workload", "name", "phase", "unit", "clock", "direction",
    "n", "dropped", "base_median", "base_spread_pct", "patch_median", "patch_spread_pct",
    "spread_kind", "change_pct", "low_pct", "high_pct", "coverage", "p", "q", "method",
    "mean_low_pct", "mean_high_pct", "verdict", "reason", "more_pairs", "margin_pct",
    "narrow_low_pct", "narrow_high_pct", "aa_n", "aa_change_pct", "aa_low_pct", "aa_high_pct",
    "aa_cv_pct", "detectable_pct",
)  # fmt: skip


def metrics(data: Frames) -> Iterator[str]:
    """metrics.csv in pieces: every metric of every boot, of failed ones too.

    `used`: the boot is half of a pair that counts.
    """
    used = pairing.counted(data.boots)
    boots = {
        (b.cell, b.pair, b.arm): (b.outcome, int(used.holds((b.cell, b.pair, b.arm))))
        for b in pairing.rows(data.boots)
    }
    return table.pieces(
        _METRICS,
        (
            (
                m.cell, m.backend, m.workload, m.arm, table.plain(m.pair),
                *map(table.plain, boots[m.cell, m.pair, m.arm]), m.name, table.plain(m.value),
                m.unit,
            )
            for m in pairing.rows(data.metrics)
        ),
    )  # fmt: skip


def estimates(report: Report) -> str:
    """Every comparison of the report, counters that moved included."""
    rows = [
        (
            row.role, row.cell, row.backend, row.workload, row.name, row.phase, row.data_unit,
            report.clock, row.direction, row.change.n, row.change.dropped, row.base.median,
            row.base.percent, row.patch.median, row.patch.percent, row.base.kind,
            row.change.estimate_pct, row.change.low_pct, row.change.high_pct,
            row.change.coverage, row.change.p, row.q, row.change.method,
            *(row.change.beside or (None, None)), *_verdict_values(row), *_noise_values(row),
        )
        for row in report.rows
    ]  # fmt: skip
    cells = (tuple(map(table.plain, row)) for row in rows)
    return "".join(table.pieces(_ESTIMATES, cells))


def _verdict_values(row: Estimate) -> tuple[object, ...]:
    one = row.verdict
    if one is None:
        return (None,) * 6
    narrow = one.narrow
    return (one.kind, one.reason, one.more, one.margin_pct, narrow.low_pct, narrow.high_pct)


def _noise_values(row: Estimate) -> tuple[object, ...]:
    noise = row.noise
    if noise is None:
        return (None,) * 6
    aa = noise.change
    return (aa.n, aa.estimate_pct, aa.low_pct, aa.high_pct, noise.cv_pct, noise.detectable_pct)

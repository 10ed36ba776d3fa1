# SPDX-License-Identifier: GPL-2.0-only
"""Figures by number of processes: a table, a plot and a CSV file for each sweep."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.report import phrases, table
from harness.report.canvas import COLOURS, MARKERS, STYLES, Plot, figure, plot
from harness.report.model import Estimate, Report
from harness.report.numbers import change, interval, number
from harness.report.sweep import Sweep
from harness.report.table import Table, columns, heading_row
from harness.results.frames import ARMS

TITLE = "By number of processes"
_THROUGHPUT = "throughput"
_OF_PROCESSES = ("slowest", "fairness")
"""Of one process there is neither, so nothing that they could be held against."""
_HEADS = ("base", "patch", "change", "95 % interval", "n", "x base", "x patch")
_COLUMNS = (
    "backend", "workload", "parameter", "processes", "cell", "name", "unit", "clock", "n",
    "base_median", "patch_median", "change_pct", "low_pct", "high_pct", "base_growth",
    "patch_growth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """A metric with one number of processes.

    base_growth, patch_growth: the kernel's median over its median with the smallest number; None
        for a metric that one process does not have
    """

    processes: int
    row: Estimate
    base_growth: float | None
    patch_growth: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of one back-end and sweep, the smallest number first; two points at least."""

    backend: str
    sweep: Sweep
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """The metric."""
        return self.points[0].row.name

    @property
    def title(self) -> str:
        """Back-end, workload, metric and unit in one line."""
        rows = [point.row for point in self.points]
        role = " (primary)" if rows[0].role == "primary" else ""
        return f"{self.backend}.{self.sweep.workload}: {self.name}{role}, {phrases.unit(rows)}"


def curves(report: Report) -> tuple[Curve, ...]:
    """Of each sweep and back-end the primary metric, throughput, and what tells processes apart."""
    return tuple(_curves(report))


def _curves(report: Report) -> Iterator[Curve]:
    rows = {(row.workload, row.backend, row.name): row for row in _rows(report)}
    backends = sorted({backend for _, backend, _ in rows})
    for sweep in report.sweeps:
        primary = {row.name for row in report.primary if row.workload == sweep.points[0][1]}
        names = dict.fromkeys((*sorted(primary), _THROUGHPUT, *_OF_PROCESSES))
        for backend in backends:
            for name in names:
                found = [
                    (count, rows[workload, backend, name])
                    for count, workload in sweep.points
                    if (workload, backend, name) in rows
                ]
                if len(found) > 1:
                    yield Curve(backend, sweep, tuple(_points(found, name)))


def _rows(report: Report) -> Iterator[Estimate]:
    for part in report.parts:
        yield from (*part.primary, *part.secondary)


def _points(found: list[tuple[int, Estimate]], name: str) -> Iterator[Point]:
    first = found[0][1]
    for count, row in found:
        growth: tuple[float | None, float | None] = (None, None)
        if name not in _OF_PROCESSES:
            growth = (
                _ratio(row.base.median, first.base.median),
                _ratio(row.patch.median, first.patch.median),
            )
        yield Point(count, row, *growth)


def _ratio(value: float | None, first: float | None) -> float | None:
    return value / first if value is not None and first else None


def of(report: Report) -> Table:
    """One table of all curves; without rows where there is no sweep."""
    rows: list[tuple[str, ...]] = []
    for curve in curves(report):
        rows.append(heading_row(curve.title, len(_HEADS) + 1))
        rows += [_cells(point) for point in curve.points]
    parameters = sorted({sweep.parameter for sweep in report.sweeps})
    heads = columns(", ".join(parameters) or "processes", *_HEADS)
    return Table("", heads, tuple(rows), _notes(report) if rows else ())


def _notes(report: Report) -> tuple[str, ...]:
    means = (
        "x base, x patch: the kernel's median over its median with the fewest processes. Of "
        "throughput that is the speed-up, of a cost the factor by which it grows."
    )
    if report.clock == "wall":
        return (means,)
    return (
        means,
        "Under the instruction clock that is what all CPUs execute: more of it is more work, and "
        "waiting for each other is not in it.",
    )


def _cells(point: Point) -> tuple[str, ...]:
    row = point.row
    return (
        str(point.processes), number(row.base.median), number(row.patch.median),
        change(row.change), interval(row.change), str(row.change.n),
        _times(point.base_growth), _times(point.patch_growth),
    )  # fmt: skip


def _times(growth: float | None) -> str:
    return "-" if growth is None else f"{growth:.3f}"


def sheet(report: Report) -> str:
    """processes.csv: a row for each point."""
    return table.sheet(_COLUMNS, ([*map(table.plain, row)] for row in _values(report)))


def _values(report: Report) -> Iterator[tuple[object, ...]]:
    for curve in curves(report):
        for point in curve.points:
            row = point.row
            yield (
                curve.backend, curve.sweep.workload, curve.sweep.parameter, point.processes,
                row.cell, row.name, row.data_unit, report.clock, row.change.n, row.base.median,
                row.patch.median, row.change.estimate_pct, row.change.low_pct,
                row.change.high_pct, point.base_growth, point.patch_growth,
            )  # fmt: skip


def draw(report: Report) -> Iterator[Plot]:
    """A figure for each sweep and back-end: throughput, or the primary metric where none is."""
    shown: dict[tuple[str, Sweep], Curve] = {}
    for curve in curves(report):
        has_both = all(_of_boots(one.row, arm) for one in curve.points for arm in ARMS)
        if curve.name in _OF_PROCESSES or not has_both:
            continue
        if curve.name == _THROUGHPUT or (curve.backend, curve.sweep) not in shown:
            shown[curve.backend, curve.sweep] = curve
    for curve in shown.values():
        yield _figure(curve)


def _figure(curve: Curve) -> Plot:
    canvas, axes = figure(2.9)
    counts = [point.processes for point in curve.points]
    words = []
    for arm in ARMS:
        boots = [_of_boots(point.row, arm) for point in curve.points]
        medians = [float(np.median(values)) for values in boots]
        style = {"color": COLOURS[arm], "marker": MARKERS[arm]}
        axes.plot(counts, medians, markersize=5, label=arm, linestyle=STYLES[arm], **style)
        for count, values in zip(counts, boots, strict=True):
            axes.plot(
                [count] * len(values), values, markersize=3, alpha=0.4, linestyle="none", **style
            )
        words.append(f"{arm} {', '.join(map(number, medians))}")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"processes ({curve.sweep.parameter})")
    axes.set_ylabel(f"{curve.name}, {curve.points[0].row.unit}")
    axes.set_title(f"{curve.backend}.{curve.sweep.workload}", loc="left")
    axes.legend(loc="best")
    many = ", ".join(map(str, counts))
    return plot(
        canvas,
        f"scaling-{curve.backend}-{curve.points[0].row.workload}",
        "scaling",
        (
            f"{curve.name} of {curve.backend} {curve.sweep.workload} by number of processes",
            f"Median {curve.name} with {many} processes: {'; '.join(words)}.",
            "Lines join the medians, small marks are single boots. The axis begins at zero.",
        ),
    )


def _of_boots(row: Estimate, arm: str) -> list[float]:
    values = row.base_values if arm == ARMS[0] else row.patch_values
    return [value for value in values if math.isfinite(value)]


def export(report: Report) -> list[dict[str, object]]:
    """Plain values for JSON."""
    return [
        {
            "backend": curve.backend,
            "sweep": dataclasses.asdict(curve.sweep),
            "name": curve.name,
            "points": [
                {
                    "processes": point.processes,
                    "cell": point.row.cell,
                    "base_growth": point.base_growth,
                    "patch_growth": point.patch_growth,
                }
                for point in curve.points
            ],
        }
        for curve in curves(report)
    ]

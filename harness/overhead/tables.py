"""The tables of the report, ready to print: the same in text and page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.overhead.analysis import Backend, Overhead, Side
from harness.overhead.words import ARMS, mib, percent, span, weight
from harness.units import format_size


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the names of the columns, and rows of text; the first column is to the left."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def of(report: Overhead, backend: Backend) -> Iterator[Table]:
    """All tables of a back-end that have a row, in the order of the report."""
    size = format_size(report.projected)
    found = [
        *_projected(backend, size),
        *(_structures(side) for side in backend.sides.values()),
        *(_static(side) for side in backend.sides.values()),
        *(_levels(side) for side in backend.sides.values()),
        *(_methods(side) for side in backend.sides.values()),
    ]
    yield from (table for table in found if table.rows)


def _projected(backend: Backend, size: str) -> Iterator[Table]:
    yield Table(
        f"{size} swap area, the claim's terms, MiB",
        ("used", "", "claimed", "model", "allocated", "measured", "95 % interval", ""),
        tuple(
            (
                f"{row.usage:g}%" if i == 0 else "",
                ARMS[arm],
                mib(cell.claimed),
                mib(cell.plain),
                mib(cell.rounded),
                mib(cell.measured.value if cell.measured else None),
                span(cell.measured),
                "!" if cell.outside else "",
            )
            for row in backend.rows
            for i, (arm, cell) in enumerate(row.cells.items())
            if cell.claimed is not None or cell.measured is not None
        ),
    )
    yield Table(
        f"{size} swap area, all metadata, MiB",
        ("used", "", "allocated", "measured", "95 % interval"),
        tuple(_all(backend)),
    )


def _all(backend: Backend) -> Iterator[tuple[str, ...]]:
    for row in backend.rows:
        for i, (arm, cell) in enumerate(row.cells.items()):
            measured = cell.measured_all
            first = f"{row.usage:g}%" if i == 0 else ""
            value = measured.value if measured else None
            yield first, ARMS[arm], mib(cell.rounded_all), mib(value), span(measured)
        old, new = (row.cells.get(arm) for arm in ("base", "patch"))
        if old and new:
            changes = [
                (old.rounded_all, new.rounded_all),
                (
                    old.measured_all.value if old.measured_all else None,
                    new.measured_all.value if new.measured_all else None,
                ),
            ]
            yield ("", "change", *(_change(*both) for both in changes), "")


def _change(old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return "-"
    return f"{(new - old) / (1 << 20):+.2f}"


def _structures(side: Side) -> Table:
    named = [*side.fits.items(), *([("all metadata", side.total)] if side.total else [])]
    return Table(
        f"By structure, {ARMS[side.kernel.arm]}: bytes, standard error, shape",
        ("structure", "B/slot", "s.e.", "B/entry", "s.e.", "worst KiB", "shape"),
        tuple(
            (
                name,
                weight(fit.per_slot.value),
                weight(fit.per_slot.error),
                weight(fit.per_entry.value),
                weight(fit.per_entry.error),
                f"{fit.worst / 1024:.1f}",
                fit.shape.kind,
            )
            for name, fit in named
        ),
    )


def _static(side: Side) -> Table:
    return Table(
        f"Before the first page, {ARMS[side.kernel.arm]}: bytes a slot",
        ("structure", "area", "boots", "measured", "allocated", "deviation"),
        tuple(
            (
                one.structure,
                one.label,
                str(one.boots),
                weight(one.measured),
                weight(one.modelled),
                percent(one.deviation),
            )
            for one in side.static
        ),
    )


def _levels(side: Side) -> Table:
    return Table(
        f"All metadata as measured, {ARMS[side.kernel.arm]}, MiB; residual in % of measured",
        ("area", "mark", "pages", "allocated", "measured", "residual", "%"),
        tuple(
            (
                one.label,
                one.stage,
                f"{one.pages:.0f}",
                mib(one.modelled),
                mib(one.metadata),
                mib(one.residual),
                percent(one.residual_pct),
            )
            for one in side.levels
        ),
    )


def _methods(side: Side) -> Table:
    return Table(
        f"allocinfo against the stand-in, {ARMS[side.kernel.arm]}, KiB at the fullest mark",
        ("structure", "allocinfo", "stand-in", "error"),
        tuple(
            (
                one.structure,
                f"{one.allocinfo / 1024:.1f}",
                f"{one.standin / 1024:.1f}",
                percent(one.error),
            )
            for one in side.methods
        ),
    )


def lines(table: Table) -> Sequence[str]:
    """The table as text: columns as wide as their widest cell, one blank between."""
    whole = (table.columns, *table.rows)
    widths = [max(len(row[i]) for row in whole) for i in range(len(table.columns))]
    return [
        " ".join(
            cell.ljust(width) if i == 0 or (cell.isalpha() and i == 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in whole
    ]

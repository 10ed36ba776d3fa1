# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the report, ready to print: the same in text and page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.studies.overhead.analysis import BackendOverhead, KernelOverhead, Overhead
from harness.studies.overhead.model import ALONE
from harness.studies.overhead.phrases import ARMS, difference, gained, mib, percent, span, weight
from harness.util.units import format_size

_LEAST = 8  # characters of a name that are kept


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the names of the columns, and rows of text; the first column is to the left."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def of(report: Overhead, backend: BackendOverhead) -> Iterator[Table]:
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


def _projected(backend: BackendOverhead, size: str) -> Iterator[Table]:
    what = f"{size} in zswap without a swap area" if backend.kind == ALONE else f"{size} swap area"
    yield Table(
        f"{what}, the claim's terms, MiB",
        ("used", "", "claimed", "model", "allocated", "measured", "95 % interval", ""),
        tuple(_terms(backend)),
    )
    yield Table(
        f"{what}, all metadata, MiB",
        ("used", "", "allocated", "measured", "95 % interval", ""),
        tuple(_all(backend)),
    )


def _terms(backend: BackendOverhead) -> Iterator[tuple[str, ...]]:
    for row in backend.rows:
        cells = {
            arm: cell
            for arm, cell in row.cells.items()
            if cell.claimed is not None or cell.measured is not None
        }
        for i, (arm, cell) in enumerate(cells.items()):
            yield (
                f"{row.usage:g}%" if i == 0 else "",
                ARMS[arm],
                *(mib(value) for value in (cell.claimed, cell.plain, cell.rounded)),
                mib(cell.measured.value if cell.measured else None),
                span(cell.measured),
                "!" if cell.outside else "",
            )
        old, new = (cells.get(arm) for arm in ("base", "patch"))
        if old and new:
            pairs = (
                (old.claimed, new.claimed), (old.plain, new.plain), (old.rounded, new.rounded),
            )  # fmt: skip
            changes = (_change(*both) for both in pairs)
            measured = difference(backend, old.measured, new.measured)
            value = measured.value if measured else None
            yield "", "change", *changes, gained(value), span(measured), ""


def _all(backend: BackendOverhead) -> Iterator[tuple[str, ...]]:
    for row in backend.rows:
        for i, (arm, cell) in enumerate(row.cells.items()):
            found = cell.measured_all
            first = f"{row.usage:g}%" if i == 0 else ""
            value = found.value if found else None
            flag = "?" if cell.unlike else ""
            yield first, ARMS[arm], mib(cell.rounded_all), mib(value), span(found), flag
        old, new = (row.cells.get(arm) for arm in ("base", "patch"))
        if old and new:
            modelled = _change(old.rounded_all, new.rounded_all)
            measured = difference(backend, old.measured_all, new.measured_all)
            value = measured.value if measured else None
            yield "", "change", modelled, gained(value), span(measured), ""


def _change(old: float | None, new: float | None) -> str:
    return gained(None if old is None or new is None else new - old)


def _structures(side: KernelOverhead) -> Table:
    named = [*side.fits.items(), *([("all metadata", side.total)] if side.total else [])]
    return Table(
        f"By structure, {ARMS[side.kernel.arm]}; const and worst in KiB, * is no line",
        ("structure", "const", "B/slot", "s.e.", "B/entry", "s.e.", "worst", ""),
        tuple(
            (
                name,
                _kib(fit.const.value) if fit.has_const else "-",
                weight(fit.per_slot.value),
                weight(fit.per_slot.error),
                weight(fit.per_entry.value),
                weight(fit.per_entry.error),
                _kib(fit.worst),
                "" if fit.shape.kind == "line" else "*",
            )
            for name, fit in named
        ),
    )


def _static(side: KernelOverhead) -> Table:
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


def _levels(side: KernelOverhead) -> Table:
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


def _methods(side: KernelOverhead) -> Table:
    return Table(
        f"allocinfo against the stand-in, {ARMS[side.kernel.arm]}, KiB, largest area filled",
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


def lines(table: Table, width: int) -> Sequence[str]:
    """The table as text: columns as wide as their widest cell, one blank between.

    Names are cut where a line would be longer than `width`; numbers never are.
    """
    whole = [table.columns, *table.rows]
    widths = [max(len(row[i]) for row in whole) for i in range(len(table.columns))]
    names = [i for i in range(len(widths)) if any(row[i][:1].isalpha() for row in table.rows)]
    while sum(widths) + len(widths) - 1 > width and names:
        widest = max(names, key=lambda i: widths[i])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
    return [
        " ".join(
            cell[:size].ljust(size) if i in names or i == 0 else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in whole
    ]


def _kib(value: float) -> str:
    text = f"{value / 1024:.1f}"
    return "0.0" if text == "-0.0" else text

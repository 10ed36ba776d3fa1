# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the report: the answer, those of a back-end, its details; and overhead.csv.

overhead.csv has one row a boot, mark and structure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.report.table import Column, Table, columns, sheet, trimmed
from harness.results.frames import ARMS
from harness.stats.fit import Value
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.studies.overhead.model import ALONE, MetadataModel
from harness.studies.overhead.phrases import (
    STAYS,
    difference,
    empty,
    gained,
    kept,
    mib,
    percent,
    span,
    weight,
)
from harness.studies.overhead.projection import ArmUsage, KernelOverhead
from harness.studies.overhead.sites import Rules
from harness.studies.overhead.snapshot import (
    FILLED,
    FRAGMENTED,
    SWAPOFF,
    SWAPON,
    UNNAMED,
    Boot,
    Snapshot,
)
from harness.util.units import format_size

_WHOLE = ("back-end", "counted", *ARMS, "change", "95 % interval", "claimed", "")


def answer(report: Overhead) -> list[Table]:
    """All back-ends: bytes a slot and an entry, and the whole of the projected area."""
    usages = sorted({backend.rows[-1].usage for backend in report.backends})
    full = " or ".join(f"{usage:g}" for usage in usages)
    heads = ("slot: base", "patch", "change", "entry: base", "patch", "change")
    return [
        Table(
            "Bytes of metadata for each slot and each entry (page in swap), measured",
            columns("back-end", *heads),
            tuple((backend.name, *_each(backend)) for backend in report.backends),
        ),
        trimmed(
            Table(
                f"Metadata of {format_size(report.projected)} of swap, {full} % full, projected, "
                "MiB",
                columns(*_WHOLE, names=2),
                tuple(row for backend in report.backends for row in _whole(backend)),
            )
        ),
    ]


def _each(backend: BackendOverhead) -> Iterator[str]:
    """Base, patch and change of the bytes a slot, then of those an entry."""
    totals = [backend.total(arm) for arm in ARMS]
    for name in ("per_slot", "per_entry"):
        old, new = (None if fit is None else float(getattr(fit, name).value) for fit in totals)
        yield from (weight(old), weight(new))
        known = old is not None and new is not None and backend.comparable
        change = f"{(new or 0) - (old or 0):+.3f}" if known else "-"
        yield "0" if change in ("+0.000", "-0.000") else change


def _whole(backend: BackendOverhead) -> Iterator[tuple[str, ...]]:
    """All metadata; where there is a claim, its terms with the claimed change beside."""
    cells = [backend.rows[-1].cells.get(arm) for arm in ARMS]
    flag = "?" if any(cell and cell.unlike for cell in cells) else ""
    yield _pair(backend, "all", [cell.measured_all if cell else None for cell in cells], "", flag)
    claimed = [cell.claimed if cell else None for cell in cells]
    if any(value is not None for value in claimed):
        flag = "!" if any(cell and cell.outside for cell in cells) else ""
        measured = [cell.measured if cell else None for cell in cells]
        yield _pair(backend, "claim", measured, _change(*claimed), flag)


def _pair(
    backend: BackendOverhead, counted: str, values: Sequence[Value | None], *last: str
) -> tuple[str, ...]:
    each = (mib(one.value if one else None) for one in values)
    return (backend.name, counted, *each, *_difference(backend, *values), *last)


def of(report: Overhead, backend: BackendOverhead) -> Iterator[Table]:
    """The tables of a back-end that have a row: projected, by structure, after pages are freed."""
    found = [
        *projected(report, backend),
        *map(_structures, backend.sides.values()),
        _freed(backend),
    ]
    yield from (trimmed(table) for table in found if table.rows)


def details(backend: BackendOverhead) -> Iterator[Table]:
    """What stands behind them: the part before the first page, each mark, the stand-in."""
    for make in (_static, _levels, _methods):
        for side in backend.sides.values():
            table = make(side)
            if table.rows:
                yield table


def projected(report: Overhead, backend: BackendOverhead) -> tuple[Table, Table]:
    """The claim's terms, and all metadata, of each kernel at each usage, and their difference."""
    size = format_size(report.projected)
    what = f"{size} in zswap without a swap area" if backend.kind == ALONE else f"{size} swap area"
    last = ("allocated", "measured", "95 % interval", "")
    heads = columns("used", "kernel", "claimed", "model", *last, names=2)
    terms, every = (tuple(_projected(backend, figures)) for figures in (_terms, _all))
    return (
        Table(f"{what}, the claim's terms, MiB", heads, terms),
        Table(f"{what}, all metadata, MiB", (*heads[:2], *heads[4:]), every),
    )


_Figures = tuple[tuple[float | None, ...], Value | None, str]
"""Bytes that are claimed or modelled, bytes as measured, and a flag."""


def _terms(cell: ArmUsage) -> _Figures | None:
    if cell.claimed is None and cell.measured is None:
        return None
    return (cell.claimed, cell.plain, cell.rounded), cell.measured, "!" if cell.outside else ""


def _all(cell: ArmUsage) -> _Figures:
    return (cell.rounded_all,), cell.measured_all, "?" if cell.unlike else ""


def _projected(
    backend: BackendOverhead, figures: Callable[[ArmUsage], _Figures | None]
) -> Iterator[tuple[str, ...]]:
    for row in backend.rows:
        used = f"{row.usage:g}%"
        cells = {arm: found for arm, cell in row.cells.items() if (found := figures(cell))}
        for arm, (modelled, measured, flag) in cells.items():
            value = measured.value if measured else None
            yield used, arm, *map(mib, modelled), mib(value), span(measured), flag
        if len(cells) == 2:
            (before, old, _), (after, new, _) = cells.values()
            yield used, "change", *map(_change, before, after), *_difference(backend, old, new), ""


def _difference(backend: BackendOverhead, *ends: Value | None) -> tuple[str, str]:
    """The measured difference of two kernels and its interval."""
    found = difference(backend, *ends)
    return gained(found.value if found else None), span(found)


def _change(old: float | None, new: float | None) -> str:
    return gained(None if old is None or new is None else new - old)


def _structures(side: KernelOverhead) -> Table:
    named = [*side.fits.items(), *([("all metadata", side.total)] if side.total else [])]
    heads = ("structure", "const", "B/slot", "s.e.", "B/entry", "s.e.", "worst", "")
    return Table(
        f"By structure, {side.kernel.arm}; const and worst in KiB, * does not follow a line",
        columns(*heads),
        tuple(
            (
                name, _kib(fit.const.value) if fit.has_const else "-",
                weight(fit.per_slot.value), weight(fit.per_slot.error),
                weight(fit.per_entry.value), weight(fit.per_entry.error),
                _kib(fit.worst), "" if fit.shape.kind == "line" else "*",
            )
            for name, fit in named
        ),
    )  # fmt: skip


def _freed(backend: BackendOverhead) -> Table:
    """What stays of the largest area when pages, and then the area, are gone."""
    rows = []
    every = [one for side in backend.sides.values() for one in side.levels]
    largest = max(every, key=lambda one: one.slots, default=None)
    for arm, side in backend.sides.items():
        for one in side.levels:
            if largest and one.stage in STAYS and one.label == largest.label:
                each = kept(side, one)
                rows.append(
                    (
                        STAYS[one.stage], arm, f"{one.pages:.0f}", mib(one.metadata),
                        "-" if one.stage == SWAPOFF else mib(one.metadata - empty(side, one)),
                        "-" if each is None else f"{each:.2f}",
                        one.largest if one.metadata > 0 else "",
                    )
                )  # fmt: skip
    heads = columns("after", "", "pages left", "metadata", "over empty", "B/page", names=2)
    return Table(
        f"What stays of {largest.label if largest else ''} after pages are freed, MiB",
        (*heads, Column("largest", name=True)),
        tuple(rows),
    )


def _static(side: KernelOverhead) -> Table:
    heads = ("structure", "area", "boots", "measured", "allocated", "deviation")
    return Table(
        f"Before the first page, {side.kernel.arm}: bytes a slot",
        columns(*heads, names=2),
        tuple(
            (
                one.structure, one.label, str(one.boots), weight(one.measured),
                weight(one.modelled), percent(one.deviation),
            )
            for one in side.static
        ),
    )  # fmt: skip


def _levels(side: KernelOverhead) -> Table:
    heads = ("area", "mark", "pages", "allocated", "measured", "residual", "%")
    return Table(
        f"All metadata as measured, {side.kernel.arm}, MiB; residual in % of measured",
        columns(*heads, names=2),
        tuple(
            (
                one.label, one.stage, f"{one.pages:.0f}", mib(one.modelled), mib(one.metadata),
                mib(one.residual), percent(one.residual_pct),
            )
            for one in side.levels
        ),
    )  # fmt: skip


def _methods(side: KernelOverhead) -> Table:
    return Table(
        f"allocinfo against the stand-in, {side.kernel.arm}, KiB, largest area filled",
        columns("structure", "allocinfo", "stand-in", "error"),
        tuple(
            (one.structure, _kib(one.allocinfo), _kib(one.standin), percent(one.error))
            for one in side.methods
        ),
    )


def _kib(value: float) -> str:
    text = f"{value / 1024:.1f}"
    return "0.0" if text == "-0.0" else text


_STRUCTURES = (
    "cell", "backend", "kind", "arm", "pair", "order", "mark", "slots", "pages", "structure",
    "structure_kind", "source", "bytes", "change", "standin", "modelled",
)  # fmt: skip


def structures(report: Overhead) -> str:
    """All structures of all snapshots, in bytes; `change` is since the boot's first mark.

    Beside the structures: "unnamed", and of the whole machine "(used)", "(explained)",
    "(residual)" and "(slack)".
    """
    return sheet(
        _STRUCTURES,
        (
            row
            for backend in report.backends
            for side in backend.sides.values()
            for boot in side.boots
            for one in boot.snapshots
            for row in _rows(boot, one, side.kernel.model, report.rules)
        ),
    )


def _rows(
    boot: Boot, one: Snapshot, model: MetadataModel | None, rules: Rules
) -> Iterator[tuple[object, ...]]:
    head = (
        boot.cell, boot.backend, boot.kind, boot.arm, boot.pair, one.order, one.label, boot.slots,
        one.pages,
    )  # fmt: skip
    source = "allocinfo" if boot.has_allocinfo else "standin"
    modelled = {}
    if model and one.stage in (SWAPON, FILLED, FRAGMENTED):
        modelled = dict(model.by_site(boot.kind, boot.slots, one.pages, touched=one.touched))
    names = [*rules.structures, UNNAMED]
    for name in names:
        ever = any(s.structures.get(name) or s.standin.get(name) for s in boot.snapshots)
        if ever or name in modelled:
            said = f"{modelled[name]:.10g}" if name in modelled else ""
            yield (
                *head, name, rules.kind(name), source, one.structures.get(name, 0),
                boot.change(one, name), one.standin.get(name, 0), said,
            )  # fmt: skip
    first = boot.snapshots[0]
    whole = (
        ("(used)", one.used, one.used - first.used),
        ("(explained)", one.explained, one.explained - first.explained),
        ("(residual)", "", boot.residual(one)),
        ("(slack)", one.slack, one.slack - first.slack),
    )
    for name, value, change in whole:
        yield (*head, name, "machine", "meminfo", value, change, "", "")

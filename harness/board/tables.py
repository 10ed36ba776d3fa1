# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the board's pages.  ``up`` leads from a page to the board's root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup, escape

from harness.board import drawing
from harness.board.record import BoardComparison, BoardKernel, Row
from harness.board.significance import Fences, summed
from harness.report.numbers import number, percent
from harness.report.table import Column, Table, columns
from harness.results import address
from harness.util.escape import harmless

_INTERVAL = "95 % interval"


def link(address: str, text: str) -> Markup:
    """A link; the text is escaped."""
    return Markup('<a href="{}">{}</a>').format(address, harmless(text))


def to_comparison(one: BoardComparison, up: str, text: str = "") -> Markup:
    """A link to a comparison, by its name if there is no other text."""
    return link(f"{up}comparison/{one.address}/", text or one.name)


def to_kernel(one: BoardKernel, up: str) -> Markup:
    """A link to the page of a kernel's series, or to its own."""
    place = f"series/{series_slug(one)}" if one.series else f"base/{one.address}"
    return link(f"{up}{place}/", one.label)


def series_slug(one: BoardKernel) -> str:
    """Of the page of a kernel's series."""
    return address.slug(one.series)


def to_cell(row: Row, up: str) -> Markup:
    """A link to the page of a row's cell."""
    return link(f"{up}cell/{row.address}/", row.cell)


def verdicts(one: BoardComparison) -> str:
    """How many of each, as "worse 2, equivalent 4"; lost boots before them."""
    lost = [f"{one.failed} of {one.boots} boots failed"] if one.failed else []
    return ", ".join([*lost, *(f"{kind} {count}" for kind, count in one.verdicts.items())])


def when(iso: str) -> str:
    """The moment to the minute, UTC, or a dash."""
    return f"{iso[:10]} {iso[11:16]}" if iso else "-"


def comparisons(found: Sequence[BoardComparison], up: str, known: Fences) -> Table:
    """A row for each comparison."""
    heads = columns("measured, UTC", "patched", "base", "verdicts", "beyond noise", "comparison",
                    names=6)  # fmt: skip
    return Table(
        "",
        heads,
        tuple(
            (
                when(one.ended), to_kernel(one.patch, up), to_kernel(one.base, up), verdicts(one),
                beyond(one, known), to_comparison(one, up),
            )
            for one in found
        ),
    )  # fmt: skip


def beyond(one: BoardComparison, known: Fences) -> str:
    """What the history of its cells makes of it."""
    made = summed(one.rows, known)
    if not made.word:
        return "-"
    if made.word == "none":
        return "nothing"
    counts = {"worse": made.worse, "better": made.better}
    said = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
    placed = ((row, known.get((row.address, row.metric))) for row in one.rows)
    is_high = any(fence and fence.is_high(row.change) for row, fence in placed)
    return f"{said}; {made.size}{'' if is_high else ', lower bar only'}"


def of_comparison(one: BoardComparison, up: str, known: Fences) -> Table:
    """Its primary metrics."""
    span = drawing.scale([end for row in one.rows for end in (row.low, row.high, row.change)])
    heads = (
        *columns("cell", "metric", "verdict", names=3), Column("change"), *_drawn(span),
        *columns(_INTERVAL, "n", "noise bar", "base", "patch", names=0), Column("unit", name=True),
        Column("A/A CV", unit="%"),
    )  # fmt: skip
    rows = tuple(
        (
            to_cell(row, up), row.metric, row.verdict, change(row), _figure(row, span),
            interval(row), str(row.n), bar(row, known), number(row.base), number(row.patch),
            row.unit, percent(row.aa_cv, sign=False),
        )
        for row in one.rows
    )  # fmt: skip
    return Table("", heads, rows)


def of_cell(found: Sequence[tuple[BoardComparison, Row]], up: str) -> Table:
    """A cell's primary metric in each comparison."""
    span = drawing.scale([end for _, row in found for end in (row.low, row.high, row.change)])
    heads = [
        *columns("measured, UTC", "patched", "metric", "verdict", names=4), Column("change"),
        *_drawn(span), *columns(_INTERVAL, "n", "base's", "patched's", names=0),
        *columns("base", "method", "comparison", names=3),
    ]  # fmt: skip
    rows = tuple(
        (
            when(one.ended), to_kernel(one.patch, up), row.metric, row.verdict, change(row),
            _figure(row, span), interval(row), str(row.n), number(row.base), number(row.patch),
            to_kernel(one.base, up), one.method, to_comparison(one, up),
        )
        for one, row in found
    )  # fmt: skip
    return Table("", tuple(heads), rows)


def of_series(found: Sequence[tuple[BoardComparison, Row]], up: str, known: Fences) -> Table:
    """The newest figure of each revision, arm, base, cell and metric."""
    span = drawing.scale([end for _, row in found for end in (row.low, row.high, row.change)])
    heads = [
        *columns("revision", "arm", "cell", "metric", "verdict", names=5), Column("change"),
        *_drawn(span), *columns(_INTERVAL, "n", "noise bar", names=0),
        *columns("base", "comparison", names=2),
    ]  # fmt: skip
    rows = tuple(
        (
            one.patch.revision or "-", one.patch.switch or "-", to_cell(row, up), row.metric,
            row.verdict, change(row), _figure(row, span), interval(row), str(row.n),
            bar(row, known), to_kernel(one.base, up), to_comparison(one, up),
        )
        for one, row in found
    )  # fmt: skip
    return Table("", tuple(heads), rows)


def functions(one: BoardComparison, title: str = "") -> Table:
    """Where the change is: the functions that changed most."""
    heads = (
        *columns("cell", "metric", "function", "file", "part", names=5),
        *columns("base", "patch", "change", "unit", names=0),
    )
    return Table(
        title,
        heads,
        tuple(
            (f.cell, f.metric, f.function, f.file or "-", f.part, number(_float(f.base)),
             number(_float(f.patch)), f"{f.change:+.1f}", f.unit)
            for f in one.why
        ),
    )  # fmt: skip


def _float(text: str) -> float | None:
    return float(text) if text else None


def change(row: Row) -> str:
    """In per cent, with its sign."""
    return f"{percent(row.change)}%" if row.change is not None else "-"


def interval(row: Row) -> str:
    """Of the change."""
    if row.low is None or row.high is None:
        return "-"
    return f"[{percent(row.low)}, {percent(row.high)}]"


def bar(row: Row, known: Fences) -> str:
    """The lower bar of the row's cell, and how far beyond it the change is."""
    fence = known.get((row.address, row.metric))
    if fence is None:
        return "-"
    size = fence.size(row.change) if row.verdict in ("worse", "better") else ""
    return f"{percent(fence.low, sign=False)}%{': ' + size if size else ''}"


def _drawn(span: float) -> tuple[Column, ...]:
    return (replace(Column(f"\N{PLUS-MINUS SIGN}{span:.3g}%"), name=True),)


def _figure(row: Row, span: float) -> Markup:
    return drawing.interval(row.change, row.low, row.high, str(escape(row.verdict)), span)

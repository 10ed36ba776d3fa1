# SPDX-License-Identifier: GPL-2.0-only
"""One table for every report: rows of text, rendered as text, Markdown, HTML or CSV.

A cell is text that is ready to print: `harness.report.numbers` gives numbers their digits.  A table
knows how its columns are aligned and which of them may be cut or put on a line of its own.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from harness.report.layout import WIDTH, wrap
from harness.util.escape import harmless, visible

_LEAST = 8
"""Characters of a name that are kept when a line would be too long."""
_PIECE = 5000
"""Rows of CSV that are written at once."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, its unit ("" for none), and whether it holds names or numbers.

    strong: its cells stand out where the output can show it
    """

    head: str
    unit: str = ""
    name: bool = False
    strong: bool = False

    @property
    def title(self) -> str:
        """Head and unit as one text."""
        return f"{self.head}, {self.unit}" if self.unit else self.head


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns, rows of text, and notes below.

    rows: one text a column; a cell of "" is empty. A row with nothing but its first cell is a
    heading of the rows below it; see `heading_row`
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row)} cells for {len(self.columns)} columns")


def columns(*heads: str, names: int = 1) -> tuple[Column, ...]:
    """Columns by their heads: the first ``names`` of them hold names, the others numbers."""
    return tuple(Column(head, name=place < names) for place, head in enumerate(heads))


def trimmed(table: Table) -> Table:
    """The table without the columns that are empty in every row."""
    kept = [place for place in range(len(table.columns)) if any(row[place] for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
    )


def heading_row(said: str, count: int) -> tuple[str, ...]:
    """A row of ``count`` cells that is the heading of the rows below it."""
    return (said, *[""] * (count - 1))


def _is_heading(row: Sequence[str]) -> bool:
    return len(row) > 1 and not any(row[1:])


def text(
    table: Table,
    *,
    width: int = WIDTH,
    title: bool = True,
    filler: str = "",
    indent: str = "  ",
) -> list[str]:
    """ASCII lines of at most ``width`` columns: title, heads, a rule, rows, notes.

    Columns are as wide as their widest cell, one blank between.  Where a line would be longer, the
    first column's cell gets a line of its own, with ``filler`` in its place below; then names are
    cut and end with "~"; numbers never are: where they alone are too wide, each row is a list of
    heads and cells.  ``indent`` stands before notes.
    """
    if not table.rows:
        return []
    heads = tuple(visible(column.title) for column in table.columns)
    rows = [tuple(visible(cell) for cell in row) for row in table.rows]
    sizes = _sizes(table, [heads, *(row for row in rows if not _is_heading(row))], width, filler)
    lines = wrap(table.title, width=width) if title and table.title else []
    fits = _total(sizes) <= width
    if fits:
        lines += [_line(table, heads, sizes), "-" * _total(sizes)]
    for row in rows:
        if _is_heading(row):
            lines += wrap(row[0], width=width)
        elif not fits:
            cells = "; ".join(f"{head} {cell}" for head, cell in zip(heads, row, strict=True))
            lines += wrap(cells, rest=f"{filler} " if filler else "", width=width)
        elif len(row[0]) > sizes[0]:
            lines += wrap(row[0], width=width)
            lines.append(_line(table, (filler, *row[1:]), sizes))
        else:
            lines.append(_line(table, row, sizes))
    return lines + [line for note in table.notes for line in wrap(note, indent, width=width)]


def _sizes(table: Table, rows: Sequence[Sequence[str]], width: int, filler: str) -> list[int]:
    """The width of each column; their sum is larger than ``width`` only where numbers are."""
    sizes = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    if _total(sizes) > width and table.columns[0].name:
        least = max(len(rows[0][0]), len(filler))
        sizes[0] = max(least, sizes[0] - (_total(sizes) - width))
    cut = [place for place, column in enumerate(table.columns) if column.name and place > 0]
    while _total(sizes) > width and cut:
        widest = max(cut, key=lambda place: sizes[place])
        if sizes[widest] <= _LEAST:
            break
        sizes[widest] -= 1
    return sizes


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(sizes) - 1


def _line(table: Table, row: Sequence[str], sizes: Sequence[int]) -> str:
    return " ".join(
        _cut(cell, size).ljust(size) if column.name else cell.rjust(size)
        for column, cell, size in zip(table.columns, row, sizes, strict=True)
    ).rstrip()


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else f"{cell[: size - 1]}~"


def markdown(table: Table) -> list[str]:
    """A table of GitHub's Markdown; the title and the notes are the caller's to place."""
    marks = [":--" if column.name else "--:" for column in table.columns]
    lines = [[marked(column.title) for column in table.columns], marks]
    for row in table.rows:
        first = f"**{marked(row[0])}**" if _is_heading(row) else marked(row[0])
        lines.append([first, *(marked(cell) for cell in row[1:])])
    return [f"| {' | '.join(line)} |" for line in lines]


def marked(said: str) -> str:
    """Text that is no mark-up of Markdown or HTML."""
    one_line = harmless(" ".join(said.split()))
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in one_line)


def page(table: Table, links: Mapping[str, str] | None = None) -> str:
    """An HTML table element: title as caption, notes as paragraphs behind it.

    links: by the text of a cell, the address that it leads to. A cell that is `Markup` already
    stays as it is, everything else is escaped.
    """
    heads = "".join(
        Markup('<th scope="col"{}>{}</th>').format(_kind(column), _html(column.title))
        if column.title.strip()
        else Markup("<td></td>")  # a head without words is none
        for column in table.columns
    )
    body = "".join(f"<tr>{_cells(table, row, links or {})}</tr>\n" for row in table.rows)
    caption = Markup("<caption>{}</caption>").format(_html(table.title)) if table.title else ""
    notes = "".join(Markup('<p class="soft">{}</p>\n').format(_html(one)) for one in table.notes)
    return (
        f"<table>{caption}<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table>\n{notes}"
    )


def region(table: Table, links: Mapping[str, str] | None = None, *, within: str = "") -> Markup:
    """`page` in a box that scrolls where the window is narrower; "" for a table without rows.

    ``within`` is the part of the page: two boxes of a page may not be called the same.
    """
    if not table.rows:
        return Markup()
    called = table.title or ", ".join(column.head for column in table.columns)
    label = _html(f"{within}: {called}" if within else called)
    box = Markup('<div class="scroll" tabindex="0" role="region" aria-label="{}">').format(label)
    return Markup(f"{box}\n{page(table, links)}</div>\n")


def _cells(table: Table, row: Sequence[str], links: Mapping[str, str]) -> str:
    if _is_heading(row):
        group = Markup('<th scope="colgroup" colspan="{}">{}</th>')
        return group.format(len(row), _html(row[0]))
    head = Markup('<th scope="row">{}</th>') if row[0].strip() else Markup("<td>{}</td>")
    cells = [head.format(_linked(row[0], links))]
    for column, cell in zip(table.columns[1:], row[1:], strict=True):
        form = "<td{}><b>{}</b></td>" if column.strong else "<td{}>{}</td>"
        cells.append(Markup(form).format(_kind(column), _linked(cell, links)))
    return "".join(cells)


def _kind(column: Column) -> Markup:
    return Markup(' class="name"' if column.name else "")


def _linked(cell: str, links: Mapping[str, str]) -> Markup:
    if cell not in links:
        return _html(cell)
    return Markup('<a href="{}">{}</a>').format(links[cell], _html(cell))


def _html(said: str) -> Markup:
    return said if isinstance(said, Markup) else escape(harmless(said))


def values(table: Table) -> str:
    """CSV: heads, then rows, as they are printed."""
    return sheet([column.title for column in table.columns], table.rows)


def sheet(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV of plain values, which need not be what is printed; None is empty."""
    return "".join(pieces(heads, rows))


def plain(value: object) -> str:
    """For `sheet`: ten digits are more than any of the numbers has; absent is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def pieces(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """As `sheet`, in pieces of some thousand rows, for a table that is too large to hold."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for number, row in enumerate(rows, 1):
        writer.writerow([_whole(cell) for cell in row])
        if number % _PIECE == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _whole(cell: object) -> object:
    """A carriage return is not quoted by the writer, and is a line's end to a reader."""
    return harmless(cell) if isinstance(cell, str) and "\r" in cell else cell

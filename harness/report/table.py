# SPDX-License-Identifier: GPL-2.0-only
"""One table for every report: rows of text, rendered as text, Markdown, HTML or CSV.

A cell is text that is ready to print: `harness.report.numbers` gives numbers their digits.  A table
knows how its columns are aligned and which of them may be cut or put on a line of its own.
"""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.report.layout import WIDTH, wrap
from harness.util.escape import harmless, visible

_LEAST = 8
"""Characters of a name that are kept when a line would be too long."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, its unit ("" for none), and whether it holds names or numbers."""

    head: str
    unit: str = ""
    name: bool = False

    @property
    def title(self) -> str:
        """Head and unit as one text."""
        return f"{self.head}, {self.unit}" if self.unit else self.head


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns, rows of text, and notes below.

    rows: one text a column; a cell of "" is empty.
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


def text(table: Table, *, width: int = WIDTH, title: bool = True) -> list[str]:
    """ASCII lines of at most ``width`` columns: title, heads, a rule, rows, notes.

    Columns are as wide as their widest cell, one blank between.  Where a line would be longer, the
    first column's cell gets a line of its own; then names are cut; numbers never are.
    """
    if not table.rows:
        return []
    whole = [tuple(column.title for column in table.columns), *table.rows]
    whole = [tuple(visible(cell) for cell in row) for row in whole]
    sizes = [max(len(row[place]) for row in whole) for place in range(len(table.columns))]
    spare = width - (sum(sizes) + len(sizes) - 1)
    if spare < 0 and table.columns[0].name:
        rest = sum(sizes[1:]) + len(sizes) - 1
        sizes[0] = max(len(whole[0][0]), min(sizes[0], width - rest), 1)
    cut = [place for place, column in enumerate(table.columns) if column.name and place > 0]
    while sum(sizes) + len(sizes) - 1 > width and cut:
        widest = max(cut, key=lambda place: sizes[place])
        if sizes[widest] <= _LEAST:
            break
        sizes[widest] -= 1
    lines = wrap(table.title, width=width) if title and table.title else []
    heads, *rows = whole
    lines += [_line(table, heads, sizes), "-" * min(width, sum(sizes) + len(sizes) - 1)]
    for row in rows:
        if len(row[0]) > sizes[0]:
            lines += textwrap.wrap(row[0], width, break_on_hyphens=False)
            lines.append(_line(table, ("", *row[1:]), sizes))
        else:
            lines.append(_line(table, row, sizes))
    return lines + [line for note in table.notes for line in wrap(note, "  ", width=width)]


def _line(table: Table, row: Sequence[str], sizes: Sequence[int]) -> str:
    return " ".join(
        cell[:size].ljust(size) if column.name else cell.rjust(size)
        for column, cell, size in zip(table.columns, row, sizes, strict=True)
    ).rstrip()


def markdown(table: Table) -> list[str]:
    """A table of GitHub's Markdown; the title and the notes are the caller's to place."""
    marks = [":--" if column.name else "--:" for column in table.columns]
    lines = [[marked(column.title) for column in table.columns], marks]
    lines += [[marked(cell) for cell in row] for row in table.rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def marked(said: str) -> str:
    """Text that is no mark-up of Markdown or HTML."""
    one_line = harmless(" ".join(said.split()))
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in one_line)


def page(table: Table, links: Mapping[str, str] | None = None) -> str:
    """An HTML table element: title as caption, notes as paragraphs behind it.

    links: by the text of a cell, the address that it leads to
    """
    found = links or {}

    def shown(cell: str) -> str:
        said = html.escape(harmless(cell))
        return f'<a href="{html.escape(found[cell])}">{said}</a>' if cell in found else said

    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{'' if column.name else ' class=n'}>{shown(cell)}</{tag}>"
            for column, cell in zip(table.columns, cells, strict=True)
        )

    heads = row([column.title for column in table.columns], "th")
    body = "".join(f"<tr>{row(cells, 'td')}</tr>\n" for cells in table.rows)
    caption = f"<caption>{html.escape(harmless(table.title))}</caption>" if table.title else ""
    notes = "".join(f"<p>{html.escape(harmless(note))}</p>\n" for note in table.notes)
    return (
        f"<table>{caption}<thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table>\n{notes}"
    )


def region(table: Table, links: Mapping[str, str] | None = None) -> str:
    """`page` in a box that scrolls where the window is narrower; "" for a table without rows."""
    if not table.rows:
        return ""
    name = html.escape(harmless(table.title))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">\n'
        f"{page(table, links)}</div>\n"
    )


def values(table: Table) -> str:
    """CSV: heads, then rows, as they are printed."""
    return sheet([column.title for column in table.columns], table.rows)


def sheet(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV of plain values, which need not be what is printed; None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()

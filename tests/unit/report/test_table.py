# SPDX-License-Identifier: GPL-2.0-only
"""One table in each rendering: nothing is lost, nothing is too wide, nothing is mark-up."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup

from harness.report import table
from harness.report.table import Column, Table, columns, heading_row
from harness.util.escape import harmless

HARD = "<b>&\"'|*_`[x](y)\\ # \x1b[31m\u202e\u00e9"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.6g}")
NAMES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=90)
TEXTS = st.text(max_size=20)


@st.composite
def tables(draw: st.DrawFn, cells: st.SearchStrategy[str] = NUMBERS) -> Table:
    """Names and numbers in up to 16 columns; some are too wide for any line."""
    names, numbers = draw(st.integers(1, 3)), draw(st.integers(1, 13))
    heads = columns(*(f"h{place}" for place in range(names + numbers)), names=names)
    row = st.tuples(*[NAMES] * names, *[cells] * numbers)
    return Table("title", heads, tuple(draw(st.lists(row, min_size=1, max_size=6))))


@given(tables(), st.sampled_from(["", "|"]))
def test_no_line_is_too_long_and_no_number_is_cut(made: Table, filler: str) -> None:
    lines = table.text(made, filler=filler)
    assert max(map(len, lines)) <= 72
    words = " ".join(lines).replace(";", " ").split()
    for column, *cells in zip(made.columns, *made.rows, strict=True):
        assert column.name or all(cell in words for cell in cells)


@given(tables(TEXTS))
def test_text_is_ascii_that_steers_no_terminal(made: Table) -> None:
    for line in table.text(made):
        assert line.isascii() and line.isprintable() and line == line.rstrip()


@given(tables())
def test_a_narrow_table_is_aligned_to_the_letter(made: Table) -> None:
    narrow = Table("", made.columns[:4], tuple(tuple(c[:14] for c in r[:4]) for r in made.rows))
    heads, rule, *rows = table.text(narrow)
    assert len(rows) == len(narrow.rows) and set(rule) == {"-"}
    ends = [match.end() for match in re.finditer(r"\S+", heads)]
    for place, column in enumerate(narrow.columns):
        if not column.name:
            assert all(row[: ends[place]].endswith(c[place]) for row, c in zip(
                rows, narrow.rows, strict=True))  # fmt: skip


def test_a_label_that_does_not_fit_stands_above_its_numbers() -> None:
    heads = columns("cell", *"abcdefg")
    numbers = ("1234567.89",) * 7
    made = Table("", heads, (("a-name-with-twenty-two", *numbers), ("x", *numbers)))
    lines = table.text(made, width=84, filler="|")
    assert lines[2] == "a-name-with-twenty-two"
    assert lines[3].startswith("| ") and lines[3].split()[1:] == list(numbers)
    assert lines[4].startswith("x ")
    assert len(lines[3]) == len(lines[4]) == 84


def test_a_heading_spans_its_table_and_widens_no_column() -> None:
    long = "a heading that is much longer than any cell of the table below it"
    made = Table("", columns("a", "b"), (heading_row(long, 2), ("x", "1"), ("y", "22")))
    assert table.text(made) == ["a  b", "----", long, "x  1", "y 22"]
    assert table.markdown(made)[2] == f"| **{long}** |  |"
    assert f'<th scope="colgroup" colspan="2">{long}</th>' in table.page(made)


def test_a_table_of_one_column_has_no_headings() -> None:
    assert table.text(Table("", columns("a"), (("x",), ("yy",)))) == ["a", "--", "x", "yy"]


def test_title_and_notes_are_wrapped_and_a_table_without_rows_is_nothing() -> None:
    made = Table("title " * 20, columns("a", "b"), (("x", "1"),), ("note " * 20,))
    lines = table.text(made)
    assert lines[0].startswith("title") and lines[-1].startswith("  note")
    assert max(map(len, lines)) <= 72
    assert table.text(made, title=False)[0] == "a b"
    assert table.text(made, indent="")[-1].startswith("note")
    assert table.text(Table("title", columns("a"), ())) == []


@given(tables(TEXTS))
@example(Table("", columns("a", "b"), ((HARD, 'q"\n,'),)))
def test_csv_reads_back(made: Table) -> None:
    heads, *rows = csv.reader(io.StringIO(table.values(made), newline=""))
    assert heads == [column.title for column in made.columns]
    for row, cells in zip(rows, made.rows, strict=True):
        # A carriage return would be a line's end to some readers: with it a cell is escaped.
        assert row == [harmless(cell) if "\r" in cell else cell for cell in cells]


def test_csv_of_many_rows_comes_in_pieces() -> None:
    rows = [(str(number), "x") for number in range(12_000)]
    pieces = list(table.pieces(("a", "b"), rows))
    assert len(pieces) == 3
    assert [tuple(row) for row in csv.reader(io.StringIO("".join(pieces)))][1:] == rows


def test_markdown_has_no_mark_up_of_a_cell() -> None:
    made = Table("", columns("a|b", "n"), ((HARD, "1"), ("two\nlines", "2")))
    heads, marks, hard, lines = table.markdown(made)
    assert heads == r"| a\|b | n |" and marks == "| :-- | --: |"
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in (heads, hard, lines)] == [3, 3, 3]
    assert not re.search(r"(?<!\\)[*_`\[<>#]", hard) and "\x1b" not in hard and "\u202e" not in hard
    assert lines == "| two lines | 2 |"


class _Cells(HTMLParser):
    """The texts of the cells, as a browser has them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells and data != "\n":
            self.cells[-1] += data


def test_html_has_no_mark_up_of_a_cell() -> None:
    made = Table(HARD, (Column("a"), Column(HARD, "s")), (("x", HARD),), (HARD,))
    parser = _Cells()
    parser.feed(table.page(made))
    assert set(parser.tags) <= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    shown = HARD.replace("\x1b", "\\x1b").replace("\u202e", "\\x202e")
    assert parser.cells == ["a", f"{shown}, s", "x", f"{shown}{shown}"], "the last has the note"


def test_html_marks_heads_names_and_what_is_strong() -> None:
    heads = (Column("a", name=True), Column("b", name=True), Column("verdict", strong=True))
    html = table.page(Table("", heads, (("x", "y", "worse"),)))
    assert '<th scope="row">x</th><td class="name">y</td><td><b>worse</b></td>' in html
    assert html.count('scope="col"') == 3 and "<caption>" not in html
    link = Markup('<a href="x">y</a>')
    assert f"<td>{link}</td>" in table.page(Table("", columns("a", "b"), (("x", link),)))


def test_rows_have_as_many_cells_as_columns() -> None:
    with pytest.raises(ValueError, match="3 cells for 2 columns"):
        Table("t", columns("a", "b"), (("1", "2", "3"),))


def test_a_unit_stands_with_its_head() -> None:
    assert table.text(Table("", (Column("time", "s"),), (("1.5",),)))[0] == "time, s"


def test_a_head_without_words_is_none() -> None:
    made = Table("", columns("", "change"), (("zram", "1"), ("", "2")))
    html = table.page(made)
    assert "<thead><tr><td></td><th" in html
    assert '<th scope="row">zram</th><td>1</td>' in html
    assert "<tr><td></td><td>2</td></tr>" in html
    assert not re.search(r"<th[^>]*>\s*</th>", html)

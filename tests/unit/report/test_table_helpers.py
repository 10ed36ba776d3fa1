# SPDX-License-Identifier: GPL-2.0-only
"""One table as text, page and CSV: numbers are whole, names may be cut, nothing is mark-up."""

from __future__ import annotations

import pytest

from harness.report import table
from harness.report.table import Table, columns


def test_a_narrow_table_loses_letters_and_no_digit() -> None:
    rows = (("1", "7654321", "a_very_long_name_of_a_structure"), ("2", "1234567", "b"))
    heads = (*columns("nr", "bytes", names=0), *columns("structure"))
    lines = table.text(Table("t", heads, rows), width=30)
    assert max(map(len, lines)) <= 30
    assert "7654321 a_very" in lines[3] and "structure" not in lines[3] and "1234567" in lines[4]


def test_a_long_first_name_gets_a_line_of_its_own() -> None:
    rows = (("a_very_long_name_of_a_structure", "1234567"), ("b", "7654321"))
    lines = table.text(Table("t", columns("name", "bytes"), rows), width=24)
    assert "a_very_long_name_of_a_structure"[:20] in "".join(lines)
    assert max(map(len, lines[-1:])) <= 24
    assert lines[-2].strip() == "1234567" and lines[-1].split() == ["b", "7654321"]


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="t: 1 cells for 2 columns"):
        Table("t", columns("a", "b"), (("1",),))


def test_empty_columns_go() -> None:
    full = Table("t", columns("a", "b", "", names=1), (("x", "", "1"), ("y", "", "")), ("note",))
    found = table.trimmed(full)
    assert [column.head for column in found.columns] == ["a", ""]
    assert found.rows == (("x", "1"), ("y", "")) and found.notes == ("note",)


def test_a_page_escapes_cells_and_addresses() -> None:
    one = Table("<t>", columns("name", "n"), (("<b>", "1"), ("c", "2")), ("<i>",))
    page = table.region(one, {"<b>": '../"x"/report.html'})
    assert '<a href="../&#34;x&#34;/report.html">&lt;b&gt;</a>' in page
    assert '<th scope="row">c</th><td>2</td>' in page
    assert '<div class="scroll" tabindex="0" role="region" aria-label="&lt;t&gt;">' in page
    assert "<b>" not in page and "<i>" not in page and "<t>" not in page
    assert table.region(Table("t", columns("name"), ())) == ""


def test_values_are_csv() -> None:
    assert table.values(Table("t", columns("a, b", "c"), (('"', "1"),))) == '"a, b",c\n"""",1\n'
    assert table.sheet(("a", "b"), [(None, 1.5)]) == "a,b\n,1.5\n"

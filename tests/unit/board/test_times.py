# SPDX-License-Identifier: GPL-2.0-only
"""Published times, and predictions held against them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.board import times
from harness.board.times import PublishedRow, Time
from harness.studies.overhead import claim
from harness.util.errors import UserError


def test_the_table_of_vswap_v6() -> None:
    table = times.load("vswap-v6")
    assert table.revisions == ("vswap-v5", "vswap-v6") and table.base == "v6.19"
    rows = {(row.workload, row.measure): row for row in table.lines}
    # As the publication rounds them.
    told = {
        ("memhog", "real"): ("+3.1", "+0.2"), ("memhog", "sys"): ("+4.8", "+0.4"),
        ("usemem-1", "real"): ("+3.2", "+0.0"), ("usemem-1", "sys"): ("+4.7", "+0.3"),
        ("usemem-1", "free"): ("+14.6", "+0.6"), ("usemem-52", "real"): ("+22.4", "-1.1"),
        ("usemem-52", "sys"): ("+29.1", "-1.4"), ("usemem-52", "free"): ("-9.6", "-2.4"),
        ("kernel-build", "real"): ("+0.1", "+0.0"), ("kernel-build", "sys"): ("-0.5", "-0.6"),
    }  # fmt: skip
    assert {
        key: tuple(f"{row.change_pct(i):+.1f}" for i in range(2)) for key, row in rows.items()
    } == told
    # What the spreads do not make.
    sides = {
        key: (row.side(0), row.side(1))
        for key, row in rows.items()
        if any((row.side(0), row.side(1)))
    }
    assert sides == {
        ("memhog", "sys"): (1, 0), ("usemem-1", "sys"): (1, 0), ("usemem-1", "free"): (1, 0),
        ("usemem-52", "real"): (1, 0), ("usemem-52", "sys"): (1, 0), ("usemem-52", "free"): (-1, 0),
    }  # fmt: skip
    # The tables of memory overhead are read from the folder above, and do not see it.
    assert "vswap-v6" not in claim.names()


ROW = PublishedRow("w", "sys", "s", Time(100, 1), (Time(110, 1), Time(100.5, 1), Time(95, 1)))


def test_a_prediction_is_held_against_it() -> None:
    assert [ROW.side(i) for i in range(3)] == [1, 0, -1]
    right = times.forecast(ROW, (8, 0.3, -4), 1)
    assert right.signs == (3, 3) and right.orders == (3, 3)
    # The first on the wrong side, and after the last.
    wrong = times.forecast(ROW, (-9, 0.3, -4), 1)
    assert wrong.signs == (2, 3) and wrong.orders == (1, 3)
    # What is not told apart has no order.
    close = PublishedRow("w", "sys", "s", Time(100, 1), (Time(101, 1), Time(101.5, 1)))
    assert times.forecast(close, (5, 3), 1).orders == (0, 0)


def test_rows_without_a_prediction_are_left_out() -> None:
    table = times.load("vswap-v6")
    (one,) = times.against(table, {("usemem-1", "free"): (5.5, 1.5)}, 2)
    assert one.row.measure == "free" and one.signs == (2, 2) and one.orders == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[80.50, 1.90], ", "", "has 1 revisions"),
        ("[80.50, 1.90]", "80.50", "mean and a spread"),
        ("[80.50, 1.90]", "[0, 1.90]", "above zero"),
        ("[memhog, real, s, [80.50, 1.90], [83.00, 1.80], [80.64, 1.72]]", "memhog", "a list"),
        ("base: v6.19", "bases: v6.19", "base"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (times.TIMES / "vswap-v6.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "t.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        times.load("t", tmp_path)

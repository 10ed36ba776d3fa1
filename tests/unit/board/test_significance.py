# SPDX-License-Identifier: GPL-2.0-only
"""The bars that a cell's own history gives, and what mixed results come to."""

from __future__ import annotations

import dataclasses

import pytest

from harness.board import significance
from harness.board.record import BoardComparison, BoardKernel, Row
from harness.board.significance import summed
from harness.stats.fence import Fence

KERNEL = BoardKernel("k", "v6.1", "6.1.0", "t", "6.1.0-t")
ROW = Row("zram.pageio-1", "zram.pageio", "swapin", "insn/page", "lower", 6, 1.0, 1.0, 0.0, 0.0,
          0.0, "equivalent", "", 1.0, 0.1, 0.0, 0.1, 0.1)  # fmt: skip


def comparison(*rows: Row) -> BoardComparison:
    return BoardComparison("a", "a", "", "", "", "insn", "m", KERNEL, KERNEL, 6, 0, 18, rows)


def changed(change: float, verdict: str, cell: str = "zram.pageio-1") -> Row:
    return dataclasses.replace(ROW, change=change, verdict=verdict, address=cell)


def history(*changes: float) -> list[BoardComparison]:
    return [comparison(dataclasses.replace(ROW, aa_change=one)) for one in changes]


def test_the_bar_is_the_upper_fence_of_base_against_base() -> None:
    # Sizes 1 .. 9: Q1 = 3, Q3 = 7; signs do not count.
    found = significance.fences(history(-1, 2, -3, 4, 5, -6, 7, 8, 9))
    assert found == {("zram.pageio-1", "swapin"): Fence(13.0, 19.0, 9)}


def test_too_few_comparisons_give_no_bar() -> None:
    assert significance.fences(history(1, 2, 3, 4, 5)) == {}
    assert len(significance.fences(history(1, 2, 3, 4, 5, 6))) == 1


def test_equal_boots_give_a_bar_above_nothing() -> None:
    (fence,) = significance.fences(history(*[0.0] * 8)).values()
    assert (fence.low, fence.high) == (0.01, 0.01)


@pytest.mark.parametrize(
    ("change", "size"),
    [(1.0, ""), (-1.0, ""), (1.1, "small"), (-3.5, "medium"), (30.5, "large"), (None, "")],
)
def test_the_size_is_how_far_beyond_the_bar(change: float | None, size: str) -> None:
    assert Fence(1.0, 2.0, 9).size(change) == size


def test_the_higher_bar_is_higher() -> None:
    fence = Fence(1.0, 2.0, 9)
    assert not fence.is_high(1.5)
    assert fence.is_high(-2.5)


def test_mixed_results_are_counted_apart() -> None:
    known = {(cell, "swapin"): Fence(1.0, 2.0, 9) for cell in "abc"}
    rows = [changed(5, "worse", "a"), changed(-2, "better", "b"), changed(5, "equivalent", "c")]
    assert summed(rows, known) == significance.Summed("mixed", 1, 1, 3, "medium")
    assert summed(rows[:1], known).word == "worse"
    assert summed([changed(0.5, "worse", "a")], known).word == "none"
    assert summed([changed(50, "worse", "unknown")], known).word == ""

# SPDX-License-Identifier: GPL-2.0-only
"""Which changes of the board's comparisons are relevant: docs/board.md's rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.board.record import BoardComparison, Row
from harness.stats.fence import SIZES, Fence, fence

Fences = Mapping[tuple[str, str], Fence]


def fences(comparisons: Iterable[BoardComparison]) -> dict[tuple[str, str], Fence]:
    """By (cell's address, metric), of those with enough history."""
    seen: dict[tuple[str, str], list[float]] = {}
    for one in comparisons:
        for row in one.rows:
            if row.aa_change is not None:
                seen.setdefault((row.address, row.metric), []).append(row.aa_change)
    made = {key: fence(changes) for key, changes in seen.items()}
    return {key: one for key, one in made.items() if one}


@dataclass(frozen=True, slots=True)
class Summed:
    """A comparison's relevant changes: how many are worse and better, and of what history knows.

    word: "worse", "better", "mixed", "none" where nothing is relevant, "" where no cell has a fence
    """

    word: str
    worse: int
    better: int
    known: int
    size: str


def summed(rows: Sequence[Row], known: Fences) -> Summed:
    """Mixed results: worse and better are counted apart and never taken off each other.

    The size is that of the largest.  A verdict of equivalent is not relevant, however quiet its
    cell is: the margin is what its workload declares to matter.
    """
    found = [(row, known[row.address, row.metric]) for row in rows
             if (row.address, row.metric) in known]  # fmt: skip
    sizes = [
        (row.verdict, fence.size(row.change)) for row, fence in found
        if row.verdict in ("worse", "better") and fence.size(row.change)
    ]  # fmt: skip
    worse = sum(verdict == "worse" for verdict, _ in sizes)
    better = len(sizes) - worse
    word = "mixed" if worse and better else "worse" if worse else "better" if better else "none"
    order = [size for _, size in SIZES]
    largest = min((size for _, size in sizes), key=order.index, default="")
    return Summed(word if found else "", worse, better, len(found), largest)

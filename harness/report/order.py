# SPDX-License-Identifier: GPL-2.0-only
"""Per-pair differences in the order of run: drift, jumps and single odd pairs would show."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.report.canvas import COLOURS, INK, MARKERS, Plot, figure, plot
from harness.report.model import Estimate, Report
from harness.report.numbers import fine

_MOST_TICKS = 12
_AA = (
    "; open circles: control against base. A slope or step of both is drift. Both are divided by "
    "the same base boot: where they move together, that boot moved."
)
_ALONE = ". A slope or step is drift."


def draw(report: Report) -> Iterator[Plot]:
    """A figure for each primary metric of a cell that has two pairs or more."""
    turns: dict[str, dict[int, int]] = {}
    for block in report.blocks:
        mine = turns.setdefault(block.cell, {})
        mine.setdefault(block.pair, len(mine) + 1)
    for row in report.primary:
        yield from _order(row, turns.get(row.cell, {}))


def _order(row: Estimate, turn: dict[int, int]) -> Iterator[Plot]:
    changes = sorted((turn[pair], value, pair) for pair, value in row.changes if pair in turn)
    if len(changes) < 2:
        return
    canvas, axes = figure(2.5)
    axes.axhline(0, color=INK, linewidth=0.8)
    again = sorted((turn[pair], value) for pair, value in row.again if pair in turn)
    if again:
        open_ = {"color": COLOURS["base"], "markerfacecolor": "none", "linewidth": 0.8}
        axes.plot(
            *zip(*again, strict=True), f":{MARKERS['base']}", markersize=5, label="A/A", **open_
        )
    places, values, pairs = zip(*changes, strict=True)
    style = {"color": COLOURS["patch"], "linewidth": 0.8, "markersize": 5}
    axes.plot(places, values, f"-{MARKERS['patch']}", label="change", **style)
    step = math.ceil(len(places) / _MOST_TICKS)
    axes.set_xticks(places[::step], [str(pair) for pair in pairs[::step]])
    axes.set_xlabel("pair, in the order of run")
    axes.set_ylabel("change, %")
    axes.set_title(f"{row.name} of {row.cell}", loc="left")
    axes.margins(y=0.15)
    axes.legend(loc="best", ncols=2)
    said = f"from {fine(min(values), sign=True)} to {fine(max(values), sign=True)} %"
    if again:
        ends = [value for _, value in again]
        said += (
            f"; control against base from {fine(min(ends), sign=True)} to "
            f"{fine(max(ends), sign=True)} %"
        )
    yield plot(
        canvas,
        f"order-{row.cell}",
        "order",
        (
            f"Pairs in the order of run, {row.cell}",
            f"Change of {row.name} in each of {len(values)} pairs of {row.cell}: {said}.",
            f"Squares: patch against base in each pair{_AA if again else _ALONE}",
        ),
    )

# SPDX-License-Identifier: GPL-2.0-only
"""Published figures against our nearest: agree, differs, or cannot be told here, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.board import published, tables
from harness.board.pages import Board, Placed
from harness.board.published import MEMORY, PublishedChange, PublishedChanges
from harness.board.record import BoardComparison, Row
from harness.report.numbers import percent
from harness.report.table import Table, columns
from harness.results import manifest
from harness.studies.overhead import analysis, claim
from harness.util.errors import UserError

AGREE, DIFFERS, UNTOLD = "agree", "differs", "cannot be told here"
_MIB = 1 << 20
_ALIKE = 2.0
"""Memory of two machines is alike within this factor."""


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """One figure.  All but the links are texts ready to print."""

    what: str
    conditions: str
    claimed: str
    nearest: str
    measured: str
    verdict: str
    why: str
    comparison: BoardComparison | None = None


@dataclass(frozen=True, slots=True)
class JudgedTable:
    """A publication.  series, revision: whose figures; source: where they were published"""

    title: str
    series: str
    revision: str
    source: str
    conditions: str
    claims: tuple[JudgedClaim, ...]

    @property
    def is_measured(self) -> bool:
        """Any of its figures has one of ours beside it."""
        return any(one.measured != "-" for one in self.claims)

    @property
    def counts(self) -> dict[str, int]:
        """How many agree, differ, and cannot be told."""
        found = [one.verdict for one in self.claims]
        return {word: found.count(word) for word in (AGREE, DIFFERS, UNTOLD)}

    def table(self, up: str) -> Table:
        """For a page."""
        rows = tuple(
            (
                one.what, one.claimed, one.measured, one.verdict, one.why,
                tables.to_comparison(one.comparison, up, one.nearest) if one.comparison
                else one.nearest, one.conditions,
            )
            for one in self.claims
        )  # fmt: skip
        heads = ("claim", "claimed", "measured", "verdict", "why", "our nearest", "claimed on")
        return Table(f"Published of {self.series} {self.revision}", columns(*heads, names=7), rows)


MemoryRow = list[Any]
"""name of the series, back-end, arm, usage in per cent, then bytes: measured, low, high; outside"""


def judged(
    board: Board, root: Path, memory: Mapping[str, Sequence[MemoryRow]]
) -> list[JudgedTable]:
    """All publications.  root: the board's folder, with the records; memory: of `make overhead`."""
    found = [_of_memory(claim.load(name), memory) for name in claim.names()]
    for one in (*published.times(), *published.changes()):
        judge = _Nearest(board, root, one)
        claims = tuple(judge.of(row) for row in one.rows)
        found.append(
            JudgedTable(one.title, one.series, one.revision, one.source, one.backend, claims)
        )
    return found


def overhead(folder: Path) -> list[MemoryRow]:
    """What a result of make overhead measured of a published table; none where it has none."""
    name = manifest.load(folder).series.name
    if claim.for_series(name) is None:
        return []  # its analysis takes seconds
    try:
        made = analysis.analyse(folder)
    except UserError:
        return []
    if made.claim is None or not made.claim_fits:
        return []
    return [
        [made.claim.series, backend.name, arm, row.usage, cell.measured.value, cell.measured.low,
         cell.measured.high, cell.outside]
        for backend in made.backends for row in backend.rows for arm, cell in row.cells.items()
        if cell.claimed is not None and cell.measured is not None
    ]  # fmt: skip


def _of_memory(one: claim.Claim, memory: Mapping[str, Sequence[MemoryRow]]) -> JudgedTable:
    """A table of memory: the projection of both kernels is held against each cell."""
    series, _, revision = one.series.rpartition("-")
    found = {
        (row[1], row[2], row[3]): (place, row)
        for place, rows in memory.items() for row in rows if row[0] == one.series
    }  # fmt: skip
    claims = []
    for line in one.lines:
        for arm, value in (("base", line.old), ("patch", line.new)):
            place, row = found.get((line.backend, arm, line.usage), ("", None))
            measured, verdict, why = "-", UNTOLD, f"not measured: make overhead PATCH={one.series}"
            if row:
                low, high = row[5], row[6]
                measured = f"{row[4] / _MIB:.2f}"
                if low is not None and high is not None:
                    measured += f" [{low / _MIB:.2f}, {high / _MIB:.2f}]"
                verdict = UNTOLD if row[7] is None else DIFFERS if row[7] else AGREE
                why = "one boot of a size: no interval" if row[7] is None else (
                    "the claim lies outside the interval" if row[7] else "inside the interval"
                )  # fmt: skip
            claims.append(JudgedClaim(
                f"{line.word}, {line.usage:g} % used, {'old' if arm == 'base' else 'new'}, MiB",
                f"{one.swap_bytes >> 30} GiB of swap", f"{value / _MIB:.{one.digits}f}",
                place or f"{line.backend}.overhead", measured, verdict, why,
            ))  # fmt: skip
    return JudgedTable(one.title, series, revision, one.source, "", tuple(claims))


class _Nearest:
    """The newest measurements of a publication's revision, with all their metrics.

    One with verdicts stands before a newer one without.
    """

    def __init__(self, board: Board, root: Path, one: PublishedChanges) -> None:
        self._name = f"{one.series}-{one.revision}"
        self._rows: dict[tuple[str, str, str], Placed] = {}
        self._methods: dict[str, Mapping[str, Any]] = {}
        known = board.series.get(one.series, ())
        for made in sorted(known, key=lambda item: item.is_judged):
            if made.patch.revision != one.revision:
                continue
            data = json.loads((root / "comparison" / made.address / "index.json").read_text())
            self._methods[made.address] = data["method"]
            for values in (*data["summary"]["rows"], *data["secondary"]):
                row = Row(*values)
                # A cell with settings of its own is called "zram-zstd.pageio", or the like.
                self._rows[row.cell, row.metric, made.patch.switch] = (made, row)

    def of(self, row: PublishedChange) -> JudgedClaim:
        """One figure against the nearest of ours."""
        conditions = ", ".join(_conditions(row))
        claimed = f"{percent(row.change)}%"
        if row.spread is not None:
            claimed += f" \N{PLUS-MINUS SIGN}{percent(row.spread, sign=False)}"
        if row.old:
            claimed = f"{row.old[0]:.10g} to {row.new[0]:.10g} {row.unit}, {claimed}"
        what = f"{row.what} ({row.arm})" if row.arm else row.what
        if not row.near:
            return JudgedClaim(what, conditions, claimed, "-", "-", UNTOLD, "no cell of ours")
        cell, metric = row.near
        nearest = f"{cell} {metric}"
        placed = self._found(cell, metric, row.arm)
        if placed is None:
            backend, _, workload = cell.partition(".")
            ask = (
                f"make overhead PATCH={self._name}" if row.kind == MEMORY else
                f"make compare PATCH={self._name} BACKENDS={backend} WORKLOADS={workload}"
            )  # fmt: skip
            return JudgedClaim(what, conditions, claimed, nearest, "-", UNTOLD,
                               f"not measured: {ask}")  # fmt: skip
        one, mine = placed
        measured = f"{tables.change(mine)} {tables.interval(mine)}"
        unlike = list(_unlike(row, one, self._methods[one.address]))
        verdict, why = _judge(row, mine, unlike)
        return JudgedClaim(what, conditions, claimed, nearest, measured, verdict, why, one)

    def _found(self, cell: str, metric: str, arm: str) -> Placed | None:
        if arm:
            return next((placed for (mine, name, switch), placed in self._rows.items()
                         if (mine, name) == (cell, metric) and arm in switch), None)  # fmt: skip
        return next((placed for (mine, name, _), placed in reversed(self._rows.items())
                     if (mine, name) == (cell, metric)), None)  # fmt: skip


def _conditions(row: PublishedChange) -> Iterator[str]:
    if row.cpus:
        yield f"{row.cpus} CPUs"
    if row.memory:
        yield f"{row.memory / (1 << 30):g} GiB of memory"


def _unlike(row: PublishedChange, one: BoardComparison, method: Mapping[str, Any]) -> Iterator[str]:
    """What of the claim's conditions ours has not, as far as either says it."""
    if one.clock != "wall" and row.kind != MEMORY:
        yield "clock (instructions, not time)"
    cpus, memory = method.get("cpus"), method.get("memory")
    if row.cpus and isinstance(cpus, int) and row.cpus != cpus:
        yield f"CPUs ({cpus}, not {row.cpus})"
    if row.memory and isinstance(memory, int) and not 1 / _ALIKE <= memory / row.memory <= _ALIKE:
        yield f"size ({memory / (1 << 30):.3g} GiB of memory, not {row.memory / (1 << 30):g})"


def _judge(row: PublishedChange, mine: Row, unlike: Sequence[str]) -> tuple[str, str]:
    """The rule: only alike conditions give agree or differs, by whether the intervals meet.

    Where they are not alike the sides are told: they may agree, and prove nothing.
    """
    sides = _sides(row, mine)
    if unlike:
        return UNTOLD, "; ".join(["differs in " + ", ".join(unlike), *sides])
    if mine.low is None or mine.high is None:
        return UNTOLD, "no interval of ours"
    change = (
        row.change if row.direction == mine.direction else 100 * (1 / (1 + row.change / 100) - 1)
    )
    spread = row.spread or 0.0
    meets = mine.low <= change + spread and mine.high >= change - spread
    return (AGREE, "the intervals meet") if meets else (DIFFERS, "the intervals are apart")


def _sides(row: PublishedChange, mine: Row) -> list[str]:
    """Whether both say worse, better, or neither."""
    if row.spread is None or mine.low is None or mine.high is None:
        return []
    sign = 1 if row.direction == "lower" else -1
    theirs = sign * ((row.change > row.spread) - (row.change < -row.spread))
    sign = 1 if mine.direction == "lower" else -1
    margin = mine.margin or 0.0
    ours = sign * ((mine.low > margin) - (mine.high < -margin))
    words = {1: "worse", -1: "better"}
    claimed, measured = words.get(theirs, "within its spread"), words.get(ours, "within the margin")
    return [f"claimed {claimed}, measured {measured}"]

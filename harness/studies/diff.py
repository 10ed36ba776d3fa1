# SPDX-License-Identifier: GPL-2.0-only
"""Two comparisons beside each other, or why they cannot be.  Runs nothing.

Where both patch the same base kernel and were measured alike under the instruction clock, the
boots of a pair have the same guest seed in both.  Then the patched kernels are compared with each
other pair by pair, as a walk does it with neighbours.  Else the effects stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report import files, layout, table
from harness.report.layout import listed, paragraphs, section
from harness.report.model import Estimate
from harness.report.numbers import change, interval
from harness.report.table import Table, columns, heading_row
from harness.results.frames import ARMS, CONTROL
from harness.results.manifest import ResultKind
from harness.results.pairing import Measurement
from harness.results.record import instead, kind_of
from harness.run import identity
from harness.stats.verdict import Kind, Verdict
from harness.studies.walk import analysis
from harness.util import atomic
from harness.util.errors import UserError

_NEVER = ("clock", "disk", "MEMORY", "SWAP", "CPUS")
"""Where one of these differs, nothing can be compared."""
_SIDE_BY_SIDE = "Two effects side by side do not test one against the other."


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A primary metric of a cell that both results have.

    first, second: its change from base to patch in each
    across: from the first's patched kernel to the second's, pair by pair; None where that is no
        comparison
    """

    first: Estimate
    second: Estimate
    across: Verdict | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results. notes: why patched kernels are not compared; left_out: cells that are not."""

    first: Measurement
    second: Measurement
    rows: tuple[ComparedMetric, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def diff(first: Path, second: Path) -> Comparison:
    """Compare two results.  UserError says why they cannot be compared."""
    for folder in (first, second):
        if kind_of(folder) is not ResultKind.COMPARE:
            raise UserError(
                f"'{folder}' is a result of '{kind_of(folder).said}': diff compares two results "
                f"of 'make compare'{instead(folder)}"
            )
    if first.resolve() == second.resolve():
        raise UserError(f"'{first}' and '{second}' are the same result: name another with A= or B=")
    old, new = (identity.read(one) or {} for one in (first, second))
    found = identity.unlike(old, new, grows=True)
    if hard := [key for key in found if key in _NEVER]:
        said = identity.differences(old, new, grows=True)
        clauses = [one for one in said if one.partition(" ")[0] in hard]
        raise UserError(
            f"'{first}' and '{second}' cannot be compared: they differ in {'; '.join(clauses)}"
        )
    unlike = {key.removeprefix(identity.CELL) for key in found if key.startswith(identity.CELL)}
    reports = [files.read(one, counters=False) for one in (first, second)]
    mine, other = ({(row.cell, row.name): row for row in one.primary} for one in reports)
    shared = [key for key in mine if key in other and key[0] not in unlike]
    left_out = [f"{cell}: its settings differ" for cell in sorted(unlike)]
    left_out += [f"{cell}: only in A" for cell, _ in mine.keys() - other.keys()]
    left_out += [f"{cell}: only in B" for cell, _ in other.keys() - mine.keys()]
    if not shared:
        raise UserError(
            f"'{first}' and '{second}' cannot be compared: no primary metric is in both ("
            f"{'; '.join(left_out[:4]) or 'neither has any'})"
        )
    notes = tuple(_hindrances(old, new, found))
    data = Measurement.load(first), Measurement.load(second)
    rows = tuple(
        ComparedMetric(mine[key], other[key], None if notes else _across(first, second, data, *key))
        for key in shared
    )
    return Comparison(*data, rows, notes, tuple(left_out))


def _hindrances(
    old: Mapping[str, Any], new: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[str]:
    """Why the boots of a pair do not belong together across the results."""
    if old.get("clock") != "insn":
        yield "Wall time: boots of different hours do not belong together"
    free = (
        "kernels.patch",
        identity.SWITCH.upper(),
        *(key for key in found if key.startswith(identity.CELL)),
    )
    if any(key not in free for key in found):
        said = [
            one
            for one in identity.differences(old, new, grows=True)
            if not one.startswith(("the patched kernel", identity.CELL))
        ]
        yield f"They differ in {'; '.join(said)}"


def _across(
    first: Path, second: Path, data: tuple[Measurement, Measurement], cell: str, metric: str
) -> Verdict:
    """From one patched kernel to the other, in the pairs whose guests had the same seed."""
    ends = [one.values(cell, metric, ARMS[1]) for one in data]
    seeds = [_seeds(folder, cell) for folder in (first, second)]
    alike = [pair for pair in ends[0].index if seeds[0].get(pair) == seeds[1].get(pair, -1)]
    old, new = (one[one.index.isin(alike)] for one in ends)
    noise = max((_noise(one, cell, metric) for one in data), key=lambda both: len(both[1]))
    workload = cell.rpartition(".")[2]
    has_control = len(noise[1]) > 0
    return analysis.judge(
        old, new, noise if has_control else None, data[1].manifest, workload, metric
    )


def _noise(one: Measurement, cell: str, metric: str) -> tuple[pd.Series[float], pd.Series[float]]:
    return one.values(cell, metric, ARMS[0]), one.values(cell, metric, CONTROL)


def _seeds(folder: Path, cell: str) -> dict[int, int]:
    """The guest seeds of the patched kernel's boots, by pair."""
    facts = (atomic.json_file(one) for one in (folder / "boots" / cell).glob("*-patch/boot.json"))
    return {int(one["pair"]): int(one["seed"]) for one in facts if one and "seed" in one}


def render(found: Comparison) -> str:
    """ASCII, at most 72 columns: what is compared, the table, what it does not say."""
    names = zip("AB", (found.first, found.second), strict=True)
    compilers = {one.manifest.arm("patch").compiler for one in (found.first, found.second)}
    head = [f"{letter}: {_named(one, compiled=len(compilers) > 1)}" for letter, one in names]
    return layout.page(
        (
            paragraphs(head),
            table.text(_table(found)),
            paragraphs(_open(found)),
            paragraphs(_method(found)),
            section("Not compared", listed(found.left_out), "-"),
        )
    )


def _named(one: Measurement, *, compiled: bool) -> str:
    """The kernels of a result; ``compiled``: also what compiled them."""
    facts, series = one.manifest, one.manifest.arm("patch").series
    other = facts.arm("patch").name
    if series:
        count = len(series.patches)
        other = f"{series.name}, {count} patch{'es' if count != 1 else ''},"
    by = f", compiled by {facts.arm('patch').compiler}" if compiled else ""
    return f"{facts.name}: {other} on {facts.arm('base').name}{by}"


def _open(found: Comparison) -> Iterator[str]:
    """Why there is no verdict, where there is none."""
    for one in found.rows:
        if one.across and one.across.kind in (Kind.UNDECIDED, Kind.NONE):
            yield f"{one.first.cell} {one.across.kind}: {one.across.reason}."


def _method(found: Comparison) -> Iterator[str]:
    if found.notes:
        yield f"The patched kernels are not compared with each other. {'. '.join(found.notes)}."
        yield _SIDE_BY_SIDE
        return
    yield (
        "Both results have the same base kernel and the same guest seeds, so 'B against A' is the "
        "change from A's patched kernel to B's, pair by pair."
    )
    keys = [one.manifest.arm("patch").kernel for one in (found.first, found.second)]
    if keys[0] == keys[1]:
        yield "Both patched kernels are the same: every difference between them is noise."


def _table(found: Comparison) -> Table:
    across = not found.notes
    heads = ("cell", "A", "B", "B against A", "95 % interval", "n", "verdict")
    if not across:
        heads = ("cell", "A", "95 % interval", "n", "B", "95 % interval", "n")
    rows: list[tuple[str, ...]] = []
    for said in dict.fromkeys(_said(one.first) for one in found.rows):
        rows.append(heading_row(said, len(heads)))
        mine = [one for one in found.rows if _said(one.first) == said]
        rows += [_across_row(one) if across else _beside_row(one) for one in mine]
    return Table("", columns(*heads), tuple(rows))


def _said(row: Estimate) -> str:
    better = f"; {row.direction} is better" if row.direction else ""
    return f"{row.name}, {row.unit}{better}"


def _across_row(one: ComparedMetric) -> tuple[str, ...]:
    verdict = one.across
    assert verdict is not None
    ends = (change(one.first.change), change(one.second.change))
    own = verdict.change
    return (one.first.cell, *ends, change(own), interval(own), str(own.n), str(verdict.kind))


def _beside_row(one: ComparedMetric) -> tuple[str, ...]:
    cells: Sequence[str] = [
        text
        for row in (one.first, one.second)
        for text in (change(row.change), interval(row.change), str(row.change.n))
    ]
    return (one.first.cell, *cells)

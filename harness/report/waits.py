# SPDX-License-Identifier: GPL-2.0-only
"""Locks that were waited for in each phase, of kernels that count it (CONFIG_LOCK_STAT)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from harness.report import table
from harness.report.numbers import exact, number
from harness.report.table import Table, columns, heading_row
from harness.results import pairing
from harness.results.collected import BOOT
from harness.results.frames import ARMS, Frames
from harness.results.pairing import Counted
from harness.results.probes import lockstat

TITLE = "Waits by lock"
_TOP = 6
_COLUMNS = (
    "cell", "phase", "lock", "arm", "contentions", "waited_ns", "longest_ns",
)  # fmt: skip
_NOTES = (
    "Contentions and time waited, in us, are means over the boots of complete pairs and over "
    "rounds; the longest is that of all boots, in the phase in which it was reached.",
    "The kernels count at each lock, which makes every lock dearer and longer held: what waits "
    "show here is which locks, and not what waiting costs.",
)


@dataclass(frozen=True, slots=True)
class Waits:
    """What one kernel waited for a lock in a phase.

    contentions, waited_ns: means over boots and rounds; longest_ns: the longest single wait; None
    where none was longer than those before the phase
    """

    contentions: float = 0.0
    waited_ns: float = 0.0
    longest_ns: float | None = None


@dataclass(frozen=True, slots=True)
class LockWait:
    """A lock class in one phase of a cell."""

    cell: str
    phase: str
    lock: str
    base: Waits
    patch: Waits

    @property
    def waited_ns(self) -> float:
        """By the kernel that waited more."""
        return max(self.base.waited_ns, self.patch.waited_ns)


def gather(data: Frames, used: Counted) -> tuple[LockWait, ...]:
    """Every lock that was waited for: by cell and phase, that which was waited for most first."""
    found = data.deltas[(data.deltas["probe"] == lockstat.NAME) & data.deltas["arm"].isin(ARMS)]
    found = pairing.kept(found, used) if len(found) else found
    if found.empty:
        return ()
    boots = pairing.kept(data.boots, used).groupby(["cell", "arm"], observed=True).size().to_dict()
    order = {str(name): at for at, name in enumerate(data.deltas["phase"].drop_duplicates())}
    rounds = found.groupby([*BOOT, "phase"], observed=True)["round"].nunique().to_dict()
    arms: dict[tuple[str, str, str], dict[str, Waits]] = {}
    for key, group in found.groupby(["cell", "phase", "key", "arm"], observed=True, sort=True):
        cell, phase, lock, arm = map(str, key)
        made = _waits(group, rounds, boots[cell, arm])
        if made.contentions:
            arms.setdefault((cell, phase, lock), {})[arm] = made
    nothing = Waits()
    rows = [
        LockWait(cell, phase, lock, one.get("base", nothing), one.get("patch", nothing))
        for (cell, phase, lock), one in arms.items()
    ]
    rows.sort(key=lambda row: (row.cell, order[row.phase], -row.waited_ns, row.lock))
    return tuple(rows)


def _waits(group: pd.DataFrame, rounds: dict[object, int], boots: int) -> Waits:
    """Of one arm; a boot in which the lock was never waited for has no row, and counts."""
    sums = {lockstat.CONTENTIONS: 0.0, lockstat.WAITED: 0.0}
    longest: float | None = None
    for row in pairing.rows(group):
        if row.field in sums:
            share = rounds[row.cell, row.backend, row.workload, row.arm, row.pair, row.phase]
            sums[row.field] += row.value / share / boots
        elif row.field == lockstat.LONGEST and row.end > row.begin:
            longest = max(longest or 0.0, float(row.end))
    return Waits(sums[lockstat.CONTENTIONS], sums[lockstat.WAITED], longest)


def of(waits: tuple[LockWait, ...], *, whole: bool = False) -> Table:
    """The locks of each phase that were waited for most, or all; no row without such kernels."""
    heads = columns("lock", "contentions", "patch", "waited", "patch", "longest", "patch")
    rows: list[tuple[str, ...]] = []
    for (cell, phase), mine in groupby(waits, lambda row: (row.cell, row.phase)):
        found = list(mine)
        rows.append(heading_row(f"{cell}, phase {phase}", len(heads)))
        rows += [_cells(row) for row in (found if whole else found[:_TOP])]
    return Table("", heads, tuple(rows), _NOTES if rows else ())


def _cells(row: LockWait) -> tuple[str, ...]:
    base, patch = row.base, row.patch
    return (
        row.lock, exact(base.contentions), exact(patch.contentions),
        _us(base.waited_ns), _us(patch.waited_ns), _us(base.longest_ns), _us(patch.longest_ns),
    )  # fmt: skip


def _us(value: float | None) -> str:
    return "-" if value is None else number(value / 1000)


def sheet(waits: tuple[LockWait, ...]) -> str:
    """waits.csv: a row for each lock, phase and kernel."""
    return table.sheet(_COLUMNS, _values(waits))


def _values(waits: tuple[LockWait, ...]) -> Iterator[tuple[object, ...]]:
    for row in waits:
        for arm, one in zip(ARMS, (row.base, row.patch), strict=True):
            counts = map(table.plain, (one.contentions, one.waited_ns, one.longest_ns))
            yield (row.cell, row.phase, row.lock, arm, *counts)

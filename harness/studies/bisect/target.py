# SPDX-License-Identifier: GPL-2.0-only
"""``METRIC=function:NAME`` and ``METRIC=lock:NAME``: what one profile boot of each kernel counts.

A function's own instructions, whoever runs it; or the instructions for which the locks that a
function takes are held.  Runs nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.costs.locks import SHARED
from harness.report.profile import analysis, costs
from harness.report.profile.model import Cost
from harness.results.pairing import Measurement
from harness.util.errors import UserError

FUNCTION, LOCK = "function", "lock"
STILL = (1.0, 0.005)
"""What changes by itself: instructions, and a share of the larger of base and series."""
_NEAR = 3


@dataclass(frozen=True, slots=True)
class CountTarget:
    """kind: `FUNCTION` or `LOCK`; name: of the function, for a lock of that which takes it."""

    kind: str
    name: str

    @property
    def metric(self) -> str:
        """As the user writes it."""
        return f"{self.kind}:{self.name}"

    @property
    def what(self) -> str:
        """In a sentence."""
        if self.kind == LOCK:
            return f"the hold of locks that {self.name}() takes"
        return f"the instructions of {self.name}()"


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one comparison: the count of base and patch for each ``unit`` of ``metric``."""

    metric: str
    unit: str
    base: float
    patch: float


def parse(metric: str) -> CountTarget | None:
    """What METRIC= asks for; None for a workload's metric.  UserError for another kind."""
    kind, colon, name = metric.partition(":")
    if not colon:
        return None
    if kind not in (FUNCTION, LOCK) or not name:
        raise UserError(
            f"METRIC={metric}: give a metric of a workload, {FUNCTION}:NAME, or {LOCK}:NAME with "
            "the function that takes the lock"
        )
    return CountTarget(kind, name)


def still(base: float, whole: float) -> float:
    """The change of a count that is none."""
    least, share = STILL
    return max(least, share * max(base, whole))


def read(target: CountTarget, folder: Path, cell: str) -> Reading | None:
    """The first metric, the primary one before all, in which a kernel has it; None if none has.

    UserError if a boot is lacking or failed.
    """
    found = _counted(target, folder, cell)
    for metric, unit, counts in found:
        if cost := counts.get(target.name):
            return Reading(metric, unit, cost.base or 0.0, cost.patch or 0.0)
    return None


def require(target: CountTarget, folder: Path, cell: str) -> Reading:
    """As `read`.  UserError, with the nearest names, if neither kernel has it."""
    reading = read(target, folder, cell)
    if reading is not None:
        return reading
    names = sorted({name for *_, counts in _counted(target, folder, cell) for name in counts})
    near = difflib.get_close_matches(target.name, names, n=_NEAR, cutoff=0.5)
    table, does = ("locks", "takes a lock") if target.kind == LOCK else ("functions", "runs")
    there = f"; near it: {', '.join(near)}" if near else ""
    raise UserError(
        f"METRIC={target.metric}: no function '{target.name}' {does} in {cell} of base or series"
        f"{there}; all: {folder / 'report' / table}.csv"
    )


def _counted(
    target: CountTarget, folder: Path, cell: str
) -> list[tuple[str, str, Mapping[str, Cost]]]:
    one = Measurement.load(folder)
    found: list[tuple[str, str, Mapping[str, Cost]]] = []
    if target.kind == LOCK:
        costly = costs.analyse(folder, one.manifest)
        troubles = costly.troubles
        for held in costly.operations:
            sums: dict[str, Cost] = {}
            for hold in held.holds:
                if hold.kind not in SHARED:
                    _add(sums, hold.function, Cost(*hold.held))
            found.append((held.metric, held.unit, sums))
    else:
        profile = analysis.analyse(folder, one.data, one.manifest)
        troubles = profile.troubles
        for counted in profile.operations:
            named: dict[str, Cost] = {}
            for item in counted.functions:
                for name in filter(None, {item.name, item.former}):
                    _add(named, name, item.own)
            # A function that is inlined everywhere has no symbol; what is compiled has it.
            inlined = {item.name: item.cost for item in counted.inlined}
            found.append((counted.metric, counted.unit, {**inlined, **named}))
    if not found:
        raise UserError(
            f"no boot of '{folder}' under a plugin has counts of {cell}"
            f"{': ' if troubles else ''}{'; '.join(troubles)}"
        )
    return found


def _add(sums: dict[str, Cost], name: str, cost: Cost) -> None:
    old = sums.get(name, Cost(0.0, 0.0))
    sums[name] = Cost(
        (old.base or 0.0) + (cost.base or 0.0), (old.patch or 0.0) + (cost.patch or 0.0)
    )

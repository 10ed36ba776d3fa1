# SPDX-License-Identifier: GPL-2.0-only
"""Known weights against what profiles find at a function, a source line, a lock or a variable.

Each is for one page swapped in, patched kernel minus base, and is to be found to the unit: what is
found rounds to what is known.  A hold of a lock has some instructions on top that the compiler
makes; the registry says how many at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.costs.locks import SHARED
from harness.experiment.cpumodel import EVENTS
from harness.report.profile import analysis, costs
from harness.report.profile.costs import OperationCosts
from harness.report.profile.model import Operation
from harness.results.pairing import Measurement
from harness.results.places import SourceLine
from harness.series import registry
from harness.series.registry import ProfiledEffect

METRIC = "swapin"
OFF = {"insns": 0.5, "held": 0.5, "misses": 0.005}
"""How far what is found may be from what is known, for one page."""
_LEVELS = ("l1d", "l2", "llc")
"""Where an access to a line of memory that nothing has in a cache misses."""


@dataclass(frozen=True, slots=True)
class PlacedWeight:
    """One known weight in the profile of one cell.

    what: "insns", "held" or a level that is missed; found: None where no boot can say
    """

    series: str
    cell: str
    what: str
    place: str
    effect: ProfiledEffect
    found: float | None

    @property
    def holds(self) -> bool:
        """Whether it is found where it is, as large as it is."""
        if self.found is None:
            return False
        off = OFF[self.effect.of]
        return -off < self.found - self.effect.amount < self.effect.tolerance + off


def find(folder: Path, series: str, one: Measurement, folder_of: Path) -> tuple[PlacedWeight, ...]:
    """All weights of ``series`` in its comparison in ``folder``; ``folder_of`` the registry."""
    effects = registry.read(series, registry=folder_of).profiled
    counted = analysis.analyse(folder, one.data, one.manifest)
    costly = costs.analyse(folder, one.manifest)
    operations = {item.cell: item for item in counted.operations if item.metric == METRIC}
    by_cell = {item.cell: item for item in costly.operations if item.metric == METRIC}
    return tuple(
        PlacedWeight(series, cell, what, _place(effect), effect, found)
        for effect in effects
        for cell in one.cells
        for what, found in _found(effect, operations.get(cell), by_cell.get(cell)).items()
    )


def _place(effect: ProfiledEffect) -> str:
    return effect.data or effect.line.rpartition("/")[2] or effect.function


def _found(
    effect: ProfiledEffect, counted: Operation | None, costly: OperationCosts | None
) -> Mapping[str, float | None]:
    if effect.of == "insns":
        both = counted is not None and None not in (counted.total.base, counted.total.patch)
        return {effect.of: _insns(effect, counted) if counted and both else None}
    if effect.of == "held":
        return {effect.of: _held(effect, costly) if costly and costly.holds else None}
    return {
        level.upper(): _misses(effect, level, costly) if costly and costly.models else None
        for level in _LEVELS
    }


def _insns(effect: ProfiledEffect, counted: Operation) -> float:
    return sum(
        item.cost.change
        for item in counted.lines
        if (item.function, f"{item.file}:{item.line}") == (effect.function, effect.line)
    )


def _held(effect: ProfiledEffect, costly: OperationCosts) -> float:
    if effect.data:
        named = [one.held for one in costly.named if one.name == effect.data]
        return sum(patch - base for base, patch in named)
    return sum(
        hold.change
        for hold in costly.holds
        if hold.function == effect.function and hold.kind not in SHARED
    )


def _misses(effect: ProfiledEffect, level: str, costly: OperationCosts) -> float:
    """On the CPU whose figure is furthest from what is known."""
    name = effect.data
    if not name:
        file, _, number = effect.line.rpartition(":")
        name = costs.line_name(SourceLine(effect.function, file, int(number)))
    found = []
    for model in costly.models:
        items = model.data if effect.data else model.lines
        sides = [item.misses[EVENTS.index(level)] for item in items if item.name == name]
        found.append(sum(patch - base for base, patch in sides))
    return max(found, key=lambda value: abs(value - effect.amount))


def failures(found: tuple[PlacedWeight, ...]) -> Iterator[str]:
    """One sentence for each weight that is not found."""
    for one in found:
        if one.holds:
            continue
        where = f"{one.series} on {one.cell}, {one.what} at {one.place}"
        if one.found is None:
            yield f"{where}: no profile of both kernels; see the consoles of the boots"
        else:
            yield f"{where}: known {_known(one.effect)}, found {one.found:.3f}"


def known(one: PlacedWeight) -> str:
    """What is known, with what may come on top."""
    return _known(one.effect)


def _known(effect: ProfiledEffect) -> str:
    top = f" to {effect.amount + effect.tolerance:.0f}" if effect.tolerance else ""
    return f"{effect.amount:.0f}{top}"

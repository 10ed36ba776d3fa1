# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's PMU counted for each unit of work: metrics beside those that are times.

The PMU is read at the marks of a phase.  The line of "..._busy" says how many units a metric is of;
its value says of which phase it is: of the one with that elapsed time for each unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.results.probes import pmu

Turn: TypeAlias = tuple[str, int]
"""A name and a round."""

BUSY = "_busy"
"""Ends a metric that is all instructions of a phase, the processor's waits left out."""
_ROUNDED = 0.0006
"""Programs print three decimals."""
_ENDS = {field: field.removeprefix("cache-") for field in pmu.FIELDS}
ENDS = tuple(_ENDS.values())
"""What stands behind the name of a metric, after "_", and is the unit."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A metric of one round that follows from a count."""

    name: str
    unit: str
    value: float
    round: int


@dataclass(slots=True)
class BootWork:
    """Of one boot: times with their units, units of work, phases' elapsed ns, events by phase."""

    times: dict[Turn, tuple[float, str]] = field(default_factory=dict)
    units: dict[Turn, float] = field(default_factory=dict)
    elapsed: dict[Turn, int] = field(default_factory=dict)
    events: dict[Turn, dict[str, float]] = field(default_factory=dict)

    def of(self, name: str, turn: int, per: float) -> None:
        """Note how many units a counted metric is of."""
        if name.endswith(BUSY) and per > 0:
            self.units[name.removesuffix(BUSY), turn] = per

    def derived(self) -> Iterator[Derived]:
        """Cycles, instructions and misses of each unit of work; none without a PMU."""
        for (name, turn), per in self.units.items() if self.events else ():
            if (name, turn) not in self.times:
                continue
            value, unit = self.times[name, turn]
            _, slash, rest = unit.partition("/")
            for event, amount in self._events(value, per, turn).items():
                end = _ENDS[event]
                yield Derived(f"{name}_{end}", f"{end}{slash}{rest}", amount / per, turn)

    def _events(self, value: float, per: float, turn: int) -> dict[str, float]:
        """Of the one phase of the round whose elapsed time the metric is; else none."""
        found = [
            events
            for phase, events in self.events.items()
            if phase[1] == turn and abs(self.elapsed.get(phase, -1) / per - value) <= _ROUNDED
        ]
        return found[0] if len(found) == 1 else {}

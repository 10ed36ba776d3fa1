# SPDX-License-Identifier: GPL-2.0-only
"""Estimated cycles: instructions and misses, each with a weight of the CPU's model.

An estimate says in which direction misses move a change of instructions.  It is no time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.experiment.cpumodel import EVENTS, CpuModel
from harness.costs.caches import CacheCounts

SCALES = (0.5, 1.0, 2.0)
"""Costs of a miss that an estimate is tried with: half, as the model has them, and double."""

FORMULA = (
    "estimated cycles = instructions x cycles of one + the sum of misses x cost, each level's on "
    "top of the one before; left out: overlap, prefetching, branch prediction, coherence"
)


def estimate(
    model: CpuModel, executed: float, misses: Sequence[float], scale: float = 1.0
) -> float:
    """Cycles.  misses: by event; scale: of the cost of all misses."""
    return executed * model.cycles + scale * sum(parts(model, misses).values())


def parts(model: CpuModel, misses: Sequence[float]) -> Mapping[str, float]:
    """The cycles of the misses of each event."""
    levels = model.levels
    return {event: count * levels[event].miss for event, count in zip(EVENTS, misses, strict=True)}


def stalls(model: CpuModel, misses: Sequence[float]) -> float:
    """The cycles of all of them: what functions are ranked by."""
    return sum(parts(model, misses).values())


@dataclass(frozen=True, slots=True)
class CycleEstimate:
    """Cycles of an operation on base and patch by one model, by the scale of `SCALES`.

    insns_pct is the change of instructions in per cent.
    """

    model: str
    base: Mapping[float, float]
    patch: Mapping[float, float]
    insns_pct: float

    def change_pct(self, scale: float = 1.0) -> float:
        """Change of estimated cycles in per cent."""
        return 100 * (self.patch[scale] / self.base[scale] - 1)

    def side(self, margin_pct: float, scale: float = 1.0) -> int:
        """1 for a change beyond the margin, -1 for one below it, else 0."""
        change = self.change_pct(scale)
        return (change > margin_pct) - (change < -margin_pct)

    def holds(self, margin_pct: float) -> bool:
        """Whether it is on the same side of the margin whatever of `SCALES` a miss costs."""
        return len({self.side(margin_pct, scale) for scale in SCALES}) == 1


def compare(
    model: CpuModel, base: CacheCounts, patch: CacheCounts, per: tuple[float, float]
) -> CycleEstimate:
    """``per``: operations of base and patch, such as pages.  Raises ValueError without any."""
    if not (per[0] > 0 and per[1] > 0 and base.executed and patch.executed):
        raise ValueError("nothing was executed")
    sides = []
    for counts, count in zip((base, patch), per, strict=True):
        misses = counts.misses(model.name)
        sides.append(
            {scale: estimate(model, counts.executed, misses, scale) / count for scale in SCALES}
        )
    change = 100 * (patch.executed / per[1] / (base.executed / per[0]) - 1)
    return CycleEstimate(model.name, sides[0], sides[1], change)

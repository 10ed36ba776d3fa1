# SPDX-License-Identifier: GPL-2.0-only
"""Estimated cycles: instructions and misses, each with a weight of the CPU's model.

An estimate says in which direction misses move a change of instructions.  It is no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.costs.caches import CacheCounts
from harness.experiment.cpumodel import EVENTS, CpuModel

SCALES = (0.5, 1.0, 2.0)
"""Costs of a miss that an estimate is tried with: half, as the model has them, and double."""

FORMULA = (
    "estimated cycles = instructions x cycles of one + the sum of misses x cost, each level's on "
    "top of the one before; left out: overlap, prefetching, branch prediction, coherence"
)


def stalls(model: CpuModel, misses: Sequence[float]) -> float:
    """The cycles of misses, given by event: what functions are ranked by."""
    levels = model.levels
    return sum(count * levels[event].miss for event, count in zip(EVENTS, misses, strict=True))


def weights(model: CpuModel) -> str:
    """What `FORMULA` weighs with, in words."""
    missed = ", ".join(f"{event.upper()} {level.miss:g}" for event, level in model.levels.items())
    return f"{model.name}: {model.cycles:g} cycles for an instruction; for a miss {missed}"


@dataclass(frozen=True, slots=True)
class CycleEstimate:
    """Cycles of an operation on base and patch by one model.

    insns, misses: cycles of the instructions, and of the misses at the model's costs
    insns_pct: the change of instructions in per cent
    """

    model: str
    insns: tuple[float, float]
    misses: tuple[float, float]
    insns_pct: float

    def cycles(self, scale: float = 1.0) -> tuple[float, float]:
        """Estimated cycles of base and patch; ``scale`` is of the cost of all misses."""
        base, patch = (
            one + scale * other for one, other in zip(self.insns, self.misses, strict=True)
        )
        return base, patch

    def change_pct(self, scale: float = 1.0) -> float:
        """Change of estimated cycles in per cent."""
        base, patch = self.cycles(scale)
        return 100 * (patch / base - 1)

    def holds(self) -> bool:
        """Whether the change has one sign, whatever of `SCALES` a miss costs."""
        signs = {(change > 0) - (change < 0) for change in map(self.change_pct, SCALES)}
        return len(signs) == 1


def compare(
    model: CpuModel, base: CacheCounts, patch: CacheCounts, per: tuple[float, float]
) -> CycleEstimate:
    """``per``: operations of base and patch, such as pages.  Raises ValueError without any."""
    if not (per[0] > 0 and per[1] > 0 and base.executed and patch.executed):
        raise ValueError("nothing was executed")
    both = tuple(zip((base, patch), per, strict=True))
    insns = [counts.executed / count for counts, count in both]
    missed = [stalls(model, counts.misses(model.name)) / count for counts, count in both]
    return CycleEstimate(
        model.name,
        (insns[0] * model.cycles, insns[1] * model.cycles),
        (missed[0], missed[1]),
        100 * (insns[1] / insns[0] - 1),
    )

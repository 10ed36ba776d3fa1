# SPDX-License-Identifier: GPL-2.0-only
"""What a profile says of one operation: its instructions by function and by part of the kernel.

All figures are instructions for each operation (a page, a fault, a run), means over the rounds of
one profile boot of each kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.results.counted import BUSY
from harness.results.profile import Root

NAMED = 0.95
"""The share of all change, up and down, that the listed functions make up."""
SAME = 0.001
"""How far a profile's total may be from the timing boot's."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of both kernels; None in one that does not execute it."""

    base: float | None
    patch: float | None

    @property
    def change(self) -> float:
        """Of patch against base."""
        return (self.patch or 0.0) - (self.base or 0.0)

    @property
    def percent(self) -> float | None:
        """The same in per cent of base; None without one."""
        return 100 * self.change / self.base if self.base else None


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """One function, where it runs for the workload (`Root.WORK`) or beside it.

    own: in the function itself; whole: with all that it calls; calls: how often it is called
    former: what the base calls it, if it seems to have been renamed, else ""
    """

    root: Root
    name: str
    file: str
    part: str
    own: Cost
    whole: Cost
    calls: Cost
    former: str = ""

    @property
    def state(self) -> str:
        """What became of it: "new", "gone", "renamed" or ""."""
        if self.former:
            return "renamed"
        return "new" if self.own.base is None else "gone" if self.own.patch is None else ""

    @property
    def title(self) -> str:
        """Its name, and for whom it runs if that is not the workload."""
        beside = "" if self.root is Root.WORK else f" ({self.root.words})"
        return f"{self.name}{beside}"


@dataclass(frozen=True, slots=True)
class Named:
    """The cost of anything that has a name."""

    name: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class LineCost:
    """Instructions at one source line, inlined or not; in user space none are told by line.

    function: that the line stands in, ``into`` the one that was compiled with it
    """

    function: str
    file: str
    line: int
    into: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class ChainCost:
    """A chain of calls, outermost first: instructions in its last function, and calls of it."""

    root: Root
    names: tuple[str, ...]
    own: Cost
    calls: Cost


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one cell, base against patch.

    metric: of the workload; unit: what its figures are for one of ("page")
    total: all instructions; timing: the same by the timing boots, None where there are none
    bare: without compression; busy: the report has this metric as all instructions of its phase
    functions: by the size of their change; inlined: by source function, likewise
    """

    cell: str
    metric: str
    unit: str
    total: Cost
    timing: Cost
    bare: Cost
    roots: tuple[Named, ...]
    parts: tuple[Named, ...]
    functions: tuple[FunctionCost, ...]
    inlined: tuple[Named, ...]
    lines: tuple[LineCost, ...]
    chains: tuple[ChainCost, ...]
    busy: bool = False

    @property
    def title(self) -> str:
        """Cell and metric as the report calls it."""
        return f"{self.cell} {self.metric}{BUSY if self.busy else ''}"

    @property
    def off(self) -> tuple[tuple[str, float], ...]:
        """By arm, how far the profile's total is from the timing boot's, as a ratio."""
        pairs = (
            ("base", self.total.base, self.timing.base),
            ("patch", self.total.patch, self.timing.patch),
        )
        return tuple((arm, mine / other - 1) for arm, mine, other in pairs if mine and other)

    @property
    def gross(self) -> float:
        """All change of functions, up and down."""
        return sum(abs(one.own.change) for one in self.functions)

    def named(self, share: float = NAMED) -> Iterator[FunctionCost]:
        """The functions that changed most, until they make up ``share`` of all change."""
        left = self.gross
        rest = (1 - share) * left
        for one in self.functions:
            if left <= rest or not one.own.change:
                return
            left -= abs(one.own.change)
            yield one


@dataclass(frozen=True, slots=True)
class Profile:
    """All operations of a result, the primary one of each cell first; sentences of trouble."""

    operations: tuple[Operation, ...]
    primary: tuple[Operation, ...]
    troubles: tuple[str, ...] = ()

# SPDX-License-Identifier: GPL-2.0-only
"""Boots that failed: which, how and where, and which kernel has more of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.experiment.arch import HERE
from harness.results.console import unstamped
from harness.stats import paired

_SOURCE = re.compile(r"\(\S+\.[chS]:\d+")


@dataclass(frozen=True, slots=True)
class ExcludedBoot:
    """A boot that does not count.

    console: its last lines; trace: the stack trace with files and lines, "" if there is none
    known: what its workload declares of such a failure on such a kernel, "" for nothing
    """

    cell: str
    pair: int
    arm: str
    outcome: str
    detail: str
    folder: str
    console: str
    trace: str = ""
    known: str = ""

    @property
    def place(self) -> str:
        """Where in the code it failed: the trace's first line that names a file.

        Where no trace was decoded, the console's line with the kernel's registers; "" if none.
        """
        lines = [line.strip() for line in self.trace.split("\n") if _SOURCE.search(line)]
        lines.sort(key=lambda line: not line.startswith(HERE.registers))
        plain = (unstamped(line) for line in self.console.split("\n"))
        return next(
            iter((*lines, *(line for line in plain if line.startswith(HERE.in_kernel)))), ""
        )

    @property
    def sentence(self) -> str:
        """Which boot, and how it failed: its outcome, the first line of it, and where."""
        stage, _, rest = self.detail.partition(": ")
        said = unstamped(rest if stage.startswith("in ") and rest else self.detail)
        parts = (f"{self.outcome}: {said[:200]}".removesuffix(": "), self.place[:200])
        return f"{self.cell} {self.pair:02d}-{self.arm}: {'; '.join(filter(None, parts))}"


@dataclass(frozen=True, slots=True)
class Failing:
    """How often boots of either kernel fail. base counts control, too.

    p: exact two-sided p of "no difference", see `harness.report.failing`
    first: a boot of each kernel that failed, the patched one's first; see `ExcludedBoot.sentence`
    """

    base: int
    base_boots: int
    patch: int
    patch_boots: int
    p: float
    first: tuple[str, ...] = ()

    @property
    def more(self) -> str:
        """The arm that fails more often at 5 %, else ""."""
        if self.p >= 1 - paired.LEVEL:
            return ""
        return "patch" if self.patch * self.base_boots > self.base * self.patch_boots else "base"

    @property
    def sentence(self) -> str:
        """Both counts and what they come to: too few failures for the test are no equality."""
        counts = (
            f"{self.patch} of {self.patch_boots} patch boots failed, {self.base} of "
            f"{self.base_boots} base boots"
        )
        shown = f" (exact p = {self.p:.2g})" if self.more else ""
        if not self.base or not self.patch:
            return f"{counts}{shown}: only {'patch' if self.patch else 'base'} failed."
        return f"{counts}{shown}{f': {self.more} fails more often' if self.more else ''}."

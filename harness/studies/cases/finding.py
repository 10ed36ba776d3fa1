# SPDX-License-Identifier: GPL-2.0-only
"""Whether a case is seen in a kernel, from the boots of a comparison.  Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from harness.experiment import case
from harness.experiment.case import Sign
from harness.results.console import Outcome
from harness.results.frames import ARMS
from harness.results.pairing import Measurement, rows

CONSOLE = "console.log"


class Seen(StrEnum):
    """What a case comes to on one kernel."""

    SEEN = "seen"
    NOT_SEEN = "not seen"
    CANNOT = "cannot"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One case on one kernel; said: the figures, or why there is none."""

    seen: Seen
    said: str = ""
    folder: str = ""


def find(results: Path, ran: Mapping[str, Any], kernel: str, signs: Sequence[Sign]) -> Finding:
    """What one comparison of a case says of one of its kernels.

    ``ran`` is what the record says of the comparison, in ``results``.
    """
    if ran["failure"]:
        state = Seen.FAILED if ran["is_kernel_failure"] else Seen.CANNOT
        return Finding(state, str(ran["failure"]))
    folder, arm = results / str(ran["folder"]), str(ran["kernels"][kernel])
    one = Measurement.load(folder)
    told = _Boots(folder, one, arm, is_patched=arm == ARMS[1] and bool(ran["has_series"]))
    judged = [told.judge(sign) for sign in signs]
    told_by = [text for found, text in judged if text and found is not None]
    said = "; ".join(dict.fromkeys(told_by))
    if any(found for found, _ in judged):
        return Finding(Seen.SEEN, said, folder.name)
    if why := told.cannot():
        return Finding(Seen.CANNOT, why, folder.name)
    if why := told.failed(signs):
        return Finding(Seen.FAILED, why, folder.name)
    if all(found is None for found, _ in judged):
        why = next((text for _, text in judged if text), "its boots gave no figure")
        return Finding(Seen.CANNOT, why, folder.name)
    return Finding(Seen.NOT_SEEN, said, folder.name)


@dataclass(frozen=True, slots=True)
class _Boots:
    """The boots of one arm."""

    folder: Path
    one: Measurement
    arm: str
    is_patched: bool

    def judge(self, sign: Sign) -> tuple[bool | None, str]:
        """Whether it shows (None: nobody can tell), and the figures."""
        if sign.console:
            line = next(self._lines(re.compile(sign.console)), "")
            return bool(line), line
        if sign.outcome:
            ended = [str(boot.outcome) for boot in self._boots()]
            named = [one for one in ended if one in sign.outcome]
            return bool(named), named[0] if named else ""
        if sign.against and not self.is_patched:
            return None, "it is a change from base, and this kernel is no series"
        values = [
            (cell, value)
            for cell in self.one.cells
            if sign.cell in (None, cell) and (value := self._value(sign, cell)) is not None
        ]
        if not values:
            return None, ""
        unit = " %" if sign.against else ""
        is_one_of = len(self.one.cells) > 1
        said = [f"{_what(sign, at, is_one_of)} {case.number(value)}{unit}" for at, value in values]
        return any(sign.holds(value) for _, value in values), ", ".join(said)

    def _value(self, sign: Sign, cell: str) -> float | None:
        mine = self._median(cell, str(sign.metric), self.arm)
        if sign.over:
            other = self._median(sign.over, str(sign.metric), self.arm)
            return mine / other if mine is not None and other else None
        if sign.against:
            base = self._median(cell, str(sign.metric), ARMS[0])
            return 100 * (mine / base - 1) if mine is not None and base else None
        return mine

    def _median(self, cell: str, metric: str, arm: str) -> float | None:
        values = self.one.values(cell, metric, arm).dropna()
        return float(np.median(values)) if len(values) else None

    def _lines(self, pattern: re.Pattern[str]) -> Iterator[str]:
        for boot in self._boots():
            path = self.folder / "boots" / boot.cell / f"{boot.pair:02d}-{self.arm}" / CONSOLE
            text = path.read_text("utf-8", "backslashreplace") if path.is_file() else ""
            yield from (line.strip() for line in text.splitlines() if pattern.search(line))

    def _boots(self) -> Iterator[Any]:
        boots = self.one.data.boots
        yield from rows(boots[boots["arm"] == self.arm])

    def cannot(self) -> str:
        """Why the kernel cannot run any cell; "" if it ran one."""
        facts = self.one.manifest
        reasons = [one.reason for one in facts.skipped]
        reasons += [one.reason for one in facts.halves if one.arm != self.arm]
        boots = list(self._boots())
        unset = [str(boot.detail) for boot in boots if boot.outcome == Outcome.PREPARE_FAILED]
        if len(unset) == len(boots):
            reasons = unset + reasons
            return reasons[0] if reasons else "no boot of it is there"
        return ""

    def failed(self, signs: Sequence[Sign]) -> str:
        """How the first boot ended that ended in no way that a sign asks for; "" for none."""
        wanted = {name for sign in signs for name in sign.outcome}
        return next(
            (
                f"{boot.outcome}: {boot.detail}" if boot.detail else str(boot.outcome)
                for boot in self._boots()
                if boot.outcome not in wanted and boot.outcome != Outcome.OK
            ),
            "",
        )


def _what(sign: Sign, cell: str, is_one_of: bool) -> str:
    if sign.over:
        return f"{sign.metric}, {cell} / {sign.over}:"
    where = f" in {cell}" if is_one_of else ""
    return f"{'change of ' if sign.against else ''}{sign.metric}{where}"

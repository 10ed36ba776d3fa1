# SPDX-License-Identifier: GPL-2.0-only
"""Cases: public reports, each as a folder of workloads/cases with what makes it happen again.

``case.yaml`` has the settings of a comparison (``spec``: the keys of a spec file) and what must be
seen (``seen``).  Programs lie beside it; each is written from the report's description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import (
    Check,
    Items,
    Model,
    Regex,
    SomeItems,
    Text,
    nearest,
    one_of,
    words,
)

FOLDER = REPO / "workloads" / "cases"
NAME = "case.yaml"
_OURS = ("base", "patch", "head", "upto", "arms", "name", "pairs", "aa", "seed", "fragments")
"""Settings that the run decides, and no case."""
_LARGE = 1000


@dataclass(frozen=True, slots=True)
class Sign(Model):
    """One way in which a case shows in a kernel: a line, an outcome of a boot, or a figure.

    console: a pattern of a line of the console; outcome: names of `console.Outcome`
    metric: its median over the kernel's boots in ``cell`` (none: the only one, or any), which is
    ``above`` or ``below`` a number: alone in the metric's own unit; divided by that of the cell
    ``over``; or with ``against: base`` as a change from the kernel's base in per cent
    """

    console: Regex | None = None
    outcome: Annotated[tuple[str, ...], Check(words, first=True)] = ()
    metric: Text | None = None
    cell: Text | None = None
    over: Text | None = None
    against: Annotated[str, one_of(("base",))] | None = None
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        given = [bool(self.console), bool(self.outcome), bool(self.metric)]
        if sum(given) != 1:
            raise ValueError("has to have one of console, outcome and metric")
        if bool(self.metric) != ((self.above is None) != (self.below is None)):
            raise ValueError("a metric is 'above' or 'below' a number, and nothing else is")
        if self.over and (self.against or not self.cell):
            raise ValueError("'over' is a second cell: it needs 'cell', and goes without 'against'")
        if not self.metric and (self.cell or self.over or self.against):
            raise ValueError("'cell', 'over' and 'against' are of a metric")

    @property
    def shown(self) -> str:
        """What must be seen, as one clause."""
        if self.console:
            return f"a console line with '{self.console}'"
        if self.outcome:
            return f"a boot that ends as {' or '.join(self.outcome)}"
        limit = self.above if self.above is not None else self.below
        said = number(float(limit or 0))
        what = str(self.metric)
        if self.over:
            what += f" in {self.cell} / {self.over}"
        elif self.cell:
            what += f" in {self.cell}"
        if self.against:
            what, said = f"change of {what} from base", f"{said} %"
        return f"{what} {'above' if self.above is not None else 'below'} {said}"

    def holds(self, value: float) -> bool:
        """Whether a figure shows it."""
        return value > self.above if self.above is not None else value < float(self.below or 0)


@dataclass(frozen=True, slots=True)
class ReportedCase(Model):
    """One public report, as case.yaml has it, in the folder ``home``.

    report: message-ids or URLs; kernels: those that it was reported of; reported: what was seen
    there; scaled: how the case differs from it
    spec: settings of a comparison; seen: any of these shows it in a kernel
    cannot: why it cannot be run at all; then there is neither ``spec`` nor ``seen``
    """

    name: str
    home: Path
    title: Text
    report: SomeItems[Text]
    kernels: Text
    reported: Text
    scaled: Text | None = None
    spec: dict[str, Any] | None = None
    seen: Items[Sign] = ()
    cannot: Text | None = None

    def __post_init__(self) -> None:
        if self.cannot and (self.spec or self.seen):
            raise ValueError("'cannot' stands in place of 'spec' and 'seen'")
        if not self.cannot and not (self.spec and self.seen):
            raise ValueError("needs 'spec' and 'seen', or 'cannot'")
        for key in self.spec or {}:
            if key in _OURS:
                raise ValueError(f"'spec' has '{key}', which the run decides: leave it out")

    def experiment(self, more: Mapping[str, Any]) -> Experiment:
        """Its comparison, with ``more`` settings on top.  UserError as `spec.load`."""
        settings = {**(self.spec or {}), **more}
        return spec.load(None, settings, source=str(_place(self.name)), home=self.home)


def number(value: float) -> str:
    """A figure or limit in four digits, a large one whole."""
    return f"{value:.0f}" if abs(value) >= _LARGE else f"{value:.4g}"


def _place(name: str) -> Path:
    return Path("workloads/cases") / name / NAME


def names(folder: Path = FOLDER) -> list[str]:
    """The cases there are."""
    return sorted(path.parent.name for path in folder.glob(f"*/{NAME}"))


def load(name: str, *, folder: Path = FOLDER) -> ReportedCase:
    """One case.  UserError naming the file and key for what is wrong in it."""
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no case '{name}'{nearest(name, known)}")
    home, place = folder / name, str(_place(name))
    made = yamlfile.load(home / NAME, ReportedCase, place=place, name=name, home=home)
    if made.spec is not None:
        cells = {cell.name for cell in made.experiment({}).cells()}
        for cell in (cell for sign in made.seen for cell in (sign.cell, sign.over) if cell):
            if cell not in cells:
                raise UserError(f"{place}: there is no cell '{cell}'{nearest(cell, cells)}")
    return made


def chosen(asked: Sequence[str], *, folder: Path = FOLDER) -> tuple[ReportedCase, ...]:
    """The cases of these names; all if there are none."""
    return tuple(load(name, folder=folder) for name in asked or names(folder))


def address(report: str) -> str:
    """Where a report can be read: the list's archive for a message-id."""
    if re.fullmatch(r"[^\s/@]+@[^\s/@]+", report):
        return f"https://lore.kernel.org/all/{report}/"
    return report

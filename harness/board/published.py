# SPDX-License-Identifier: GPL-2.0-only
"""What the authors of a series published, in one form: kernels/claims, its times and changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from harness.board import times as tables
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import Amount, Items, Model, Slug, SomeItems, Text, at_least, one_of

CHANGES = REPO / "kernels" / "claims" / "changes"
TIME, MEMORY = "time", "memory"


@dataclass(frozen=True, slots=True)
class PublishedChange(Model):
    """One figure, as its file has it; swap-table-p4-v5.yaml there says what the keys are.

    kind: what it is a figure of: time (or a rate), or memory
    """

    what: Text
    unit: Text
    direction: Annotated[str, one_of(("lower", "higher"))]
    old: Items[Amount] = ()
    new: Items[Amount] = ()
    change_pct: float | None = None
    kind: Annotated[str, one_of((TIME, MEMORY))] = TIME
    arm: Text = ""
    cpus: Annotated[int, at_least(0)] = 0
    memory: Annotated[int, at_least(0)] = 0
    near: Items[Text] = ()

    def __post_init__(self) -> None:
        if (self.change_pct is None) == (not self.old or not self.new):
            raise ValueError("has either old and new, or change_pct")
        if self.old and self.old[0] == 0:
            raise ValueError("has an old of nothing: there is no change in per cent")
        if len(self.near) not in (0, 2):
            raise ValueError("has a near that is no cell and metric")

    @property
    def change(self) -> float:
        """In per cent."""
        if self.change_pct is not None:
            return self.change_pct
        return 100 * (self.new[0] / self.old[0] - 1)

    @property
    def spread(self) -> float | None:
        """Of the change, from both spreads, in per cent; None where neither was published."""
        if len(self.old) < 2 or len(self.new) < 2:
            return None
        return 100 * math.hypot(self.old[1], self.new[1]) / self.old[0]


@dataclass(frozen=True, slots=True)
class PublishedChanges(Model):
    """The figures of one publication."""

    name: str
    title: Text
    series: Slug
    revision: Text
    source: Text
    backend: Text
    rows: SomeItems[PublishedChange]


def changes(folder: Path = CHANGES) -> Iterator[PublishedChanges]:
    """All of `folder`.  UserError names the file and the key at fault."""
    for path in sorted(folder.glob("*.yaml")):
        yield yamlfile.load(path, PublishedChanges, name=path.stem)


def times(folder: Path = tables.TIMES) -> Iterator[PublishedChanges]:
    """The tables of times in the same form, one for each revision."""
    for path in sorted(folder.glob("*.yaml")):
        table = tables.load(path.stem, folder)
        for place, full in enumerate(table.revisions):
            series, dash, revision = full.rpartition("-")
            if not dash:
                raise UserError(f"{path}: revisions: '{full}' does not end in a revision like -v3")
            rows = tuple(_row(table, line, place) for line in table.lines)
            yield PublishedChanges(
                full, table.title, series, revision, table.source, table.setup, rows
            )


def _row(table: tables.Published, line: tables.PublishedRow, place: int) -> PublishedChange:
    new = line.revisions[place]
    return PublishedChange(
        what=f"{line.workload}, {line.measure}",
        unit=line.unit,
        direction="lower",
        old=(line.base.mean, line.base.spread),
        new=(new.mean, new.spread),
        cpus=table.cpus,
        near=table.nearest.get(f"{line.workload} {line.measure}", ()),
    )

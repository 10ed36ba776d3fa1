# SPDX-License-Identifier: GPL-2.0-only
"""The functions that each patch of a walk changes, from the profile boots of its kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.report.profile import analysis
from harness.report.profile.model import Cost, Operation
from harness.results.pairing import Measurement

LEAST = 2.0
"""Instructions for each operation up to which a function differs by itself."""

_Own = Mapping[str, tuple[str, float]]
"""File and own instructions by function; its name has for whom it runs beside the workload."""


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """Own instructions of one function before a patch and with it; None where it does not run."""

    title: str
    file: str
    own: Cost


@dataclass(frozen=True, slots=True)
class PatchFunctions:
    """What a patch changes of the first metric of a cell, for each ``unit`` of it.

    number, since: as those of a `WalkPoint`; total: all instructions
    functions: by the size of their change
    """

    number: int
    since: int
    cell: str
    metric: str
    unit: str
    total: Cost
    functions: tuple[FunctionChange, ...]


def of(read: Mapping[int, Measurement], folders: Mapping[int, Path]) -> Iterator[PatchFunctions]:
    """Of all stops that have profiles, each against the one before that has one, or the base."""
    before: dict[str, tuple[int, float | None, _Own]] = {}
    for number, one in sorted(read.items()):
        if not analysis.is_there(folders[number]):
            continue
        for item in analysis.analyse(folders[number], one.data, one.manifest).primary:
            base = (0, item.total.base, _own(item, "base"))
            since, total, old = before.get(item.cell, base)
            new = _own(item, "patch")
            if item.total.patch is None or total is None:
                continue
            yield PatchFunctions(
                number,
                since,
                item.cell,
                item.metric,
                item.unit,
                Cost(total, item.total.patch),
                tuple(_changes(old, new)),
            )
            before[item.cell] = (number, item.total.patch, new)


def _own(one: Operation, arm: str) -> _Own:
    found: dict[str, tuple[str, float]] = {}
    for item in one.functions:
        insns = item.own.base if arm == "base" else item.own.patch
        if insns is not None:
            title = item.title
            if arm == "base" and item.former:
                title = item.former + title.removeprefix(item.name)
            found[title] = item.file, insns
    return found


def _changes(old: _Own, new: _Own) -> Iterator[FunctionChange]:
    found = []
    for title in {**old, **new}:
        sides = [one[title][1] if title in one else None for one in (old, new)]
        file = (new.get(title) or old[title])[0]
        found.append(FunctionChange(title, file, Cost(*sides)))
    found.sort(key=lambda one: (-abs(one.own.change), one.title))
    yield from (one for one in found if abs(one.own.change) > LEAST)

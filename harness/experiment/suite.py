# SPDX-License-Identifier: GPL-2.0-only
"""Suites: named lists of cells in workloads/suites, each a group of back-ends by workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.experiment import cell, settings
from harness.experiment.cell import Cell
from harness.experiment.settings import BackendItems, GuestSettings, WorkloadItems
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.yamlfile import Model, SomeItems, Text, nearest

FOLDER, names = settings.SUITES, settings.suites


@dataclass(frozen=True, slots=True)
class SuiteGroup(Model):
    """Back-ends by workloads, each as a spec file has them."""

    backends: BackendItems
    workloads: WorkloadItems
    preset: Text = "quick"
    guest: GuestSettings = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _File(Model):
    description: Text
    why: Text
    groups: SomeItems[SuiteGroup]


@dataclass(frozen=True, slots=True)
class Suite:
    """The cells of a suite, in the order of its file."""

    name: str
    description: str
    cells: tuple[Cell, ...]


def groups(name: str, *, folder: Path = FOLDER) -> tuple[SuiteGroup, ...]:
    """The groups of a suite as its file has them.  Errors as in `load`."""
    load(name, folder=folder)
    return _read(name, folder).groups


def load(
    name: str,
    *,
    preset: str = "",
    guest: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
) -> Suite:
    """Suite ``name``, all of its cells: `cell.runnable` says which of them can run.

    ``preset`` is in place of those of the groups, and ``guest`` below theirs.
    Raises UserError naming the file and what is wrong in it.
    """
    file = _read(name, folder)
    place = _place(name)
    cells: list[Cell] = []
    for number, group in enumerate(file.groups, start=1):
        try:
            cells += cell.matrix(
                backends=group.backends,
                workloads=group.workloads,
                preset=preset or group.preset,
                guest={**(guest or {}), **group.guest},
            )
        except UserError as error:
            raise UserError(f"{place}: groups, entry {number}: {error}") from error
    try:
        cell.require_distinct(cells)
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    return Suite(name, file.description, tuple(cells))


def _read(name: str, folder: Path) -> _File:
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no suite '{name}'{nearest(name, known)}")
    return yamlfile.load(folder / f"{name}.yaml", _File, place=_place(name))


def _place(name: str) -> str:
    return f"workloads/suites/{name}.yaml"

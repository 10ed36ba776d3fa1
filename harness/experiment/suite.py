# SPDX-License-Identifier: GPL-2.0-only
"""Suites: named lists of cells in workloads/suites, each a group of back-ends by workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.experiment import cell, workload
from harness.experiment.cell import Cell
from harness.util import yamlfile
from harness.util.errors import UserError

FOLDER = workload.FOLDER / "suites"
_KEYS = {"description", "why", "groups"}
_GROUP_REQUIRED = {"backends", "workloads"}
_GROUP = _GROUP_REQUIRED | {"preset", "guest"}


@dataclass(frozen=True, slots=True)
class Suite:
    """The cells of a suite, in the order of its file."""

    name: str
    description: str
    cells: tuple[Cell, ...]


def names(folder: Path = FOLDER) -> list[str]:
    """The suites there are."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def groups(name: str, *, folder: Path = FOLDER) -> tuple[Mapping[str, Any], ...]:
    """The groups of a suite as its file has them: backends, workloads, preset, guest.

    Errors as in `load`.
    """
    load(name, folder=folder)
    return tuple(_read(folder / f"{name}.yaml", f"workloads/suites/{name}.yaml")["groups"])


def load(
    name: str,
    *,
    preset: str = "",
    guest: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
) -> Suite:
    """Suite ``name``, all of its cells: `cell.runnable` says which of them can run.

    Each group has ``backends`` and ``workloads`` as a spec file has them, and may have a
    ``preset`` and ``guest`` settings; ``preset`` here is in place of theirs, and ``guest`` below
    theirs.  Raises UserError naming the file and what is wrong in it.
    """
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no suite '{name}'{yamlfile.nearest(name, known)}")
    place = f"workloads/suites/{name}.yaml"
    data = _read(folder / f"{name}.yaml", place)
    cells: list[Cell] = []
    for number, group in enumerate(data["groups"], start=1):
        cells += _group(f"{place}, group {number}", group, preset, guest or {})
    try:
        cell.require_distinct(cells)
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    return Suite(name, str(data["description"]), tuple(cells))


def _read(path: Path, place: str) -> dict[str, Any]:
    try:
        data = yamlfile.parse(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{place} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UserError(f"{place} is not a mapping of keys")
    _check_keys(place, data, required=_KEYS, known=_KEYS)
    if not isinstance(data["groups"], list) or not data["groups"]:
        raise UserError(f"{place}: 'groups' must be a list with something in it")
    return data


def _group(place: str, group: Any, preset: str, guest: Mapping[str, Any]) -> tuple[Cell, ...]:
    if not isinstance(group, dict):
        raise UserError(f"{place} is not a mapping of keys")
    _check_keys(place, group, required=_GROUP_REQUIRED, known=_GROUP)
    own = group.get("guest") or {}
    cell.check_guest(place, own)
    try:
        return cell.matrix(
            backends=cell.entries(place, "backends", group["backends"]),
            workloads=cell.entries(place, "workloads", group["workloads"]),
            preset=preset or str(group.get("preset", "quick")),
            guest={**guest, **own},
        )
    except UserError as error:
        said = str(error)
        raise UserError(said if said.startswith(place) else f"{place}: {said}") from error


def _check_keys(
    place: str, data: Mapping[str, Any], *, required: set[str], known: set[str]
) -> None:
    for key in data:
        if key not in known:
            raise UserError(f"{place}: unknown key '{key}'{yamlfile.nearest(str(key), known)}")
    missing = required - data.keys()
    if missing:
        raise UserError(f"{place}: key '{min(missing)}' is missing")

"""Suites: named lists of cells in workloads/suites, each a group of back-ends by workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import spec, workload
from harness.errors import UserError
from harness.spec import Cell

FOLDER = workload.FOLDER / "suites"
_KEYS = {"description", "why", "groups"}
_GROUP_REQUIRED = {"backends", "workloads"}
_GROUP = _GROUP_REQUIRED | {"preset", "guest"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A cell that is left out, and why, as one clause."""

    cell: str
    reason: str


@dataclass(frozen=True, slots=True)
class Suite:
    """The cells of a suite, in the order of its file."""

    name: str
    description: str
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...]


def names(folder: Path = FOLDER) -> list[str]:
    """The suites there are."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(
    name: str,
    *,
    config: Mapping[str, str] | None = None,
    memory: int = 0,
    folder: Path = FOLDER,
) -> Suite:
    """Suite ``name``; ``config`` and ``memory`` are those of `workload.skip_reason`.

    Each group has ``backends`` and ``workloads`` as a spec file has them, and may have a
    ``preset`` and ``guest`` settings.  Raises UserError naming the file and what is wrong in it.
    """
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no suite '{name}'{workload.nearest(name, known)}")
    place = f"workloads/suites/{name}.yaml"
    data = _read(folder / f"{name}.yaml", place)
    cells: list[Cell] = []
    skipped: list[Skipped] = []
    for number, group in enumerate(data["groups"], start=1):
        for cell in _group(f"{place}, group {number}", group):
            reason = workload.skip_reason(
                cell.workload, backend=cell.backend.kind, config=config, memory=memory
            )
            if reason:
                skipped.append(Skipped(cell.name, reason))
            else:
                cells.append(cell)
    _require_unique(place, [cell.name for cell in cells] + [item.cell for item in skipped])
    return Suite(name, str(data["description"]), tuple(cells), tuple(skipped))


def _read(path: Path, place: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{place} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UserError(f"{place} is not a mapping of keys")
    _check_keys(place, data, required=_KEYS, known=_KEYS)
    if not isinstance(data["groups"], list) or not data["groups"]:
        raise UserError(f"{place}: 'groups' must be a list with something in it")
    return data


def _group(place: str, group: Any) -> tuple[Cell, ...]:
    if not isinstance(group, dict):
        raise UserError(f"{place} is not a mapping of keys")
    _check_keys(place, group, required=_GROUP_REQUIRED, known=_GROUP)
    try:
        return spec.load(None, group).cells()
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def _check_keys(
    place: str, data: Mapping[str, Any], *, required: set[str], known: set[str]
) -> None:
    for key in data:
        if key not in known:
            raise UserError(f"{place}: unknown key '{key}'{workload.nearest(str(key), known)}")
    missing = required - data.keys()
    if missing:
        raise UserError(f"{place}: key '{min(missing)}' is missing")


def _require_unique(place: str, cells: list[str]) -> None:
    twice = {name for name in cells if cells.count(name) > 1}
    if twice:
        raise UserError(
            f"{place}: cell '{min(twice)}' is in it twice; "
            "give its back-end or workload another 'name'"
        )

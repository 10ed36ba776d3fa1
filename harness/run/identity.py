# SPDX-License-Identifier: GPL-2.0-only
"""What identifies a result: kernels, settings, cells and what runs them.

It is known before anything is built.  From it a result gets the end of its name, so that two
comparisons that differ in anything have two folders, and ``experiment.json`` keeps it: a folder
goes on only with what it was begun with.  Cells and pairs may be added to a comparison.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.experiment import program, settings, spec
from harness.experiment.cell import Cell
from harness.experiment.settings import Identity
from harness.experiment.spec import Experiment
from harness.results import manifest as schema
from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.util import atomic
from harness.util.errors import UserError
from harness.vm import accel
from harness.vm.accel import Accelerator

NAME = "experiment.json"
CELL = "cell "
"""What the keys of cells begin with in `unlike`."""
SWITCH = "head_guest"
"""The setting that switches the second kernel in the guest."""

_DIGITS = 7
_WORDS = {
    "kernels.base": "the base kernel",
    "kernels.patch": "the patched kernel",
    "accel": "the accelerator",
    "qemu": "QEMU",
    "image": "the guest's image",
    "tools": "the guest programs",
    "kind": "the command",
    SWITCH.upper(): "the patched kernel's switch",
}


@dataclass(frozen=True, slots=True)
class BootMethod:
    """What boots a cell, as far as a figure may depend on it.

    tools: the folder of the guest programs; image: key of the plain image; images: keys of those
    with further packages, by packages
    """

    accelerator: Accelerator
    clock: str
    disk: str
    tools: Path
    image: str
    images: Mapping[tuple[str, ...], str] = field(default_factory=dict)


def of(
    experiment: Experiment, method: BootMethod, kernels: Mapping[str, str], *, kind: ResultKind
) -> dict[str, Any]:
    """The identity as plain data.  ``kernels`` are the keys of both kernels, by arm."""
    data = {
        "kind": kind.value,
        "experiment": identifying(experiment, method.clock),
        "cells": {cell.name: definition(cell) for cell in experiment.cells()},
        "kernels": dict(kernels),
        "clock": method.clock,
        "disk": method.disk,
        "accel": method.accelerator.name,
        "qemu": accel.qemu_version(),
        "image": method.image,
        "images": {" ".join(names): key for names, key in method.images.items()},
        "tools": method.tools.name,
    }
    return dict(json.loads(json.dumps(data)))


def definition(cell: Cell) -> dict[str, str]:
    """What a cell runs: the same name may mean other settings in another run."""
    made = cell.workload
    return {
        "back-end": cell.backend.kind,
        "workload": made.program,
        "memory.max": made.memory_max,
        **dict(cell.backend.settings),
        **dict(made.parameters),
    }


def named(
    experiment: Experiment, words: str, data: Mapping[str, Any], *, grows: bool
) -> Experiment:
    """The experiment with the name of its folder: that of the user, or words and a digest.

    grows: cells can be added to the result, so its name does not depend on them
    """
    if experiment.name:
        return experiment
    parts = _parts(data)
    if grows:
        free = (CELL, "images ")
        parts = {key: value for key, value in parts.items() if not key.startswith(free)}
        # These change all cells.
        asked = data["experiment"]
        parts |= {name: asked[name] for name in ("preset", "guest", "set") if name in asked}
        # Whoever changes a program of his own means another comparison, not one more cell.
        parts |= {
            CELL + cell.name: definition(cell) for cell in experiment.cells() if cell.workload.own
        }
    digest = hashlib.sha256(atomic.json_text(parts).encode()).hexdigest()[:_DIGITS]
    return experiment.changed(name=f"{words}-{digest}")


class OtherResult(UserError):
    """The folder of a result holds another one.  what: a sentence without the way out."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what}. {way_out}")
        self.what = what


def require(folder: Path, data: Mapping[str, Any], *, grows: bool) -> None:
    """Refuse to mix: OtherResult unless ``folder`` is new or was begun with the same.

    All differences are named, and nothing is written.  grows: as in `differences`
    """
    claimed(folder, ResultKind(data["kind"]))
    old = read(folder)
    found = list(differences(old, data, grows=grows)) if old is not None else []
    if found:
        raise OtherResult(
            f"'{folder}' holds a result that differs from this run in {'; '.join(found)}",
            f"Without NAME= each run has a folder of its own; or give another NAME=, or remove "
            f"that result ('harness results rm {folder.name}')",
        )


def claimed(folder: Path, kind: ResultKind) -> None:
    """UserError if ``folder`` holds a result of another kind."""
    found = _kind(folder)
    if found not in (None, kind):
        raise UserError(
            f"'{folder}' holds a result of '{found.said}', and this is '{kind.said}': give "
            f"another NAME=, or remove that result ('harness results rm {folder.name}')"
        )


def _kind(folder: Path) -> ResultKind | None:
    """What a folder is, or is to be, a result of; None if nobody can tell yet."""
    data = read(folder) or {}
    if "kind" in data:
        return ResultKind(data["kind"])
    if (folder / "boots").is_dir() and not (folder / schema.NAME).is_file():
        return None
    try:
        return kind_of(folder)
    except UserError:
        return None


def read(folder: Path) -> dict[str, Any] | None:
    """experiment.json of a results folder; None if there is none."""
    return atomic.json_file(folder / NAME)


def keep(folder: Path, data: Mapping[str, Any]) -> None:
    """Write experiment.json, after `require`."""
    atomic.text(folder / NAME, atomic.json_text(data))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], *, grows: bool) -> Iterator[str]:
    """Each thing that two identities differ in, as a clause; arguments as `unlike`."""
    found = unlike(old, new, grows=grows)
    cells = []
    for key, (was, now) in found.items():
        if key.startswith(CELL):
            told = _few(_changed(was, now)) if was and now else "only there" if was else "not there"
            cells.append(f"{key} ({told})")
        else:
            yield f"{_WORDS.get(key, key)} ({_shown(key, was)} before, {_shown(key, now)} now)"
    if cells:
        yield cells[0] + (f" and {len(cells) - 1} more cells" if len(cells) > 1 else "")


def unlike(
    old: Mapping[str, Any], new: Mapping[str, Any], *, grows: bool
) -> dict[str, tuple[Any, Any]]:
    """What two identities differ in: by key, what it is in each; None where one has it not.

    grows: a cell that only one of them has is no difference
    """
    before, now = _parts(old), _parts(new)
    free = (CELL, "images ") if grows else ("images ",)
    order = sorted(before.keys() | now.keys(), key=lambda name: (name not in _WORDS, name))
    return {
        key: (before.get(key), now.get(key))
        for key in order
        if before.get(key) != now.get(key)
        and not ((key not in before or key not in now) and key.startswith(free))
    }


def continued(experiment: Experiment, folder: Path) -> Experiment:
    """The experiment as it goes on in ``folder``: with the cells and pairs that are there.

    ``pairs`` of 0 stand for those of the result.  UserError where the cells of both together are
    no matrix, or where more pairs are asked for some of the cells.
    """
    old, made = read(folder), schema.load(folder)
    if old is None or not made.cells:  # nothing was finished there
        return experiment
    asked, there = experiment.schedule.pairs, made.pairs or 0
    one = experiment.changed(pairs=asked or there)
    mine = {cell.name for cell in one.cells()}
    others = set(made.cells) - mine
    if not others:
        return one
    if asked > there:
        raise UserError(
            f"'{folder}' also has {_few(sorted(others))}, with {there} pairs: ask for all of its "
            "cells to have more pairs of each, or give another NAME="
        )
    former = replace(one, matrix=spec.load(None, _matrix(old), home=folder).matrix)
    if mine <= {cell.name for cell in former.cells()}:
        return former
    both = one.changed(
        backends=_joined(former.matrix.backends, one.matrix.backends),
        workloads=_joined(former.matrix.workloads, one.matrix.workloads),
    )
    if (
        one.matrix.suite
        or former.matrix.suite
        or {cell.name for cell in both.cells()} != (mine | {cell.name for cell in former.cells()})
    ):
        raise UserError(
            f"'{folder}' also has {_few(sorted(others))}: ask for those, too (BACKENDS=, "
            "WORKLOADS=), or give another NAME="
        )
    return both


def _joined(old: Sequence[Any], new: Sequence[Any]) -> tuple[Any, ...]:
    there = [program.kept(one) for one in old]
    return (*old, *(one for one in new if program.kept(one) not in there))


def _matrix(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the matrix in an identity, as a spec file has them."""
    given = data["experiment"]
    known = {name for name, one in settings.stored().items() if one.part == "matrix"}
    if given.get("suite"):
        known -= {"backends", "workloads"}
    return {name: value for name, value in given.items() if name in known}


def identifying(experiment: Experiment, clock: str) -> dict[str, Any]:
    """The settings that identify a result, as plain data."""
    data = experiment.as_data()
    data["workloads"] = [program.kept(item) for item in data["workloads"]]
    return {
        name: data[name]
        for name, one in settings.stored().items()
        if one.identity is Identity.ALWAYS
        or (one.identity is Identity.WALL and clock == "wall")
        or (one.identity is Identity.CHANGED and experiment.value(name) != one.default)
    }


def _parts(data: Mapping[str, Any]) -> dict[str, Any]:
    """All that has to agree, by its name.

    How the kernels were asked for does not count, because their keys say what they are; nor does
    how the cells were asked for.
    """
    known = settings.stored()
    given = data.get("experiment", {})
    plain = ("clock", "disk", "accel", "qemu", "image", "tools")
    found = {name: data.get(name) for name in plain}
    found |= {f"kernels.{arm}": key for arm, key in data.get("kernels", {}).items()}
    found |= {
        name.upper(): json.loads(json.dumps(given.get(name, one.default)))
        for name, one in known.items()
        if one.part not in ("kernels", "matrix") and one.identity is not Identity.NEVER
    }
    # No key of a kernel says how that is switched in the guest.
    if given.get(SWITCH):
        found[SWITCH.upper()] = given[SWITCH]
    found |= {name: given[name] for name in given.keys() - known.keys()}
    found |= {f"images {names}": key for names, key in data.get("images", {}).items()}
    return found | {f"{CELL}{name}": one for name, one in _cells(data).items()}


def _cells(data: Mapping[str, Any]) -> dict[str, Any]:
    """The cells by name; a result of 0.1.0 has only what they were asked for by."""
    if "cells" in data:
        return dict(data["cells"])
    try:
        former = spec.load(None, _matrix(data))
    except UserError:
        return {}  # a workload or setting that is there no longer: its programs differ, too
    return {cell.name: definition(cell) for cell in former.cells()}


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} {was.get(key, 'unset')} before, {now.get(key, 'unset')} now"
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    ]


def _few(items: Sequence[str], most: int = 4) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _shown(key: str, value: Any) -> str:
    one = settings.stored().get(key.lower())
    if one is None or value is None:
        return str(value)
    return one.show(tuple(value) if isinstance(value, list) else value)

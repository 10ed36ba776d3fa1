# SPDX-License-Identifier: GPL-2.0-only
"""What a results folder is: its kind, and the record of a study that is made of several results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.results.manifest import NAME, SCHEMA, ResultKind, load
from harness.util import atomic
from harness.util.errors import UserError

_SHOWN = 3
# Folders of before schema 2, where no file says the kind.
_FORMER = {
    "calibration.txt": ResultKind.CALIBRATE,
    "revisions.txt": ResultKind.REVISIONS,
    "history.sqlite": ResultKind.NIGHTLY,
}


def kind_of(folder: Path) -> ResultKind:
    """What a results folder is a result of.  UserError if it is no results folder."""
    for kind in ResultKind:
        if kind.record != NAME and (folder / kind.record).is_file():
            return kind
    if (folder / "boots").is_dir():
        return load(folder).kind
    for name, kind in _FORMER.items():
        if (folder / name).is_file():
            return kind
    if not folder.is_dir():
        raise UserError(f"there is no result '{folder}'{instead(folder.parent)}")
    raise UserError(
        f"'{folder}' is no result: it has neither a folder 'boots' nor a record like "
        f"{ResultKind.WALK.record}{instead(folder)}"
    )


def instead(folder: Path) -> str:
    """The end of a sentence: the newest results in a folder; "" if it has none."""
    marks = ("boots", *(kind.record for kind in ResultKind), *_FORMER)
    found = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if any((path / mark).exists() for mark in marks)
    ]
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    shown = ", ".join(str(path) for path in newest[:_SHOWN])
    return f"; the newest results there: {shown}" if shown else ""


def write(folder: Path, kind: ResultKind, data: Mapping[str, Any]) -> None:
    """Write the record of a study into its results folder."""
    head = {"schema": SCHEMA, "kind": kind.value}
    atomic.text(folder / kind.record, atomic.json_text({**head, **data}))


def read(folder: Path, kind: ResultKind) -> dict[str, Any]:
    """The record of a study; its "schema" says which version wrote it.

    UserError if there is none, or if a later version wrote it.
    """
    path = folder / kind.record
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = int(data["schema"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"'{path}' is not a record of a {kind}: run 'make {kind.target}' again"
        ) from error
    if schema > SCHEMA:
        raise UserError(f"'{path}' has schema {schema}; this harness reads up to {SCHEMA}")
    return dict(data)

# SPDX-License-Identifier: GPL-2.0-only
"""Faults inside a guest, and a QEMU that cannot: the first of two guests is broken by the shim."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.results import frames
from tests.faults import happened
from tests.faults.happened import Happened, Reference
from tests.faults.room import Room
from tests.faults.table import Fault

_SCRIPTS = Path(__file__).with_name("guest")
_PLANNED = ("append", "options", "address_space")


def guest(fault: Fault, room: Room, _: Reference) -> Happened:
    """Break the first guest; it is noticed in the ``stage`` that the row names.

    The time to notice is that from the begin of the stage, so it is at most too long.
    """
    settings = fault.settings
    plan = {key: settings[key] for key in _PLANNED if key in settings}
    files = {place: str(_SCRIPTS / name) for place, name in settings.get("files", {}).items()}
    room.plan({**plan, "files": files, "boots": 1})
    command = room.compare(settings=settings.get("settings"))
    command.until(lambda: bool(room.guests()), happened.LIMIT, "the first guest")
    start = time.monotonic()
    limit = fault.expect.within + happened.LIMIT
    found = happened.of(room, command, seconds=0.0, limit=limit)
    seconds = time.monotonic() - start
    hit = happened.first_boot(room.cell)
    if hit:
        facts = json.loads((hit / "boot.json").read_text(encoding="utf-8"))
        seconds = facts["wall_s"].get(settings["stage"], seconds)
    return replace(found, seconds=seconds, faults=tuple(_wrong(fault, room, hit)))


def _wrong(fault: Fault, room: Room, hit: Path | None) -> Iterator[str]:
    for place, outcome in happened.other_outcomes(room.cell).items():
        if outcome != "ok":
            yield f"{place}, which was not touched, ended with {outcome}"
    if hit is None:
        return
    most = float(fault.settings.get("most", "inf"))
    for path in hit.iterdir():
        if path.stat().st_size > most:
            yield f"{path.name} was kept with {path.stat().st_size >> 20} MiB"
    defect = fault.settings.get("defect")
    if defect:
        told = frames.load(room.cell).defects.to_string()
        if defect not in told:
            yield f"no defect of the result names '{defect}'"

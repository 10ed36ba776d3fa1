# SPDX-License-Identifier: GPL-2.0-only
"""What happened after a fault, as the ways to break things hand it to the judge."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from harness.util.errors import Exit
from tests.faults.room import Room, Running

VERDICTS = (Exit.OK, Exit.WORSE, Exit.UNDECIDED)
"""The statuses of a finished comparison."""
LIMIT = 900.0
"""Seconds that any command of the matrix may take beyond what is expected of it."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One fault's consequences.

    status: of the command; seconds: until the fault was noticed
    outcome, detail: of the boot that was hit, "" if it left no result
    words: all that the command said; kept: the files of that boot that are not empty
    notes: worth telling; faults: what a way itself found wrong, a sentence each
    """

    status: int
    seconds: float
    outcome: str = ""
    detail: str = ""
    words: str = ""
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """The undisturbed run: its results folder, and the seconds that it took without builds."""

    folder: Path
    seconds: float


def of(room: Room, command: Running, *, seconds: float, limit: float = LIMIT) -> Happened:
    """Wait for the command, and read what became of the boot that ran first."""
    status = command.wait(limit)
    hit = first_boot(room.cell)
    if hit is None:
        return Happened(status, seconds, words=command.said())
    facts = json.loads((hit / "boot.json").read_text(encoding="utf-8"))
    kept = tuple(sorted(path.name for path in hit.iterdir() if path.stat().st_size))
    return Happened(status, seconds, facts["outcome"], facts["detail"], command.said(), kept)


def first_boot(cell: Path) -> Path | None:
    """The folder of the boot that ran first, None if it has no result."""
    for path in cell.glob("boots/*/00-*/boot.json"):
        if json.loads(path.read_text(encoding="utf-8"))["position"] == 0:
            return path.parent
    return None


def other_outcomes(cell: Path) -> dict[str, str]:
    """The outcomes of all boots but the first, by place."""
    hit = first_boot(cell)
    found = {}
    for path in cell.glob("boots/*/*/boot.json"):
        if path.parent != hit:
            name = path.parent.relative_to(cell / "boots").as_posix()
            found[name] = json.loads(path.read_text(encoding="utf-8"))["outcome"]
    return found


def wait_until_quiet(room: Room, limit: float) -> float:
    """Seconds until nothing of the room runs; ``limit`` if something still does."""
    start = time.monotonic()
    while room.left_running() and time.monotonic() - start < limit:
        time.sleep(0.1)
    return time.monotonic() - start

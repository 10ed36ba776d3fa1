# SPDX-License-Identifier: GPL-2.0-only
"""The end of the harness or of QEMU in mid-run, and somebody who wants the same folder."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.util.units import parse_size
from tests.faults import happened, same
from tests.faults.happened import VERDICTS, Happened, Reference
from tests.faults.room import Room, Running, under_way
from tests.faults.table import Fault

_LINES = b"nobody will read this line of the console, nor any of those that follow\n" * 15000
_EARLY = 10.0
"""Seconds after the start of a command in which there is hardly a guest yet."""
_QUIET = 10.0
"""Seconds in which nothing may be left running after the harness was killed."""


def signals(fault: Fault, room: Room, _: Reference) -> Happened:
    """Send signals to the harness or to QEMU while the first guest is in its workload."""
    command = _in_workload(room)
    start = time.monotonic()
    target = room.guests()[-1] if fault.settings["target"] == "qemu" else command.pid
    for name in fault.settings["signals"]:
        _send(command, target, signal.Signals[f"SIG{name}"])
        time.sleep(fault.settings.get("apart", 0))
    found = happened.of(room, command, seconds=0.0, limit=fault.expect.within + happened.LIMIT)
    seconds = time.monotonic() - start
    if found.outcome:  # the comparison went on: what counts is when this boot had ended
        seconds = _ended(room, start) or seconds
    return replace(found, seconds=seconds)


def _ended(room: Room, start: float) -> float | None:
    """Seconds from ``start`` (monotonic) to the end of the boot that was hit."""
    hit = happened.first_boot(room.cell)
    if hit is None:
        return None
    return (hit / "boot.json").stat().st_mtime - (time.time() - time.monotonic() + start)


def grow(fault: Fault, room: Room, _: Reference) -> Happened:
    """Write into a file that QEMU writes, as a guest without end would, until the guest is ended.

    A guest itself takes half an hour for a gigabyte through the emulated port.
    """
    command = _in_workload(room)
    (path,) = room.cell.glob(f"boots/*/.*/{fault.settings['file']}")
    start, left = time.monotonic(), parse_size(fault.settings["size"])
    guest = room.guests()[-1]
    with path.open("ab", buffering=0) as stream:
        while left > 0 and Path(f"/proc/{guest}").exists():
            left -= stream.write(_LINES)
    found = happened.of(room, command, seconds=0.0, limit=fault.expect.within + happened.LIMIT)
    hit = happened.first_boot(room.cell)
    kept = (hit / fault.settings["file"]).stat().st_size >> 20 if hit else 0
    note = f"{fault.settings['file']} was kept with {kept} MiB"
    return replace(found, seconds=_ended(room, start) or 0.0, notes=(note,))


def kills(fault: Fault, room: Room, reference: Reference) -> Happened:
    """Kill the harness at random moments, ``times`` times, and then let it end.

    A comparison that ended before its moment is held against the undisturbed one, its folder is
    removed, and the next kill hits a new one: it counts for no kill.
    """
    draw = random.Random(f"{fault.name} {fault.settings.get('seed', 1)}")
    settings = fault.settings.get("settings")
    faults, notes, slowest = [], [], 0.0
    kept: dict[Path, int] = {}
    left = int(fault.settings["times"])
    while left:
        delay = draw.uniform(-_EARLY, reference.seconds)
        moment = delay + _EARLY if delay < 0 else delay
        room.plan({})
        command = room.compare(settings=settings)
        if delay > 0:
            _pause(command, lambda: bool(room.guests()), happened.LIMIT)
        _pause(command, lambda: False, moment)
        if command.status is not None:
            faults += _ended_first(command.status, room, reference)
            notes.append("a comparison ended before its kill: the next begins anew")
            if faults:  # nothing is gained by more of them
                break
            shutil.rmtree(room.cell)
            kept = {}
            continue
        command.end()
        left -= 1
        slowest = max(slowest, happened.wait_until_quiet(room, _QUIET))
        faults += [f"process {pid} outlived the harness" for pid in room.left_running()]
        now = {path: path.stat().st_mtime_ns for path in room.cell.glob("boots/*/[!.]*/boot.json")}
        lost = [path for path, when in kept.items() if now.get(path) != when]
        faults += [f"{path.parent.name}, which was done, was run again" for path in lost]
        kept = now
        since = "its start" if delay < 0 else "the first guest"
        notes.append(f"{moment:.1f} s after {since}: {len(kept)} boots were done")
    last = room.compare(settings=settings)
    found = happened.of(room, last, seconds=slowest)
    return replace(found, notes=tuple(notes), faults=tuple(faults))


def _ended_first(status: int, room: Room, reference: Reference) -> list[str]:
    """What is wrong with a comparison that was killed before and has now ended."""
    if status not in VERDICTS:
        return [f"the comparison ended with {status} before its kill"]
    return list(same.compare(room.cell, reference.folder).faults)


def _pause(command: Running, over: Callable[[], bool], limit: float) -> None:
    """Wait until it is ``over``, the command has ended or ``limit`` seconds have gone by."""
    end = time.monotonic() + limit
    while command.status is None and not over() and time.monotonic() < end:
        time.sleep(0.05)


def second(fault: Fault, room: Room, _: Reference) -> Happened:
    """Start the same comparison again while it runs."""
    one = _in_workload(room)
    start = time.monotonic()
    other = room.compare(settings=fault.settings.get("settings"))
    status = other.wait(happened.LIMIT)
    seconds = time.monotonic() - start
    first = one.wait(happened.LIMIT)
    faults = () if first in VERDICTS else (f"the first comparison ended with {first}",)
    return Happened(status, seconds, words=other.said(), faults=faults)


def _in_workload(room: Room) -> Running:
    command = room.compare()
    command.until(lambda: under_way(room.cell), happened.LIMIT, "the first workload")
    return command


def _send(command: Running, target: int, number: int) -> None:
    if target == command.pid:
        command.send(number)
    else:
        os.kill(target, number)

# SPDX-License-Identifier: GPL-2.0-only
"""A host that is too small, that fills up, or whose wall clock jumps."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.util.command import run
from harness.util.errors import InfraError
from harness.util.process import stop, tethered
from tests.faults import happened
from tests.faults.happened import Happened, Reference
from tests.faults.room import Room, under_way
from tests.faults.table import Fault

_CLOCK = Path(__file__).with_name("clock.c")
_BLOCK = bytes(1 << 20)


def refused(fault: Fault, room: Room, _: Reference) -> Happened:
    """Ask for what does not fit; with ``small`` the cache is empty and on a disk of that size."""
    env = {}
    if "small" in fault.settings:
        place = room.folder / "cache"
        room.stack.enter_context(_small_disk(room, place, fault.settings["small"]))
        env["XDG_CACHE_HOME"] = str(place)
    command = room.compare(settings=fault.settings.get("settings"), env=env)
    status = command.wait(happened.LIMIT)
    seconds = time.monotonic() - command.start
    faults = ("a guest was started",) if room.guests() else ()
    return Happened(status, seconds, words=command.said(), faults=faults)


def full(fault: Fault, room: Room, _: Reference) -> Happened:
    """Fill the disk under the results, or under what a boot throws away; then make room again."""
    place = {"results": room.results, "temporary": room.temporary}[fault.settings["place"]]
    room.stack.enter_context(_small_disk(room, place, fault.settings["size"]))
    command = room.compare(settings=fault.settings.get("settings"))
    command.until(lambda: under_way(room.cell), happened.LIMIT, "the first workload")
    start = time.monotonic()
    filler = room.seen(place) / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(_BLOCK)
    found = happened.of(room, command, seconds=0.0)
    found = replace(found, seconds=time.monotonic() - start)
    filler.unlink()
    return found


def clock(fault: Fault, room: Room, _: Reference) -> Happened:
    """Run a comparison whose wall clock is stepped all the time."""
    library = room.folder / "clock.so"
    run(["gcc", "-std=c11", "-O2", "-shared", "-fPIC", "-o", str(library), str(_CLOCK)])
    room.stack.callback(library.unlink)
    command = room.compare(
        settings=fault.settings.get("settings"), env={"LD_PRELOAD": str(library)}
    )
    status = command.wait(fault.expect.within + happened.LIMIT)
    return Happened(status, time.monotonic() - command.start, words=command.said())


@contextmanager
def _small_disk(room: Room, place: Path, size: str) -> Iterator[None]:
    """A tmpfs of ``size`` at ``place``, for the room's commands only; takes no root.

    A process holds the mount name space; the commands enter it, and what lies there is seen from
    here through that process.  Raises InfraError where user name spaces cannot be had.
    """
    place.mkdir(parents=True, exist_ok=True)
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sleep", "infinity"]
    holder = subprocess.Popen(
        tethered(argv), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        room.before = ("nsenter", "--preserve-credentials", "--user", "--mount")
        room.before += ("--target", str(holder.pid))
        _wait_for_namespace(holder)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", str(place)]
        run([*room.before, *mount])
        room.seen_below = Path(f"/proc/{holder.pid}/root")
        yield
    finally:
        room.before, room.seen_below = (), Path("/")
        stop(holder)


def _wait_for_namespace(holder: subprocess.Popen[bytes]) -> None:
    """Until ``holder`` sleeps: then its name spaces are made and its user is mapped."""
    end = time.monotonic() + 10
    while time.monotonic() < end and holder.poll() is None:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{holder.pid}/comm").read_text("utf-8").strip() == "sleep":
                return
        time.sleep(0.05)
    words = b""
    if holder.poll() is not None and holder.stderr:
        words = holder.stderr.read()
    raise InfraError(
        "no mount name space can be had for a small disk: "
        f"{os.fsdecode(words).strip() or 'unshare did not answer'}"
    )

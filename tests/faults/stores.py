# SPDX-License-Identifier: GPL-2.0-only
"""What lies on the disk is damaged: files of the cache, a result that was copied in half."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

from harness.util import command
from harness.util.errors import Exit
from harness.util.paths import Cache
from tests.faults import happened
from tests.faults.happened import Happened, Reference
from tests.faults.room import CELL, Room
from tests.faults.table import Fault

_MOST_REPAIRS = 10
_REMOVE = re.compile(r"; remove '([^']+)' to run that boot again")


def cache(fault: Fault, room: Room, reference: Reference) -> Happened:
    """Damage one file of a copy of the cache, and see whether it is noticed."""
    entry, damage = fault.settings["entry"], fault.settings["damage"]
    place = _own_cache(room, own=(entry, "build"))
    source, target = room.ground.cache.root / entry, place / entry
    name = _key(reference, entry)
    target.mkdir()
    for path in source.glob(f"{name}*" if name else "*"):
        command.run(["cp", "-a", "--sparse=always", str(path), str(target)])
    _damage(target / name / fault.settings["file"], damage)
    running = room.compare(env={"XDG_CACHE_HOME": str(place.parent)})
    running.until(
        lambda: bool(re.search(fault.expect.says, running.said())),
        fault.expect.within + happened.LIMIT,
        "a word of the damage",
    )
    seconds = time.monotonic() - running.start
    if fault.settings["ends"] == "interrupt":
        running.send(signal.SIGINT)
    found = happened.of(room, running, seconds=seconds)
    was_booted = fault.settings["ends"] == "interrupt" and room.guests()
    return replace(found, faults=("a guest was started",) if was_booted else ())


def no_ccache(fault: Fault, room: Room, _: Reference) -> Happened:
    """Have a kernel built where no ccache is found, and interrupt it while it compiles."""
    place = _own_cache(room, own=("kernels", "build", "ccache"))
    farm = room.folder / "programs"
    room.stack.callback(shutil.rmtree, farm, ignore_errors=True)
    _programs_without("ccache", farm)
    path = f"{room.folder / 'bin'}:{farm}"
    # The sandbox shows /usr; these programs lie elsewhere.
    env = {"XDG_CACHE_HOME": str(place.parent), "PATH": path, "SANDBOX_READ": str(farm)}
    running = room.compare(env=env)

    def compiles() -> bool:
        logs = (place / "build").glob("*/build-*.log")
        return any(b"  CC " in path.read_bytes() for path in logs)

    running.until(compiles, happened.LIMIT, "the first object")
    start = time.monotonic()
    running.send(signal.SIGINT)
    found = happened.of(room, running, seconds=0.0)
    # Beside them lie the locks of kernels that are being built.
    published = any(path.is_dir() for path in (place / "kernels").glob("*"))
    faults = ("a half-built kernel was published",) if published else ()
    return replace(found, seconds=time.monotonic() - start, faults=faults)


def half(_: Fault, room: Room, reference: Reference) -> Happened:
    """Copy the first half of a result's files, ask verify, then go on as the harness says."""
    whole = reference.folder
    files = sorted(path for path in whole.rglob("*") if path.is_file() and path.name != ".lock")
    files = files[: len(files) // 2]
    while files[-1].stat().st_size == 0:  # nothing of it could be cut off
        files.pop()
    for path in files:
        target = room.cell / path.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    last = room.cell / files[-1].relative_to(whole)
    os.truncate(last, last.stat().st_size // 2)
    verify = room.harness(["verify", str(room.results / CELL)])
    status = verify.wait(happened.LIMIT)
    seconds, words, faults = time.monotonic() - verify.start, verify.said(), []
    if str(last.relative_to(room.cell)) not in words:
        faults.append(f"verify does not name {last.relative_to(room.cell)}")
    notes = []
    for _count in range(_MOST_REPAIRS):
        again = room.compare(settings={"pairs": 2})
        if again.wait(happened.LIMIT) != Exit.USER:
            break
        said = _REMOVE.search(again.said())
        if not said or not Path(said[1]).is_relative_to(room.results):
            faults.append(f"no way out was said: {again.said().splitlines()[-1]}")
            break
        notes.append(f"told to remove {Path(said[1]).relative_to(room.results)}")
        shutil.rmtree(said[1])
    return Happened(status, seconds, words=words, notes=tuple(notes), faults=tuple(faults))


def _own_cache(room: Room, *, own: tuple[str, ...]) -> Path:
    """A cache whose entries are the user's, by links, but for ``own``, which are not there."""
    place = Cache(room.folder / "cache" / "swap-harness").root
    place.mkdir(parents=True)
    room.stack.callback(_forget, room, place.parent)
    for path in room.ground.cache.root.iterdir():
        if path.name not in own:
            (place / path.name).symlink_to(path)
    return place


def _forget(room: Room, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    # A work tree that was made there is still known to the user's kernel store.
    store = room.ground.cache.git
    if store.is_dir():
        command.run(["git", "-C", str(store), "worktree", "prune"], check=False)


def _key(reference: Reference, entry: str) -> str:
    """The folder of a cache entry that the undisturbed run used, "" if it has none."""
    data = json.loads((reference.folder / "experiment.json").read_text(encoding="utf-8"))
    keys = {"kernels": data["kernels"]["base"], "images": data["image"], "tools": data["tools"]}
    return str(keys.get(entry, ""))


def _damage(path: Path, how: str) -> None:
    middle = path.stat().st_size // 2
    if how == "cut":
        os.truncate(path, middle)
        return
    with path.open("r+b") as stream:
        stream.seek(middle)
        byte = stream.read(1)
        stream.seek(middle)
        stream.write(bytes([byte[0] ^ 1]))


def _programs_without(name: str, farm: Path) -> None:
    """A folder of links to every program of PATH but one."""
    farm.mkdir()
    folders = [Path(word) for word in os.environ["PATH"].split(":") if word]
    for folder in [*folders, Path("/usr/sbin"), Path("/sbin")]:
        for path in folder.iterdir() if folder.is_dir() else ():
            link = farm / path.name
            if path.name != name and not link.is_symlink():
                link.symlink_to(path)

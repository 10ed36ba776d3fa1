# SPDX-License-Identifier: GPL-2.0-only
"""Does a comparison fit this machine?  Asked before anything starts, not found out in its middle.

``admit`` is pure: what is needed and what there is -> how many guests run side by side, or the one
sentence that says why none can.  ``available`` reads what there is.  Guests never drive the host
into swap: their memory must be available as the kernel counts it (MemAvailable), inside the limits
of the control groups that this process is in.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.pair import Context
from harness.experiment.cell import Cell
from harness.experiment.spec import Experiment
from harness.util.errors import InfraError
from harness.util.hostspace import NoSpaceError, existing, free_bytes, in_words
from harness.vm import disk

QEMU_BYTES = 256 << 20
"""What QEMU takes beside the guest's memory: mostly code that TCG translated."""
_RESULTS = 64 << 20
_BOOT = 1 << 20
"""One boot's files; those of a comparison have 0.3 to 0.4 MiB, those of overhead 0.35."""
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class NoMemoryError(InfraError):
    """The host has too little free memory for the guests."""


@dataclass(frozen=True, slots=True)
class Share:
    """``size`` bytes that will be written below ``path``, and what for; ``each`` guest's or once.

    ``setting`` is the variable that moves ``path`` elsewhere.
    """

    path: Path
    size: int
    purpose: str
    setting: str
    each: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a comparison takes.

    guest: bytes of the largest guest's memory; cpus: of the host, that one guest keeps busy
    most: guests side by side at most; asked: whether PARALLEL= said so
    disk: what is written where
    """

    guest: int
    cpus: int
    most: int
    asked: bool = False
    disk: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class Has:
    """What the host has: ``memory`` available in bytes and what bounds it, cores of this process.

    disk: by path, the number of the file system that it lies on and the bytes free there
    """

    memory: int
    bound: str
    cores: int
    disk: Mapping[Path, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Admitted:
    """``guests`` run side by side; ``warnings`` are for the user."""

    guests: int
    warnings: tuple[str, ...] = ()


def admit(needs: Needs, has: Has) -> Admitted:
    """How many guests may run side by side.  Pure.

    Raises NoMemoryError when not even one guest fits, or not as many as were asked for, and
    NoSpaceError when a disk is too small; both name the way out.
    """
    one = needs.guest + QEMU_BYTES
    fit = has.memory // one
    if fit < 1 or (needs.asked and fit < needs.most):
        raise NoMemoryError(_memory_sentence(needs, has, one, fit))
    guests = needs.most if needs.asked else max(1, min(together(needs.most, has.cores), fit))
    _require_disk(needs.disk, has.disk, guests)
    warnings: tuple[str, ...] = ()
    if (needs.asked or needs.cpus > 1) and guests * needs.cpus > has.cores:
        warnings = (
            f"{guests} guests of {needs.cpus} CPUs share {has.cores} cores of this host: they take "
            "turns, and wall times have that in them",
        )
    return Admitted(guests, warnings)


def _memory_sentence(needs: Needs, has: Has, one: int, fit: int) -> str:
    said = f"a guest takes {in_words(one)} of memory ({in_words(QEMU_BYTES)} of it QEMU's own)"
    there = f"{in_words(max(has.memory, 0))} are available ({has.bound})"
    if fit < 1:
        return f"{said} but only {there}: free some, or choose a smaller MEMORY= or SWAP="
    return (
        f"{said}, and PARALLEL={needs.most} asks for {needs.most} of them, but only {there}: "
        f"PARALLEL={fit} fits"
    )


def _require_disk(
    shares: Sequence[Share], disk: Mapping[Path, tuple[int, int]], guests: int
) -> None:
    """Shares on one file system are added up."""
    for device in sorted({disk[share.path][0] for share in shares}):
        here = [share for share in shares if disk[share.path][0] == device]
        sizes = [share.size * (guests if share.each else 1) for share in here]
        needed, free = sum(sizes), min(disk[share.path][1] for share in here)
        if needed <= free:
            continue
        largest = here[sizes.index(max(sizes))]
        parts = ", ".join(
            f"{share.purpose} {in_words(size)}"
            for share, size in zip(here, sizes, strict=True)
            if size
        )
        raise NoSpaceError(
            f"this comparison needs {in_words(needed)} of disk ({parts}) but only "
            f"{in_words(free)} are free at {largest.path}; free some, or point {largest.setting} "
            "at a larger disk"
        )


@dataclass(frozen=True, slots=True)
class Load:
    """The boots of a comparison, as far as this machine feels them.

    disk: the kind of disk that swap files lie on; written: what one boot writes to its swap disk
    at most, in bytes, if that is less than the whole disk
    """

    experiment: Experiment
    cells: Sequence[Cell]
    clock: str
    disk: str
    written: int | None = None


def admitted(load: Load, context: Context, *, to_make: Mapping[str, int]) -> Admitted:
    """How many guests run side by side, as memory goes: one under wall time; else see `together`.

    Raises what `admit` does where the comparison does not fit.  ``to_make`` are bytes to
    be written in the cache, by what they are.
    """
    folder, temporary = context.results / load.experiment.title, Path(tempfile.gettempdir())
    guest, schedule = load.experiment.guest, load.experiment.schedule
    every = len(load.cells) * schedule.pairs * (3 if schedule.aa else 2)
    # Before its sources are there a comparison does not know the end of its name.
    mine = [folder] if load.experiment.name else context.results.glob(f"{folder.name}-*")
    done = max((len(list(one.glob("boots/*/*/boot.json"))) for one in mine), default=0)
    boots = max(0, every - done)
    # Swap disks are sparse, but a series may fill them.
    kinds = [(one.backend, one.disk_on(load.disk)) for one in load.cells]
    on_host = [disk.disk_bytes(one, guest.swap) for one, where in kinds if where == "host"]
    swap = max(on_host, default=0)
    swap = swap if load.written is None else min(swap, load.written)
    on_top = max(disk.guest_bytes(one, where, guest.swap) for one, where in kinds)
    limit = 1 if load.clock == "wall" else max(1, boots)
    is_here = context.scheduler is None  # guests of a cluster take nothing of this machine
    # Under the instruction clock the CPUs of a guest run in turn, in one thread.
    busy = 1 if load.clock == "insn" else guest.cpus
    needs = Needs(
        guest=guest.memory + on_top if is_here else 0,
        cpus=busy if is_here else 0,
        most=(schedule.parallel or limit) if is_here else 1,
        asked=is_here and schedule.parallel > 0,
        disk=(
            *(
                Share(context.cache.root, size, purpose, "XDG_CACHE_HOME")
                for purpose, size in to_make.items()
            ),
            Share(folder, _RESULTS + boots * _BOOT, "results", "RESULTS"),
            Share(temporary, swap if is_here else 0, "swap disks", "TMPDIR", each=True),
        ),
    )
    return admit(needs, available((context.cache.root, folder, temporary)))


def together(boots: int, cpus: int) -> int:
    """One boot a CPU; all at once if they are fewer than two a CPU, so that none is idle.  Pure."""
    return boots if boots < 2 * cpus else cpus


def available(paths: Sequence[Path]) -> Has:
    """What this host has now, and has free where ``paths`` are, or will be."""
    memory, bound = available_memory()
    disk = {path: (existing(path).stat().st_dev, free_bytes(path)) for path in paths}
    return Has(memory, bound, cores(), disk)


def cores() -> int:
    """The CPUs on which this process may run."""
    return len(os.sched_getaffinity(0))


def available_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> tuple[int, str]:
    """Bytes that can be taken before the host swaps or kills, and what bounds them.

    The least of MemAvailable and what the limits of this process's control group (version 2) and
    of those above it leave: a limit, less what is in use, less file pages that are not active.
    """
    lines = (proc / "meminfo").read_text(encoding="utf-8").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    found = [(int(values["MemAvailable"].split()[0]) << 10, "MemAvailable")]
    for folder in _groups(proc, cgroups):
        for name in ("memory.max", "memory.high"):
            limit = _number(folder / name)
            if limit is not None:
                found.append((limit - _in_use(folder), str(folder / name)))
    return min(found)


def _groups(proc: Path, cgroups: Path) -> list[Path]:
    """The folder of this process's control group and of all above it."""
    names = proc / "self" / "cgroup"
    if not names.is_file():
        return []
    own = next((line[3:] for line in _text(names).splitlines() if line.startswith("0::")), "/")
    place = cgroups / own.lstrip("/")
    # In a container the name may be the one that the host knows, and is not there.
    return [item for item in (place, *place.parents) if item.is_relative_to(cgroups)]


def _in_use(folder: Path) -> int:
    """Bytes that the group cannot give back at once."""
    lines = _text(folder / "memory.stat").splitlines()
    cached = dict(line.split() for line in lines).get("inactive_file", "0")
    return max(0, (_number(folder / "memory.current") or 0) - int(cached))


def _number(path: Path) -> int | None:
    """A control file's number, None where it is not there or says "max"."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    """A file of the kernel's; "" where it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""

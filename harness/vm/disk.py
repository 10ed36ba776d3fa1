# SPDX-License-Identifier: GPL-2.0-only
"""The swap area's disk: a file of the host's, or one that the guest simulates in its own memory.

Under the instruction clock the host's disk answers at a random guest time, and what the guest does
meanwhile - timers, writeback, which task an interrupt falls into - comes and goes with it: CPU
instructions of the same boot scattered by 1 to 10 %.  The simulated disk (null_blk with memory
behind it) answers each request a fixed guest time later, so a swap file repeats as zram does.
"""

from __future__ import annotations

from pathlib import Path

from harness.build import image
from harness.experiment import parameter
from harness.experiment.arch import HERE
from harness.experiment.backend import Backend
from harness.util.errors import UserError
from harness.util.hostspace import in_words
from harness.util.units import format_size

LATENCY_NS = 10_000
"""Guest time from request to completion on the simulated disk: the fastest drives' read, roughly.

The shorter the wait, the fewer periodic jobs of the kernel fall into a phase by chance."""
_SPARE = 128 << 20
"""ext4's journal and tables beside the swap file; and one byte in 128 for large ones."""
_LEAST = {"xfs": 320 << 20}
"""What mkfs makes a file system of at least."""
_SIMULATED = ("latency", "depth", "bandwidth")
"""Settings of the simulated disk alone."""
_PAGE = 4096
_SLOT_BYTES = 1
"""What every kernel's swap area takes for each slot at least: its byte of the swap map."""
_ZRAM_SLOT_BYTES = 16
"""What zram takes for each page of its device at least, used or not (struct zram_table_entry)."""
_LARGE_FILE = ("-T", "largefile4", "-J", "size=16")
"""One file will lie there: few inodes, a small journal."""


def choose(asked: str, clock: str) -> str:
    """``sim`` or ``host``: simulated wherever guest time is a count of instructions."""
    if asked != "auto":
        return asked
    return "sim" if clock == "insn" else "host"


def has_disk(backend: Backend) -> bool:
    """Whether the swap area lies on a disk, be it the host's or a simulated one."""
    return backend.disk in {"ext4", "raw"}


def area_bytes(backend: Backend, swap: int) -> int:
    """Size of the swap area: the back-end's own, or the experiment's."""
    return int(dict(backend.settings).get("size", swap))


def disk_bytes(backend: Backend, swap: int) -> int:
    """Size of the disk under the swap area, 0 where there is none."""
    if not has_disk(backend):
        return 0
    area = area_bytes(backend, swap)
    if backend.disk != "ext4":
        return area
    least = _LEAST.get(dict(backend.settings).get("fs", ""), 0)
    return max(least, area + ((_SPARE + area // 128) >> 20 << 20))


def guest_bytes(backend: Backend, disk: str, swap: int) -> int:
    """Memory that the guest gets on top, because a disk in its memory takes it away again.

    All of it is written once before the workload: a disk that took its memory while pages go out
    would give none back.
    """
    if backend.disk == "ram":
        area = _aligned(area_bytes(backend, swap))
        # brd finds each page in an xarray: 9 bytes a page, rounded up.  pmem has no such thing.
        return area if backend.kind == "pmem" else area + _aligned(area // 256)
    own = backend.own_settings
    return (disk_bytes(backend, swap) if disk == "sim" else 0) + int(own.get("writeback", 0))


def require_room(backend: Backend, memory: int, swap: int) -> None:
    """Raise UserError where a guest of ``memory`` bytes cannot hold the tables of the area.

    The kernel makes them when the area is set up, however little of it is used.
    """
    area, fast = area_bytes(backend, swap), int(dict(backend.settings).get("fast", 0))
    zram = fast or (area if backend.has_zram else 0)
    tables = (area + fast) // _PAGE * _SLOT_BYTES + zram // _PAGE * _ZRAM_SLOT_BYTES
    if tables > memory:
        raise UserError(
            f"back-end '{backend.name}': the kernel's tables for a swap area of "
            f"{format_size(area)} take {in_words(tables)} of memory or more, and the guest has "
            f"{format_size(memory)}; make SWAP smaller or MEMORY larger"
        )


def boot_words(backend: Backend, memory: int, swap: int) -> tuple[str, ...]:
    """The back-end's words for the kernel's command line, in a machine of ``memory`` bytes.

    Raises UserError when the machine has no room for its region.
    """
    if not backend.append:
        return ()
    size = _aligned(area_bytes(backend, swap))
    start = _region(backend, size, memory) if backend.kind == "pmem" else 0
    known = {"size": size, "size_kib": size >> 10, "start": start}
    return tuple(word.format_map(known) for word in backend.append)


def _region(backend: Backend, size: int, memory: int) -> int:
    """Where a region of ``size`` bytes lies: at the top, below what the firmware keeps there."""
    there = HERE.layout
    if memory > there.low_whole and memory - there.low_split >= size:
        return there.high + (memory - there.low_split - size) // there.align * there.align
    low = memory if memory <= there.low_whole else there.low_split
    start = (low - there.firmware - size) // there.align * there.align
    if start < there.kernel:
        raise UserError(
            f"back-end '{backend.name}': a region of {format_size(size)} does not fit a guest of "
            f"{format_size(memory)} in one piece; make SWAP smaller or MEMORY larger than that"
        )
    return start


def _aligned(size: int) -> int:
    return -(-size // HERE.layout.align) * HERE.layout.align


def words(backend: Backend, disk: str, swap: int, seed: int = 0) -> list[str]:
    """What vm-images/guest/prepare is told of it.

    ``seed`` draws the history of an aged area: the same in all boots of a pair.
    """
    own = backend.own_settings
    found = {"size": str(area_bytes(backend, swap)), **own}
    if "latency" in own:
        found["latency"] = str(parameter.nanoseconds(own["latency"]))
    if "wbt" in own:
        found["wbt"] = str(parameter.nanoseconds(own["wbt"]) // 1000)
    if "aged" in own:
        found["seed"] = str(seed)
    if has_disk(backend):
        if disk == "sim":
            found["disk"] = str(disk_bytes(backend, swap))
            found.setdefault("latency", str(LATENCY_NS))
        elif _is_bare(backend):
            found["bare"] = "yes"
    return [f"{key}={value}" for key, value in found.items()]


def require_kind(backend: Backend, disk: str) -> None:
    """Raise UserError for a setting that the kind of disk does not have."""
    asked = [key for key in _SIMULATED if key in backend.own_settings]
    if asked and disk != "sim" and has_disk(backend):
        raise UserError(
            f"back-end '{backend.name}': {asked[0]} is of the simulated disk, and this area lies "
            "on the host's: DISK=sim takes the simulated one"
        )
    if backend.own_settings.get("hibernation") == "yes" and disk != "host":
        raise UserError(
            f"back-end '{backend.name}': a simulated disk lies in the memory that hibernation "
            "saves: DISK=host takes the host's"
        )


def _is_bare(backend: Backend) -> bool:
    """Whether the guest makes the file system on the host's disk itself."""
    own = backend.own_settings
    return backend.disk == "ext4" and (own.get("fs", "ext4") != "ext4" or own.get("crypt") == "yes")


def make(path: Path, backend: Backend, swap: int) -> None:
    """The host's file: sparse, made anew for each boot, with ext4 on it or bare.

    Raises InfraError when it does not fit.
    """
    size = disk_bytes(backend, swap)
    if backend.disk == "ext4" and not _is_bare(backend):
        image.make_disk(path, None, size=f"{size >> 10}k", label="swap", options=_LARGE_FILE)
        return
    with path.open("wb") as stream:
        stream.truncate(size)

"""The swap area's disk: a file of the host's, or one that the guest simulates in its own memory.

Under the instruction clock the host's disk answers at a random guest time, and what the guest does
meanwhile - timers, writeback, which task an interrupt falls into - comes and goes with it: CPU
instructions of the same boot scattered by 1 to 10 %.  The simulated disk (null_blk with memory
behind it) answers each request a fixed guest time later, so a swap file repeats as zram does.
"""

from __future__ import annotations

from pathlib import Path

from harness import image
from harness.spec import Backend

LATENCY_NS = 10_000
"""Guest time from request to completion on the simulated disk: the fastest drives' read, roughly.

The shorter the wait, the fewer periodic jobs of the kernel fall into a phase by chance."""
_SPARE = 128 << 20
"""ext4's journal and tables beside the swap file; and one byte in 128 for large ones."""
_LARGE_FILE = ("-T", "largefile4", "-J", "size=16")
"""One file will lie there: few inodes, a small journal."""


def choose(asked: str, clock: str) -> str:
    """``sim`` or ``host``: simulated wherever guest time is a count of instructions."""
    if asked != "auto":
        return asked
    return "sim" if clock == "insn" else "host"


def area_bytes(backend: Backend, swap: int) -> int:
    """Size of the swap area: the back-end's own, or the experiment's."""
    return int(dict(backend.settings).get("size", swap))


def disk_bytes(backend: Backend, swap: int) -> int:
    """Size of the disk under the swap area, 0 where there is none."""
    if backend.disk == "none":
        return 0
    area = area_bytes(backend, swap)
    if backend.disk != "ext4":
        return area
    return area + ((_SPARE + area // 128) >> 20 << 20)


def guest_bytes(backend: Backend, disk: str, swap: int) -> int:
    """Memory that the guest gets on top, because the simulated disk takes it away again.

    All of it is written once before the workload: a disk that took its memory while pages go out
    would give none back.
    """
    return disk_bytes(backend, swap) if disk == "sim" else 0


def waits_io(backend: Backend, disk: str) -> bool:
    """Whether a page's way may wait for the host's disk, whose time no guest clock knows."""
    return backend.waits_io and disk == "host"


def words(backend: Backend, disk: str, swap: int) -> list[str]:
    """What vm-images/guest/prepare is told of it."""
    sizes = [f"size={area_bytes(backend, swap)}"]
    if disk == "sim" and backend.disk != "none":
        sizes += [f"disk={disk_bytes(backend, swap)}", f"latency={LATENCY_NS}"]
    return sizes


def make(path: Path, backend: Backend, swap: int) -> None:
    """The host's file: sparse, made anew for each boot, with ext4 on it or bare.

    Raises InfraError when it does not fit.
    """
    size = disk_bytes(backend, swap)
    if backend.disk == "ext4":
        image.make_disk(path, None, size=f"{size >> 10}k", label="swap", options=_LARGE_FILE)
        return
    with path.open("wb") as stream:
        stream.truncate(size)

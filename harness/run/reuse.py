# SPDX-License-Identifier: GPL-2.0-only
"""One boot for several comparisons: those of one base kernel with the same cells and seeds.

Several comparisons of one base would repeat one boot again and again: same kernel, cell, pair,
guest seed and place in the pair.  Under the instruction clock, where the host and the hour cannot
be seen, one of these boots serves all.  Under wall time it must not: the boots of a pair belong
together in time.  Nor where the host's disk answers while something is timed.  A boot is shared
whatever its outcome was: to run again only those that failed would make the base look sounder than
the patch.  A shared boot is hard-linked into each results folder, with its hashes, so every folder
stays whole and can be verified alone; ``shared.json`` there says which boots those are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.experiment import settings
from harness.results import checksums
from harness.run import identity
from harness.run.plan import Block
from harness.util import atomic
from harness.vm import disk
from harness.vm.boot import BootRequest

RECORD = "shared.json"


def boots(
    planned: Sequence[Block], folder: Path, donors: Iterable[Path], *, together: bool = False
) -> int:
    """Link the boots of the plan that a donor has and ``folder`` lacks; how many those are.

    ``folder`` and ``donors`` are results folders whose experiment.json is written.  Donors that
    were measured in any other way, or under another clock than instructions, give nothing.
    together: they are the arms of one study, whose boots of one pair belong together in time
    """
    mine = _method(folder)
    if mine is None or (mine["clock"] != "insn" and not together):
        return 0
    found: dict[str, str] = {}
    disk_kind = str(mine["disk"])
    wanted = [
        one for one in _lacking(planned, folder) if together or _is_repeatable(one, disk_kind)
    ]
    for donor in donors:
        if not wanted:
            break
        if donor == folder or _method(donor) != mine:
            continue
        former = read(donor)
        for request in tuple(wanted):
            boot = f"boots/{request.folder}"
            if _is_of(donor / boot, request):
                _link(donor / boot, folder / boot)
                wanted.remove(request)
                # Named is the result that it was run for.
                first = donor / former[boot] if boot in former else donor
                found[boot] = os.path.relpath(first, folder)
    if found:
        atomic.text(folder / RECORD, atomic.json_text({**read(folder), **found}))
    return len(found)


def read(folder: Path) -> dict[str, str]:
    """Which boots of a results folder were run for another one, and for which (relative to it)."""
    data = atomic.json_file(folder / RECORD) or {}
    return {str(boot): str(donor) for boot, donor in data.items()}


def _method(folder: Path) -> dict[str, Any] | None:
    """What all boots of the base depend on, of experiment.json; None if there is none.

    What its cell is, a boot says itself.
    """
    data = atomic.json_file(folder / identity.NAME)
    if data is None:
        return None
    # How kernels and cells were asked for may differ where they do not.
    free = {one.name for one in settings.stored().values() if one.part in ("kernels", "matrix")}
    experiment = {key: value for key, value in data["experiment"].items() if key not in free}
    plain = ("clock", "disk", "accel", "qemu", "image", "tools")
    return {
        **{key: data.get(key) for key in plain},
        "experiment": experiment,
        "kernel": data["kernels"]["base"],
    }


def _is_repeatable(request: BootRequest, kind: str) -> bool:
    """Whether nothing of the host is in the figures: its disk answers when it likes."""
    on_host = request.cell.disk_on(kind) == "host" and disk.has_disk(request.cell.backend)
    return request.profiled or not on_host


def _lacking(planned: Sequence[Block], folder: Path) -> Iterator[BootRequest]:
    for block in planned:
        for request in block:
            if request.arm != "patch" and not (folder / "boots" / request.folder).exists():
                yield request


def _is_of(boot: Path, request: BootRequest) -> bool:
    """Whether a boot is the one that the request asks for, to the place in its pair, and whole."""
    sums = checksums.read(boot)
    if sums is None or any(
        not (boot / path).is_file() or atomic.sha256_file(boot / path) != value
        for path, value in sums.lines.items()
    ):
        return False
    facts = atomic.json_file(boot / "boot.json") or {}
    cell = request.cell
    return all(
        facts.get(key) == value
        for key, value in {
            "cell": cell.name,
            "backend_kind": cell.backend.kind,
            "backend_settings": dict(cell.backend.settings),
            "params": dict(cell.workload.parameters),
            "memory_max": cell.workload.memory_max,
            "arm": request.arm,
            "pair": request.pair,
            "position": request.position,
            "seed": request.seed,
            "kernel": request.kernel.key,
            "observed": request.observed,
            "profiled": request.profiled,
            "instrument": request.instrument or None,
        }.items()
    )


def _link(source: Path, target: Path) -> None:
    with atomic.folder(target) as scratch:
        shutil.copytree(source, scratch, copy_function=_link_file, dirs_exist_ok=True)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)

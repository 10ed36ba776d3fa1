# SPDX-License-Identifier: GPL-2.0-only
"""The plugin that counts instructions in timing boots (vm-images/plugins/count.c): who needs it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.experiment.cell import Cell
from harness.util.errors import InfraError
from harness.vm import instrument


def counts(cell: Cell, cpus: int) -> bool:
    """Whether instructions are counted in a guest of ``cpus`` CPUs.

    Elapsed time has the waiting for a disk in it; CPU time is a task's own with one CPU only.
    """
    return cell.waits_io or cpus > 1


def interface(cells: Iterable[Cell], clock: str, cpus: int, version: str) -> int | None:
    """The version of the interface, for a QEMU that says ``version`` of itself.

    None if there is nothing to count, see `counts`, or the clock is not instructions.
    Raises InfraError for a QEMU that the plugin was not written for.
    """
    waiting = sorted({cell.name for cell in cells if counts(cell, cpus)})
    if clock != "insn" or not waiting:
        return None
    api = instrument.interface(version)
    if api is None:
        more = ", ..." if len(waiting) > 1 else ""
        out = f"leave out the cells that wait for a disk ({waiting[0]}{more})"
        raise InfraError(
            f"instructions are counted by a plugin for QEMU 7.2, 8 or 10, and this is '{version}': "
            f"install one of these, or {'use CPUS=1' if cpus > 1 else out}"
        )
    return api

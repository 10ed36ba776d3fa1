# SPDX-License-Identifier: GPL-2.0-only
"""The plugin that counts instructions in timing boots (vm-images/plugins/count.c): who needs it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.experiment.cell import Cell
from harness.util.errors import InfraError
from harness.vm import instrument


def interface(cells: Iterable[Cell], clock: str, version: str) -> int | None:
    """The version of the interface, for a QEMU that says ``version`` of itself.

    None if there is nothing to count: no cell waits for a disk, or the clock is not instructions.
    Raises InfraError for a QEMU that the plugin was not written for.
    """
    waiting = sorted({cell.name for cell in cells if cell.waits_io})
    if clock != "insn" or not waiting:
        return None
    api = instrument.interface(version)
    if api is None:
        raise InfraError(
            f"instructions are counted by a plugin for QEMU 7.2, 8 or 10, and this is '{version}': "
            f"install one of these, or leave out the cells that wait for a disk ({waiting[0]}"
            f"{', ...' if len(waiting) > 1 else ''})"
        )
    return api

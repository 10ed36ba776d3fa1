# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's plugin that counts instructions (vm-images/plugins/count.c): which build of it to load."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness.experiment.cell import Cell
from harness.util.errors import InfraError

_VERSION = re.compile(r"(\d+)\.(\d+)")
_APIS = {7: 1, 8: 1, 10: 4}
"""Version of the plugin interface by QEMU's; 9.x changed it from release to release."""


def interface(cells: Iterable[Cell], clock: str, version: str) -> int | None:
    """The version of the interface, for a QEMU that says ``version`` of itself.

    None if there is nothing to count: no cell waits for a disk, or the clock is not instructions.
    Raises InfraError for a QEMU that the plugin was not written for.
    """
    waiting = sorted({cell.name for cell in cells if cell.waits_io})
    if clock != "insn" or not waiting:
        return None
    found = _VERSION.search(version)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    api = _APIS.get(number[0])
    if api is None or number < (7, 2):
        raise InfraError(
            f"instructions are counted by a plugin for QEMU 7.2, 8 or 10, and this is '{version}': "
            f"install one of these, or leave out the cells that wait for a disk ({waiting[0]}"
            f"{', ...' if len(waiting) > 1 else ''})"
        )
    return api


def plugin(tools: Path, api: int | None) -> Path | None:
    """Where it lies below the folder of built ``tools``."""
    return tools / "plugins" / f"count-{api}.so" if api else None

# SPDX-License-Identifier: GPL-2.0-only
"""What the guests' kernels said of their own settings: MGLRU, huge pages and so on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.results import pairing
from harness.results.frames import Frames

_FILES = (
    ("MGLRU", "/sys/kernel/mm/lru_gen/enabled"),
    ("THP", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("swappiness", "/proc/sys/vm/swappiness"),
    ("page-cluster", "/proc/sys/vm/page-cluster"),
    ("overcommit", "/proc/sys/vm/overcommit_memory"),
)


def gather(data: Frames) -> tuple[tuple[str, str], ...]:
    """(setting, value) of each that any boot gave back.

    Boots that differ are said to: those of one kernel must not, and the two kernels should not.
    """
    found = data.params[data.params["source"] == "readback"]
    rows = []
    for label, path in _FILES:
        by_cell: dict[str, dict[str, set[str]]] = {}
        for one in pairing.rows(found[found["name"] == path]):
            mine = by_cell.setdefault(str(one.cell), {})
            mine.setdefault(str(one.arm), set()).add(_value(label, str(one.value)))
        if by_cell:
            rows.append((label, _said(by_cell)))
    return tuple(rows)


def _said(by_cell: Mapping[str, Mapping[str, set[str]]]) -> str:
    """The one value that all boots gave back, or which cells had which: those may be asked to."""
    cells: dict[str, list[str]] = {}
    differing: dict[str, set[str]] = {}
    for cell, by_arm in by_cell.items():
        values = set[str]().union(*by_arm.values())
        if len(values) > 1:
            for arm, mine in by_arm.items():
                differing.setdefault(arm, set()).update(mine)
        cells.setdefault("/".join(sorted(values)), []).append(cell.partition(".")[0])
    if differing:
        told = (f"{arm} {'/'.join(sorted(mine))}" for arm, mine in sorted(differing.items()))
        return f"DIFFERS: {', '.join(told)}"
    if len(cells) == 1:
        return next(iter(cells))
    each = (f"{value} in {', '.join(dict.fromkeys(names))}" for value, names in cells.items())
    return "; ".join(each)


def _value(label: str, text: str) -> str:
    chosen = re.search(r"\[([^\]]+)\]", text)
    if label == "MGLRU":
        try:
            return "on" if int(text, 16) & 1 else "off"
        except ValueError:
            return text
    return chosen[1] if chosen else text

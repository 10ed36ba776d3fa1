# SPDX-License-Identifier: GPL-2.0-only
"""What the guests' kernels said of their own settings: MGLRU, huge pages and so on."""

from __future__ import annotations

import re

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
        mine = found[found["name"] == path]
        values = sorted({_value(label, str(value)) for value in mine["value"]})
        if len(values) == 1:
            rows.append((label, values[0]))
        elif values:
            by_arm = (
                f"{arm} {'/'.join(sorted({_value(label, str(v)) for v in group['value']}))}"
                for arm, group in mine.groupby("arm", sort=True)
            )
            rows.append((label, f"DIFFERS: {', '.join(by_arm)}"))
    return tuple(rows)


def _value(label: str, text: str) -> str:
    chosen = re.search(r"\[([^\]]+)\]", text)
    if label == "MGLRU":
        try:
            return "on" if int(text, 16) & 1 else "off"
        except ValueError:
            return text
    return chosen[1] if chosen else text

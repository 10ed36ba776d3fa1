# SPDX-License-Identifier: GPL-2.0-only
"""What the guests' kernels said of their own settings: MGLRU, huge pages and so on."""

from __future__ import annotations

import re

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
        by_arm: dict[str, set[str]] = {}
        for one in pairing.rows(found[found["name"] == path]):
            by_arm.setdefault(str(one.arm), set()).add(_value(label, str(one.value)))
        values = set[str]().union(*by_arm.values())
        if len(values) > 1:
            said = (f"{arm} {'/'.join(sorted(mine))}" for arm, mine in sorted(by_arm.items()))
            rows.append((label, f"DIFFERS: {', '.join(said)}"))
        elif values:
            rows.append((label, values.pop()))
    return tuple(rows)


def _value(label: str, text: str) -> str:
    chosen = re.search(r"\[([^\]]+)\]", text)
    if label == "MGLRU":
        try:
            return "on" if int(text, 16) & 1 else "off"
        except ValueError:
            return text
    return chosen[1] if chosen else text

# SPDX-License-Identifier: GPL-2.0-only
"""How the output of a workload that went well ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_complete(lines: Sequence[dict[str, Any]]) -> bool:
    """Whether the last line says so, and names the line that counts the whole run: the last one."""
    counted = [line["counted"] for line in lines if "counted" in line]
    return lines[-1] == {"type": "done", "counted": len(counted)} and sorted(counted) == list(
        range(1, len(counted) + 1)
    )

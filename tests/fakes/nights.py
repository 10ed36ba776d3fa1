# SPDX-License-Identifier: GPL-2.0-only
"""A history of nights, written as make nightly writes it."""

from __future__ import annotations

import json
from pathlib import Path

from harness.studies.nightly import store
from harness.studies.nightly.store import Night, NightlyComparison, StoredEstimate

COMMAND = "make bisect BASE=v6.12 PATCH=toy-v1"


def night(
    root: Path, number: int, change: float, *, aa: float | None = None, width: float = 0.1,
    verdict: str = "", direction: str = "lower", subject: str = "toy", folder: str = "",
) -> None:  # fmt: skip
    """One night in which one revision was measured in one cell."""
    with store.opened(root / store.NAME) as history:
        when = f"2026-01-{number:02d}T01:00:00+00:00"
        found = history.begin(Night(0, when, when, "", 3600.0, 60.0, 1, 0, store.WHOLE, 0))
        said = verdict or ("worse" if change > 1 else "better" if change < -1 else "equivalent")
        asked = json.dumps({"command": COMMAND})
        history.add(
            NightlyComparison(found, f"k{number}", subject, "series", f"v{number}", when, "v6.12",
                              "", "zram.pageio", folder or f"f{number}", 3, 1, 60.0, 0, asked),
            [StoredEstimate(found, f"k{number}", "zram.pageio", "swapin", "primary", "zram",
                            "pageio", "insn/page", direction, 1.0, 100.0, 100.0, 3, change,
                            change - width, change + width, said, "", None, None, aa)],
            [],
        )  # fmt: skip

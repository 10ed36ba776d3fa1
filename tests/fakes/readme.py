# SPDX-License-Identifier: GPL-2.0-only
"""Reads the tables of keys in results/README.md."""

from __future__ import annotations

import re

from harness.util.paths import REPO


def keys(heading: str) -> set[str]:
    """The keys in the first column of the first table after a line that begins so."""
    text = (REPO / "results" / "README.md").read_text(encoding="utf-8")
    after = text[text.index(f"\n{heading}") :]
    rows = after[after.index("| key |") :].split("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([a-z_0-9]+)`", row.split("|")[1])}

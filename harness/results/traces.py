# SPDX-License-Identifier: GPL-2.0-only
"""The decoded stack traces of a result, as `harness.build.trace` wrote them."""

from __future__ import annotations

from pathlib import Path

from harness.util import atomic

NAME = "traces.json"
"""In the results folder: folder of a boot -> its decoded trace, text."""


def read(results: Path) -> dict[str, str]:
    """The decoded traces of a result by boot's folder; none for a file that is not whole."""
    found = atomic.json_file(results / NAME) or {}
    return {folder: str(text) for folder, text in found.items()}

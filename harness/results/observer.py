# SPDX-License-Identifier: GPL-2.0-only
"""What is known of the observer's own cost: kept by `bench`, printed by every report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.results import frames
from harness.stats import paired
from harness.util.paths import Cache

PARTS = {
    "reading": "Reading the kernel's files, at marks and at intervals",
    "marks": "Marks: counters brought up to date, a rest between phases",
}
"""The parts of the observing; a comparison always has all, in every boot."""


def known(cache: Cache, *, kernel: str, tools: str, clock: str) -> tuple[Mapping[str, Any], ...]:
    """What an earlier `bench` found for this kernel, these programs and this clock, or nothing."""
    path = place(cache, kernel, tools, clock)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return (
        tuple(item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()
    )


def place(cache: Cache, kernel: str, tools: str, clock: str) -> Path:
    """Where that is kept."""
    return cache.root / "observer" / f"{kernel}-{tools}-{clock}.json"


def sentence(item: Mapping[str, Any]) -> str:
    """One effect in words, from its plain data."""
    estimate, low, high = (item.get(key) for key in ("estimate_pct", "low_pct", "high_pct"))
    if estimate is None:
        return f"{item.get('cell')}: no pair"
    bounds = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{item.get('cell')} {item.get('metric')} {estimate:+.3f} %{bounds}, n = {item.get('n')}"


def footprint(data: frames.Frames) -> dict[str, float]:
    """Bytes that each of the harness's programs held in the guest: medians over usable boots."""
    boots = data.boots[data.boots["usable"]]
    found: dict[str, list[int]] = {}
    for item in boots["footprint"]:
        for name, size in item.items():
            if size:
                found.setdefault(str(name), []).append(size)
    return {name: float(paired.spread(sizes).median or 0.0) for name, sizes in found.items()}

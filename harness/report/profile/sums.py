# SPDX-License-Identifier: GPL-2.0-only
"""The profile boots of a result: the sums of each metric, for each unit of work."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.results import profile
from harness.results.counted import BUSY
from harness.results.profile import Block, BootProfile, Chain, ChainCount, ProfileError, Sum
from harness.util import atomic

Counted = tuple[tuple[Sum, float], ...]
"""The sums of a metric's rounds, each with the units of work that it is for."""

SUFFIX = ".profile"
"""Of the folders of profile boots."""
ARMS = ("base", "patch")
RUN = "run"
"""The operation that is the whole run of a workload."""


@dataclass(frozen=True, slots=True)
class BootSums:
    """What one profile boot counted.

    units: by metric, like "page"
    """

    arm: str
    metrics: Mapping[str, Counted]
    units: Mapping[str, str]


def bare(metric: str) -> str:
    """What an operation is called: "swapin" for "swapin_busy"; "busy" has no other name."""
    return metric.removesuffix(BUSY.strip("_")).rstrip("_") or metric


def folders(results: Path, cell: str) -> dict[str, Path]:
    """The folder of the profile boot of each arm that has one, of the first pair."""
    found: dict[str, Path] = {}
    for arm in ARMS:
        here = sorted((results / "boots" / cell).glob(f"[!.]*-{arm}{SUFFIX}"))
        if here:
            found[arm] = here[0]
    return found


def read(folder: Path, arm: str) -> BootSums:
    """The sums of a boot.

    Raises ProfileError for a boot that failed, and for files that do not fit together.
    """
    facts = atomic.json_file(folder / "boot.json") or {}
    if facts.get("outcome") != "ok":
        said = f"{facts.get('outcome', 'no record')}: {facts.get('detail', '')}".rstrip(": ")
        raise ProfileError(f"the profile boot {folder.parent.name}/{folder.name} failed: {said}")
    boot = profile.read(folder / profile.NAME)
    try:
        return _sums(boot, folder / "workload.jsonl", arm)
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise ProfileError(f"'{folder}' has sums and metrics that do not fit: {error!r}") from error


def _sums(boot: BootProfile, path: Path, arm: str) -> BootSums:
    metrics: dict[str, list[tuple[Sum, float]]] = defaultdict(list)
    units: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        item = json.loads(line)
        if "counted" not in item:
            continue
        counted = boot.sums[int(item["counted"])]
        if item["type"] == "metric":
            name = bare(str(item["name"]))
            metrics[name].append((counted, float(item["per"])))
            units[name] = str(item["unit"]).partition("/")[2] or "run"
        elif item["type"] == "done":
            metrics.setdefault(RUN, [(counted, 1.0)])
            units.setdefault(RUN, "run")
    if any(per <= 0 for sums in metrics.values() for _, per in sums):
        raise ValueError("a metric is for no unit of work")
    return BootSums(arm, {name: tuple(sums) for name, sums in metrics.items()}, units)


def chains(sums: Counted) -> dict[Chain, tuple[float, float]]:
    """Instructions and calls of each chain for one unit of work, means over the rounds."""
    found: dict[Chain, tuple[float, float]] = {}
    for one, per in sums:
        for chain, count in one.chains.items():
            insns, calls = found.get(chain, (0.0, 0.0))
            scale = 1 / (per * len(sums))
            found[chain] = _added(insns, calls, count, scale)
    return found


def _added(insns: float, calls: float, count: ChainCount, scale: float) -> tuple[float, float]:
    return insns + count.insns * scale, calls + count.calls * scale


def entered(sums: Counted) -> dict[Block, float]:
    """How often each block is entered for one unit of work, likewise."""
    found: dict[Block, float] = defaultdict(float)
    for one, per in sums:
        for block, times in one.entered.items():
            found[block] += times / (per * len(sums))
    return dict(found)


def total(sums: Counted) -> float:
    """All instructions for one unit of work, likewise."""
    return sum(one.insns / per for one, per in sums) / len(sums)

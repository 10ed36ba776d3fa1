# SPDX-License-Identifier: GPL-2.0-only
"""Are two results the same measurement?  Every raw figure, held against the other's.

Under the instruction clock the same boot repeats to a few parts in ten thousand, so a result that
was disturbed on its way must still have the figures of one that was not.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARGIN = 0.01
"""Relative; what the workload declares for a difference that matters."""
_PLAN = ("arm", "pair", "position", "seed", "kernel", "params", "outcome", "backend_settings")
Key = tuple[str, str, str, int]
"""Boot (cell and folder), kind of line, name, and which line of that kind and name it is."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How far two results agree.

    boots: how many were held against each other
    figures: how many figures were
    largest: the largest relative difference between two figures
    faults: what differs more than it may, a sentence each
    """

    boots: int
    figures: int
    largest: float
    faults: tuple[str, ...]


def plan(folder: Path) -> dict[str, dict[str, object]]:
    """What each boot was, by its place: everything that does not depend on when it ran."""
    found = {}
    for path in folder.glob("boots/*/[!.]*/boot.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        found[f"{path.parent.parent.name}/{path.parent.name}"] = {key: facts[key] for key in _PLAN}
    return found


def figures(folder: Path) -> dict[Key, float | str]:
    """Every metric of workload.jsonl as a number; every parameter and verification as text."""
    found: dict[Key, float | str] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for path in folder.glob("boots/*/[!.]*/workload.jsonl"):
        boot = f"{path.parent.parent.name}/{path.parent.name}"
        counts = _counts(path.with_name("counts"))
        for line in path.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            kind, name = str(row.get("type")), str(row.get("name", ""))
            count = seen[boot, kind, name]
            seen[boot, kind, name] += 1
            if kind == "metric" and "value" in row:
                found[boot, kind, name, count] = float(row["value"])
            elif kind == "metric" and counts:  # QEMU has counted it
                found[boot, kind, name, count] = counts[row["counted"]] / row["per"]
            elif kind in {"param", "verify"}:
                found[boot, kind, name, count] = json.dumps(row, sort_keys=True)
    return found


def _counts(path: Path) -> dict[int, int]:
    """Instructions by line number; empty where QEMU counted none."""
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    return {int(number): int(amount) for number, amount in map(str.split, lines)}


def compare(folder: Path, reference: Path, *, margin: float = MARGIN) -> Likeness:
    """Hold all boots of ``folder`` against those of the same place in ``reference``."""
    mine, theirs = plan(folder), plan(reference)
    faults = [] if mine else ["there is no boot"]
    for place, facts in sorted(mine.items()):
        if facts != theirs.get(place):
            faults.append(f"{place} is another boot than in the undisturbed run")
    ours = figures(folder)
    there = {key: value for key, value in figures(reference).items() if key[0] in mine}
    for key in sorted(ours.keys() ^ there.keys()):
        faults.append(f"{' '.join(map(str, key))} is in one of the two only")
    largest = 0.0
    for key in sorted(ours.keys() & there.keys()):
        left, right = ours[key], there[key]
        if isinstance(left, str) or isinstance(right, str):
            if left != right:
                faults.append(f"{' '.join(map(str, key))}: {left} and not {right}")
            continue
        away = abs(left - right) / max(abs(left), abs(right)) if left != right else 0.0
        largest = max(largest, away)
        if away > margin:
            faults.append(f"{' '.join(map(str, key))}: {left:g} and not {right:g}")
    return Likeness(len(mine), len(ours), largest, tuple(faults))

# SPDX-License-Identifier: GPL-2.0-only
"""Profile boots with known counts, as QEMU's plugin and a workload would have left them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.results import places, profile
from harness.results.places import Places, SourceLine
from harness.results.profile import USER, Root

Calls = Mapping[tuple[Root, tuple[int, ...]], tuple[int, int]]
"""By chain: instructions in its last function, and calls of it."""


def text(sums: Sequence[tuple[Calls, Mapping[tuple[int, int], int]]]) -> str:
    """The plugin's output.

    sums: for each line a sum's chains, and how often a block of five instructions of a byte each
    was entered, by (function, address)
    """
    said = ["profile 1"]
    numbers: dict[tuple[Root, tuple[int, ...]], int] = {}
    for line, (chains, blocks) in enumerate(sums, 1):
        total = sum(insns for insns, _ in chains.values())
        said.append(f"p {line} 0 {total}")
        for number, ((function, address), times) in enumerate(blocks.items(), 1000 * line):
            said.append(f"b {number} {function:x} {address:x} {number:x} 11111")
            said.append(f"x {number} {times} 0 0 0")
        for (root, functions), (insns, calls) in chains.items():
            for depth in range(len(functions) + 1):
                key = (root, functions[:depth])
                if key in numbers:
                    continue
                numbers[key] = root if depth == 0 else 100 + len(numbers)
                parent = numbers[root, functions[: depth - 1]] if depth else 0
                last = functions[depth - 1] if depth else 0
                said.append(f"n {numbers[key]} {parent} {last:x}")
            said.append(f"t {numbers[root, functions]} {insns} {calls}")
        said.append(f"e {line}")
    return "\n".join(said) + "\n"


def boot(
    results: Path,
    arm: str,
    sums: Sequence[tuple[Calls, Mapping[tuple[int, int], int]]],
    metrics: Sequence[tuple[str, int]],
    *,
    cell: str = "zram.pageio",
    outcome: str = "ok",
) -> Path:
    """The profile boot of an arm; ``metrics`` are (name, units of work), one for each sum."""
    folder = results / "boots" / cell / f"00-{arm}.profile"
    folder.mkdir(parents=True)
    (folder / profile.NAME).write_bytes(gzip.compress(text(sums).encode(), mtime=0))
    record = {"outcome": outcome, "detail": "" if outcome == "ok" else "it said so"}
    (folder / "boot.json").write_text(json.dumps(record), encoding="utf-8")
    lines = [
        json.dumps({"type": "metric", "name": name, "counted": line, "per": per, "unit": "ns/page"})
        for line, (name, per) in enumerate(metrics, 1)
    ]
    text_ = "\n".join([*lines, '{"type":"done"}']) + "\n"
    (folder / "workload.jsonl").write_text(text_, encoding="utf-8")
    return folder


def names(results: Path, arm: str, functions: Mapping[int, tuple[str, str]]) -> None:
    """What `harness.build.places` records: each function has one line, 10."""
    starts = sorted(functions)
    stacks = [(SourceLine(*functions[place], 10),) for place in starts]
    places.write(results, arm, Places(functions, starts, stacks))


__all__ = ["USER", "Calls", "boot", "names", "text"]

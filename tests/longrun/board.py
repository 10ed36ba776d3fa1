# SPDX-License-Identifier: GPL-2.0-only
"""Made-up results for the board, and how long it takes to build of many of them.

    python -m tests.longrun.board FOLDER COUNT

writes COUNT comparisons into FOLDER/results, builds the board from nothing, again without a
change, and again with one comparison more; prints time, memory and sizes of each.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from harness.board import build

BACKENDS = ("swapfile", "zram", "zswap")
WORKLOADS = {"pageio": "swapin", "pressure": "access"}
_HEADS = (
    *("role", "cell", "backend", "workload", "name", "unit", "clock", "direction", "n"),
    *("base_median", "base_spread_pct", "patch_median", "patch_spread_pct", "change_pct"),
    *("low_pct", "high_pct", "verdict", "reason", "margin_pct", "aa_n", "aa_change_pct"),
    "aa_cv_pct",
)
"""The columns of a report's estimates.csv that the board reads."""
_SECONDARY = 9


def write(root: Path, number: int, *, change: float | None = None, report: str = "") -> Path:
    """One finished comparison, the same for the same number.

    change: in per cent in every cell; a random one where none is given
    """
    random = Random(number)
    series, revision = f"made-up-{number % 40:02d}", number // 40 % 6 + 1
    name = f"v6.{number % 10}-vs-{series}-v{revision}-{number:07x}"
    folder = root / name
    kernels = {"base": _digest("base", number % 10), "patch": _digest("patch", number)}
    minute, day = number % 1440, number // 1440
    when = f"2026-{day // 28 % 12 + 1:02d}-{day % 28 + 1:02d}T{minute // 60:02d}:{minute % 60:02d}"
    cells = {f"{b}.{w}": {"back-end": b, "workload": w, "size": "32M"}
             for b in BACKENDS for w in WORKLOADS}  # fmt: skip
    identity = {
        "kind": "compare", "cells": cells, "kernels": kernels, "clock": "insn", "disk": "sim",
        "accel": "tcg", "qemu": "QEMU 7.2", "image": "0123", "tools": "4567",
        "experiment": {"memory": 805306368, "swap": 1073741824, "cpus": 1, "seed": 1},
    }  # fmt: skip
    facts: dict[str, Any] = {
        "schema": 2, "kind": "compare", "name": name, "clock": "insn", "accel": "tcg", "pairs": 3,
        "command": f"make compare BASE=v6.{number % 10} PATCH={series}-v{revision}",
        "cells": list(cells), "host": {"cpu": "made up", "cpus": 2},
        "arms": {
            "base": _arm(f"v6.{number % 10}", kernels["base"]),
            "patch": _arm(f"v6.{number % 10}", kernels["patch"]) | {
                "series": {"name": f"{series}-v{revision}", "title": f"Made up {series}",
                           "patches": [{"number": 1, "subject": "mm: made up"}]}},
        },
    }  # fmt: skip
    rows = [line for cell in cells for line in _lines(cell, random, change)]
    sheet = "\n".join([",".join(_HEADS), *rows]) + "\n"
    text = f"worse: 0, better: 0.\nAll 54 boots finished; no failure.\n\n{name}\n"
    page = report or f'<p>{name}</p><a href="counters.csv">counters</a>\n'
    files = {
        "manifest.json": json.dumps(facts), "experiment.json": json.dumps(identity),
        "report/estimates.csv": sheet, "report/report.txt": text, "report/report.html": page,
    }  # fmt: skip
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    boot = folder / "boots" / "zram.pageio" / "00-patch" / "boot.json"
    boot.parent.mkdir(parents=True)
    boot.write_text(json.dumps({"arm": "patch", "outcome": "ok", "started": f"{when}:00+00:00"}))
    seal(folder, tuple(files))
    return folder


def seal(folder: Path, files: tuple[str, ...]) -> None:
    """Write SHA256SUMS as it would be for these files."""
    lines = [
        f"{hashlib.sha256((folder / path).read_bytes()).hexdigest()}  {path}\n"
        for path in sorted(files)
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _arm(name: str, kernel: str) -> dict[str, Any]:
    return {"name": name, "version": name[1:] + ".0", "kernel": kernel, "tree": kernel + kernel}


def _lines(cell: str, random: Random, change: float | None) -> list[str]:
    backend, _, workload = cell.partition(".")
    lines = []
    for place in range(_SECONDARY + 1):
        moved = random.gauss(0, 3) if change is None else change
        verdict = "worse" if moved > 1 else "better" if moved < -1 else "equivalent"
        values = {
            "role": "secondary" if place else "primary", "cell": cell, "backend": backend,
            "workload": workload, "clock": "insn", "direction": "lower", "n": 3, "unit": "ns/page",
            "name": f"more_{place}" if place else WORKLOADS[workload], "base_median": 10000.5,
            "base_spread_pct": 0.02, "patch_median": 10000.5 * (1 + moved / 100),
            "patch_spread_pct": 0.02, "change_pct": moved, "low_pct": moved - 0.1,
            "high_pct": moved + 0.1, "verdict": "" if place else verdict, "margin_pct": 1,
            "aa_n": 3, "aa_change_pct": random.gauss(0, 0.02), "aa_cv_pct": 0.02,
        }  # fmt: skip
        lines.append(",".join(str(values.get(head, "")) for head in _HEADS))
    return lines


def _measure(results: Path, what: str) -> None:
    begun, worked = time.monotonic(), time.process_time()
    made = build.make(results)
    took, cpu = time.monotonic() - begun, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{what}: {took:.1f} s, of which {cpu:.1f} s of CPU, {peak} MiB at most, "
          f"{made.written} of {made.files} files written", flush=True)  # fmt: skip


def main(folder: Path, count: int) -> None:
    """As the module says."""
    results = folder / "results"
    for number in range(count):
        write(results, number)
    print(f"{count} comparisons made up", flush=True)
    _measure(results, "from nothing")
    _measure(results, "nothing new")
    write(results, count)
    _measure(results, "one more")
    sizes = {path: path.stat().st_size for path in (results / "board").rglob("*.*")
             if path.is_file()}  # fmt: skip
    pages = {path: size for path, size in sizes.items() if path.suffix == ".html"}
    largest = max(pages, key=lambda path: pages[path])
    print(f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.0f} MB; the largest page: "
          f"{largest.relative_to(results)}, {pages[largest]} bytes")  # fmt: skip
    for name in ("index.html", "search.json", "kernels.json", "feed.xml", ".board.json"):
        print(f"{name}: {sizes[results / 'board' / name]} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

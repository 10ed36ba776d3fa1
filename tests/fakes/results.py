# SPDX-License-Identifier: GPL-2.0-only
"""Writes a results folder with effects that are known by construction.

No kernel ran: every number follows from the arguments, so a test knows what a report must say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

from harness.results import histogram, telemetry

PHASES = (("out", 20_000_000, 60_000_000), ("in", 80_000_000, 110_000_000))
PAGES = 16_384
EVENTS = 4_000
SWAPIN, SWAPOUT = 10_330.0, 21_548.0

WORKLOAD = {
    "name": "pageio",
    "description": "Push anonymous pages out and touch them again.",
    "metrics": {
        "swapin": {
            "unit": "ns/page",
            "direction": "lower",
            "description": "cost of one swap-in",
            "clock_insn_unit": "insn/page",
        },
        "swapout": {
            "unit": "ns/page",
            "direction": "lower",
            "description": "cost of one swap-out",
            "clock_insn_unit": "insn/page",
        },
        "swapin_cpu": {
            "unit": "ns/page",
            "direction": "lower",
            "description": "CPU time of one swap-in",
            "clock_insn_unit": "insn/page",
        },
    },
    "primary": "swapin",
    "primary_waiting_io": "swapin_cpu",
    "margin": "1%",
}


@dataclass(frozen=True)
class Fake:
    """effect: what patch does to swap-in, 1.10 is +10 % in every pair
    scatter: relative noise of single boots, the same for each call
    aa: each block has a third boot, base again; drift_control: what that one is slower, like effect
    outcomes: (cell, pair, arm) -> outcome of a boot that failed; "missing" writes nothing
    """

    pairs: int = 6
    effect: float = 1.10
    scatter: float = 0.0
    aa: bool = False
    drift_control: float = 1.0
    cells: tuple[str, ...] = ("zram-lz4.pageio", "zswap-lz4.pageio")
    clock: str = "insn"
    outcomes: Mapping[tuple[str, int, str], str] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)


def write(root: Path, fake: Fake | None = None) -> Path:
    """The results folder root/demo."""
    fake = fake or Fake()
    results = root / "demo"
    results.mkdir(parents=True)
    manifest = {**_manifest(fake), **fake.manifest}
    (results / "manifest.json").write_text(json.dumps(manifest, indent=1))
    for number, cell in enumerate(fake.cells):
        for pair in range(fake.pairs):
            for arm in ("base", "patch", "control") if fake.aa else ("base", "patch"):
                outcome = fake.outcomes.get((cell, pair, arm), "ok")
                if outcome != "missing":
                    _boot(results, fake, number, (cell, pair, arm), outcome)
    return results


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder but locks: what a refused run must leave as it was."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def factor(fake: Fake, number: int, pair: int, arm: str) -> float:
    """How far this boot's numbers are from the nominal ones."""
    drift = 1 + 0.001 * math.sin(pair + number)
    place = {"base": 0.0, "patch": 1.0, "control": 0.4}[arm]
    turn = math.sin(12.9898 * (pair * 2 + place) + number)
    effect = {"base": 1.0, "patch": fake.effect, "control": fake.drift_control}[arm]
    return drift * (1 + fake.scatter * turn) * effect


def _boot(
    results: Path, fake: Fake, number: int, which: tuple[str, int, str], outcome: str
) -> None:
    cell, pair, arm = which
    folder = results / "boots" / cell / f"{pair:02d}-{arm}"
    folder.mkdir(parents=True)
    backend, _, workload = cell.rpartition(".")
    facts = {
        "schema": 1, "cell": cell, "backend": backend, "workload": workload, "arm": arm,
        "pair": pair, "position": ("base", "patch", "control").index(arm), "outcome": outcome,
        "detail": "" if outcome == "ok" else "Oops: 0000 <script>alert(1)</script> in swap_cache",
        "clock": fake.clock, "accel": "tcg", "params": {"size": "64M"},
        "backend_readback": {"/sys/block/zram0/comp_algorithm": "lzo [lz4] zstd"},
        "wall_s": {"boot": 6.5, "prepare": 0.5, "workload": 2.0, "collect": 0.5},
        "started": "2026-01-01T00:00:00Z",
        "kernel_release": "6.19.0-patch" if arm == "patch" else "6.19.0-base",
    }  # fmt: skip
    (folder / "boot.json").write_text(json.dumps(facts))
    scale = factor(fake, number, pair, arm)
    good = outcome == "ok"
    (folder / "workload.jsonl").write_text(_workload(scale, number, good))
    samples = _samples(scale, arm)
    kept = samples if good else samples[: len(samples) // 2]
    (folder / "samples.raw.gz").write_bytes(telemetry.pack(kept))
    console = "Linux version 6.19.0\n" + (
        "" if good else "\x1b[31mkernel BUG at mm/<b>\x1b[0m\x07\n"
    )
    (folder / "console.log").write_text(console)


def _workload(scale: float, number: int, good: bool) -> str:
    swapin = SWAPIN * (1 + number / 10)
    items: list[dict[str, Any]] = [
        {"type": "param", "name": "size", "value": 67108864, "unit": "B"}
    ]
    items += [
        {"type": "phase", "name": name, "begin_ns": begin, "end_ns": end, "cpu_ns": end - begin}
        for name, begin, end in PHASES
    ]
    # Two rounds whose mean is the value.
    items += [
        {"type": "metric", "name": "swapin", "value": swapin * scale * r, "unit": "ns/page"}
        for r in (0.99, 1.01)
    ]
    items.append({"type": "metric", "name": "swapout", "value": SWAPOUT, "unit": "ns/page"})
    items.append(
        {"type": "metric", "name": "swapin_cpu", "value": 8000.0 * scale, "unit": "ns/page"}
    )
    hist = histogram.from_values([round(v * scale) for v in _latencies(swapin)], unit="ns")
    items.append(
        {"type": "hist", "name": "swapin", "phase": "in", "unit": "ns", "sub_bits": 5,
         "counts": [list(count) for count in hist.counts]}
    )  # fmt: skip
    items.append({"type": "verify", "pages": PAGES, "bad": 0})
    if good:
        items.append({"type": "done"})
    return "".join(json.dumps(item) + "\n" for item in items)


@cache
def _latencies(median: float) -> tuple[float, ...]:
    """The quantiles of a log-normal distribution."""
    normal = NormalDist(math.log(median), 0.2)
    return tuple(math.exp(normal.inv_cdf((i + 0.5) / EVENTS)) for i in range(EVENTS))


def _samples(scale: float, arm: str) -> bytes:
    """One sample each 10 ms, and one at each mark."""
    marks = {begin: f"mark:{name}:begin" for name, begin, _ in PHASES}
    marks |= {end: f"mark:{name}:end" for name, _, end in PHASES}
    only_patch = "swpin_zero 5\n" if arm == "patch" else ""
    stream = b""
    for seq, t_ns in enumerate(range(0, 130_000_000, 10_000_000)):
        out, back = (
            round(PAGES * min(max((t_ns - begin) / (end - begin), 0), 1))
            for _, begin, end in PHASES
        )
        faults = round(100_000 * scale) if t_ns >= PHASES[1][2] else 100
        huge = 512 if arm == "patch" and out else 0
        files = {
            "/proc/vmstat": f"nr_free_pages {50_000 + out}\npswpin {back}\npswpout {out}\n"
            f"zswpin 0\npgfault {faults}\nthp_swpout {huge}\n{only_patch}",
            "/sys/block/zram0/mm_stat": f"{out * 4096} {out * 1200} {out * 1300} 0 0 3 0 0 0\n",
        }
        if t_ns in marks:
            files["kthreads"] = f"36 kswapd0 {1_000_000 + out * 50}\n"
        stream += f"@sample {seq} {t_ns} {marks.get(t_ns, 'interval')}\n".encode()
        for path, text in files.items():
            stream += f"@file {path} {len(text)}\n{text}\n".encode()
        stream += b"@miss /proc/allocinfo ENOENT\n"
        stream += f"@end {seq} {t_ns + 50_000} {seq * 60_000}\n".encode()
    return stream


def _manifest(fake: Fake) -> dict[str, Any]:
    def arm(name: str, series: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "name": name, "kind": "git", "version": "6.19.0", "commit": "05f7e89ab973" + "0" * 28,
            "tree": "1" * 40, "series": series, "config_sha256": "2" * 64,
            "artefact_sha256": {"bzImage": ("a" if series is None else "b") * 64},
            "compiler": "gcc 12.2.0", "origin": {"url": "https://example.org/linux.git"},
        }  # fmt: skip

    patches = [
        {"number": 1, "subject": "mm: swap: add a layer", "patch_id": "c" * 40},
        {"number": 2, "subject": "mm: swap: use the layer", "patch_id": "d" * 40},
    ]
    series = {"name": "vswap-v3", "title": "Virtual Swap Space", "patches": patches}
    return {
        "schema": 1, "name": "demo", "clock": fake.clock, "accel": "tcg",
        "command": "make compare BASE=v6.19 PATCH=vswap-v3",
        "accel_reason": "KVM opens but a guest does not start within 20 s",
        "qemu_version": "7.2.19",
        "host": {"cpu": "Example CPU", "cpus": 2, "kernel": "6.1.0"},
        "arms": {"base": arm("v6.19", None), "patch": arm("vswap-v3", series)},
        "config_diff": [],
        "guest": {"memory": "512M", "cpus": 1, "swap": "1G"},
        "backends": {
            cell.rpartition(".")[0]: {"waits_io": cell.startswith("disk")} for cell in fake.cells
        },
        "workloads": {"pageio": WORKLOAD},
        "pairs": fake.pairs, "aa": fake.aa, "seed": 7,
        "image": {"key": "e" * 16, "packages_sha256": "f" * 64},
        "stages": [{"stage": "build base", "seconds": 600.4}],
    }  # fmt: skip

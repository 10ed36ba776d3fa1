# SPDX-License-Identifier: GPL-2.0-only
"""Time and memory of a large report: `python -m tests.longrun.speed [BOOTS] [METRICS]`.

Not part of the unit tests. It writes boots of made-up numbers (no kernel runs) into a scratch
folder, makes their report in a process of its own, and prints wall time, CPU time and peak memory.
"""

from __future__ import annotations

import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.results import telemetry
from harness.util.paths import REPO

_ARMS = ("base", "patch", "control")
_CELLS = 8


def write(root: Path, boots: int, metrics: int) -> Path:
    """The results folder root/large."""
    results = root / "large"
    pairs = math.ceil(boots / (_CELLS * len(_ARMS)))
    names = [f"metric_{number:03d}" for number in range(metrics)]
    workload = {
        "primary": names[0],
        "margin": "1%",
        "description": "Made-up numbers.",
        "metrics": {name: {"direction": "lower", "unit": "ns"} for name in names},
    }
    manifest = {
        "schema": 1, "name": "large", "clock": "insn", "accel": "tcg", "pairs": pairs, "aa": True,
        "workloads": {"made": workload}, "command": "none",
    }  # fmt: skip
    results.mkdir(parents=True)
    (results / "manifest.json").write_text(json.dumps(manifest))
    noise = random.Random(1)
    samples = telemetry.pack(_samples())
    left = boots
    for pair in range(pairs):
        for cell in range(_CELLS):
            for place, arm in enumerate(_ARMS):
                if left > 0:
                    left -= 1
                    folder = results / "boots" / f"zram{cell}.made" / f"{pair:02d}-{arm}"
                    _boot(folder, arm, place, names, noise, samples)
    return results


def _boot(
    folder: Path, arm: str, place: int, names: list[str], noise: random.Random, samples: bytes
) -> None:
    folder.mkdir(parents=True)
    facts = {"outcome": "ok", "clock": "insn", "accel": "tcg", "position": place}
    (folder / "boot.json").write_text(json.dumps(facts))
    slower = 1.02 if arm == "patch" else 1.0
    lines = [
        json.dumps(
            {
                "type": "metric", "name": name, "unit": "ns",
                "value": 1000 * slower * (1 + noise.gauss(0, 0.01)),
            }
        )
        for name in names
    ]  # fmt: skip
    lines.append('{"type":"done"}\n')
    (folder / "workload.jsonl").write_text("\n".join(lines))
    (folder / "samples.raw.gz").write_bytes(samples)


def _samples() -> bytes:
    """Two marks with a few counters."""
    stream = b""
    for seq, (mark, value) in enumerate((("in:begin", 0), ("in:end", 5000))):
        text = "".join(f"counter{number} {value + number}\n" for number in range(20))
        stream += f"@sample {seq} {seq * 10**6} mark:{mark}\n".encode()
        stream += (
            f"@file /proc/vmstat {len(text)}\n{text}\n@end {seq} {seq * 10**6 + 5} 1\n".encode()
        )
    return stream


def main(boots: int, metrics: int) -> None:
    """Write, report, print."""
    with tempfile.TemporaryDirectory(prefix="harness-speed.") as scratch:
        results = write(Path(scratch), boots, metrics)
        begin = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "harness", "report", str(results)],
            cwd=REPO, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(p.stat().st_size for p in (results / "report").rglob("*") if p.is_file())
        print(
            f"{boots} boots of {metrics} metrics: {time.monotonic() - begin:.1f} s wall, "
            f"{used.ru_utime + used.ru_stime:.1f} s CPU, peak {used.ru_maxrss / 1024:.0f} MiB, "
            f"report {size / (1 << 20):.1f} MiB"
        )


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("10000", "200")[len(sys.argv) - 1 :])))

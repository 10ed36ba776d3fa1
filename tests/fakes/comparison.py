# SPDX-License-Identifier: GPL-2.0-only
"""A comparison that only pretends: two boots, a report, and the ways in which it may misbehave.

Run in place of the command line, with its words.  FAKE_COMPARISON, a JSON object, says how:
    orphan: whether a process outlives it   half: whether a killed boot is left for good
    noise: what is added to the figure
    hold: a file: boots last until somebody else was refused, which makes it
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from harness.results import checksums
from harness.util.errors import Exit

BOOT_S = 0.4
PLAN = ("base", "patch")


def _boot(cell: Path, arm: str, position: int, how: dict[str, Any]) -> None:
    home = cell / "boots" / "zram.pageio"
    scratch = home / f".00-{arm}.x"
    scratch.mkdir(parents=True)
    started = scratch / "samples.raw"
    started.write_bytes(b"@sample")
    end = time.monotonic() + BOOT_S
    hold = Path(how.get("hold", os.devnull))
    while time.monotonic() < end or not hold.exists():
        time.sleep(0.02)
        started.write_bytes(b"@sample" * 1000)  # fails when the disk is full
    facts = {
        "arm": arm, "pair": 0, "position": position, "seed": 1, "kernel": "k", "params": {},
        "outcome": "ok", "backend_settings": {}, "detail": "", "wall_s": {"workload": BOOT_S},
    }  # fmt: skip
    lines: list[dict[str, Any]] = [
        {"type": "metric", "name": "swapin", "value": 100.0 + how.get("noise", 0)}
    ]
    lines.append({"type": "verify", "pages": 2048, "bad": 0})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (scratch / "workload.jsonl").write_text(text, encoding="utf-8")
    (scratch / "boot.json").write_text(json.dumps(facts), encoding="utf-8")
    checksums.boot(scratch)
    scratch.rename(home / f"00-{arm}")


def _run(cell: Path, how: dict[str, Any]) -> int:
    cell.mkdir(parents=True, exist_ok=True)
    with (cell / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("harness: another comparison is writing to this folder")
            if "hold" in how:
                Path(how["hold"]).touch()
            return Exit.USER
        for path in cell.glob("boots/*/.*") if not how.get("half") else ():
            shutil.rmtree(path)
        if how.get("orphan"):
            subprocess.Popen(["sleep", "30"], start_new_session=True)
        for position, arm in enumerate(PLAN):
            if not (cell / "boots" / "zram.pageio" / f"00-{arm}").exists():
                subprocess.run(["qemu-system-x86_64", "-append", "x"], check=True)
                _boot(cell, arm, position, how)
        (cell / "report").mkdir(exist_ok=True)
        (cell / "report" / "report.txt").write_text("report\n", encoding="utf-8")
        return Exit.UNDECIDED


def main() -> int:
    """Play the comparison."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    how = json.loads(os.environ.get("FAKE_COMPARISON", "{}"))
    words = sys.argv[1:]
    spec = yaml.safe_load(Path(words[words.index("--spec") + 1]).read_text(encoding="utf-8"))
    cell = Path(words[words.index("--results") + 1]) / spec["name"]
    try:
        return _run(cell, how)
    except KeyboardInterrupt:
        for path in cell.glob("boots/*/.*") if not how.get("half") else ():
            shutil.rmtree(path)
        print("harness: interrupted; run the same command again to go on")
        return Exit.INTERRUPTED
    except OSError as error:
        for path in cell.glob("boots/*/.*"):
            shutil.rmtree(path, ignore_errors=True)
        print(f"harness: {error.strerror}")
        return Exit.INFRA


if __name__ == "__main__":
    sys.exit(main())

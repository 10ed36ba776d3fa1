# SPDX-License-Identifier: GPL-2.0-only
"""Many real boots in a row, and whether anything leaks: `python -m tests.longrun.soak`.

Not part of the unit tests: about 40 minutes on two cores beyond the kernels.  A comparison runs
with a folder of its own for temporary files; every few seconds its processes, open files,
threads and memory are counted, and the host's memory and swap.  Printed are their medians in each
tenth of the boots, and what is left when it has ended.  The status is 1 when a count rises from
the second tenth to the last, or anything is left that is not the result.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from harness.util.paths import REPO, Cache

_EVERY = 2.0
_PARTS = 10
_COUNTS = ("processes", "files", "threads", "temporary")
"""What may not rise at all; memory may, by what is remembered of each boot."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look.

    boots: that have ended; processes: of the comparison, itself and QEMU's
    files, threads, rss: of the comparison's own process; rss in MiB
    available, swapped: memory and swap of the host, MiB; temporary: files of TMPDIR
    """

    boots: int
    processes: int
    files: int
    threads: int
    rss: float
    available: float
    swapped: float
    temporary: int


def read(process: psutil.Process, results: Path, temporary: Path) -> Reading:
    """Look once.  Raises psutil.Error when the process has gone."""
    with process.oneshot():
        return Reading(
            sum(1 for _ in results.glob("boots/*/[!.]*/boot.json")),
            1 + len(process.children(recursive=True)),
            process.num_fds(),
            process.num_threads(),
            process.memory_info().rss / 2**20,
            psutil.virtual_memory().available / 2**20,
            psutil.swap_memory().used / 2**20,
            sum(1 for _ in temporary.rglob("*")),
        )


def tenths(readings: Sequence[Reading]) -> list[Reading]:
    """The medians of each tenth of the boots."""
    total = max(one.boots for one in readings) or 1
    parts: list[list[Reading]] = [[] for _ in range(_PARTS)]
    for one in readings:
        parts[min(one.boots * _PARTS // total, _PARTS - 1)].append(one)
    names = [field.name for field in fields(Reading)]
    return [
        Reading(*(statistics.median(getattr(one, name) for one in part) for name in names))
        for part in parts
        if part
    ]


def risen(parts: Sequence[Reading]) -> list[str]:
    """A sentence for each count that is higher in the last tenth than in the second."""
    first, last = parts[1], parts[-1]
    return [
        f"{name} rose from {getattr(first, name):g} to {getattr(last, name):g}"
        for name in _COUNTS
        if getattr(last, name) > getattr(first, name)
    ]


def size(folder: Path) -> int:
    """Bytes on disk below a folder; what goes meanwhile is not counted."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_blocks * 512
    return total


def main() -> None:
    """Run the comparison, watch it, print."""
    parser = argparse.ArgumentParser(prog="tests.longrun.soak", description=__doc__)
    parser.add_argument("--base", default="debian/6.12", help="kernel (debian/6.12)")
    parser.add_argument("--patch", default="calibration", help="series (calibration)")
    parser.add_argument("--pairs", type=int, default=70, help="of three boots each (70)")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    temporary, results = folder / "tmp", folder / "results" / "soak"
    temporary.mkdir()
    print(f"results and log: {folder}", flush=True)
    kernels = ["--base", args.base, "--patch", args.patch]
    cells = ["--backends", "zram", "--workloads", "pageio", "--pairs", str(args.pairs)]
    harness, env = [sys.executable, "-m", "harness"], {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([*harness, "build", *kernels], cwd=REPO, env=env, check=True)
    before, begun, readings = size(Cache.from_environment().root), time.monotonic(), []
    command = [*harness, "compare", *kernels, *cells, "--results", str(results.parent)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--name", results.name], cwd=REPO, env=env, stdout=log, stderr=log
        )
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                readings.append(read(psutil.Process(process.pid), results, temporary))
            time.sleep(_EVERY)
    took = time.monotonic() - begun
    booting = [one for one in readings if one.processes > 1]
    parts = tenths(booting)
    print(*(field.name for field in fields(Reading)), sep="\t")
    for part in parts:
        print(*(f"{value:.0f}" for value in astuple(part)), sep="\t")
    faults = risen(parts)
    ours = [one for one in psutil.process_iter(["cmdline"]) if str(folder) in str(one.info)]
    faults += [f"left running: {one.info['cmdline']}" for one in ours]
    faults += [f"left in TMPDIR: {path.name}" for path in temporary.iterdir()]
    faults += [f"left in the result: {path}" for path in results.glob("boots/*/.*")]
    if process.returncode not in (0, 3, 4):
        faults.append(f"the comparison ended with {process.returncode}")
    grown = size(Cache.from_environment().root) - before
    boots = len(list(results.glob("boots/*/*/boot.json")))
    print(
        f"{boots} boots in {took:.0f} s; the result takes {size(results) / 2**20:.1f} MiB, the "
        f"cache {grown / 2**20:+.1f} MiB; status {process.returncode}; "
        f"{'; '.join(faults) or 'nothing rose, nothing is left'}"
    )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

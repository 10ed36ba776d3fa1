# SPDX-License-Identifier: GPL-2.0-only
"""A real Dask scheduler with many workers whose guests only sleep: `python -m tests.longrun.crowd`.

Not part of the unit tests.  Blocks of two boots go through the engine as ever: submitted, run by
worker processes, packed, sent back, unpacked and published.  Printed are makespan, efficiency
(the guests' sleep over the time that all threads had), what is lost while the last blocks run,
and the peak memory of the process that holds the scheduler and of the one that compares.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import distributed

from harness.run import plan
from harness.run.cluster import cluster
from harness.vm.boot import BootEnd
from harness.vm.watch import Deadlines
from tests.fakes import worker as fake
from tests.fakes.things import cells, host, kernel

_BOOTS = 2


def _compare(address: str, folder: Path, blocks: int) -> dict[str, Any]:
    """The near end, in a process of its own."""
    fake.pretend()
    kernels = {arm: kernel(folder / arm, key=f"{arm}-key") for arm in ("base", "patch")}
    (folder / "patch" / "System.map").write_text("0 T costs_1000\n", encoding="utf-8")
    made = host(folder, deadlines=Deadlines())
    for path in (made.root, made.tools, made.keys.client, made.keys.host):
        path.write_bytes(b"made up")
    matrix = cells("zswap,zram", "pageio,pressure")
    todo = plan.blocks(matrix, kernels, pairs=blocks // len(matrix), seed=1)
    ends: list[float] = []

    class Noted:
        """`run` of the engine, with the times at which boots were published."""

        def __init__(self, engine: Any) -> None:
            self.workers, self._engine = engine.workers, engine

        def run(self, blocks: Any, where: Any, boots: Any, *, note: Any) -> None:
            def noted(ended: BootEnd) -> None:
                ends.append(time.monotonic())
                note(ended)

            self._engine.run(blocks, where, boots, note=noted)

    with cluster.connected(address, "tcg") as engine:
        threads, begun = engine.workers, time.monotonic()
        ran = plan.run(todo, made, folder / "boots", engine=Noted(engine))
    spent = ends[-1] - begun
    left = max(len(ends) - threads, 0)
    return {
        "boots": ran.done,
        "failed": len(ran.failed),
        "threads": threads,
        "seconds": spent,
        "tail": ends[-1] - ends[left],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    }


def main() -> None:
    """Start the cluster, run the blocks, print the figures."""
    parser = argparse.ArgumentParser(prog="tests.longrun.crowd", description=__doc__)
    parser.add_argument("--blocks", type=int, default=10_000, help="of two boots each (10000)")
    parser.add_argument("--processes", type=int, default=10, help="worker processes (10)")
    parser.add_argument("--threads", type=int, default=10, help="guests side by side on each (10)")
    parser.add_argument("--sleep", type=float, default=5.0, help="seconds of a boot (5)")
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        print(json.dumps(_compare(args.client[0], Path(args.client[1]), args.blocks)))
        return
    with tempfile.TemporaryDirectory(prefix="crowd-") as name:
        env = {"HARNESS_TEST_FOLDER": name, "HARNESS_TEST_SECONDS": str(args.sleep)}
        with distributed.LocalCluster(
            n_workers=args.processes,
            threads_per_worker=args.threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            preload=["tests.fakes.worker"],
            env=env,
            silence_logs=50,
        ) as made:
            near = ["--client", made.scheduler_address, name, "--blocks", str(args.blocks)]
            words = [sys.executable, "-m", "tests.longrun.crowd", *near]
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    slept = found["boots"] * args.sleep
    print(
        f"{found['boots'] // _BOOTS} blocks of {_BOOTS} boots of {args.sleep:g} s, "
        f"{found['threads']} guests side by side in {args.processes} processes: "
        f"{found['failed']} failed, {found['seconds']:.0f} s, "
        f"efficiency {slept / found['seconds'] / found['threads']:.3f}, "
        f"{found['boots'] / found['seconds']:.1f} boots/s, "
        f"the last {found['threads']} boots came in {found['tail']:.1f} s, "
        f"peak memory: scheduler {peak >> 20} MiB, compare {found['peak'] >> 20} MiB"
    )


if __name__ == "__main__":
    main()

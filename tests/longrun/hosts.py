# SPDX-License-Identifier: GPL-2.0-only
"""Real guests on two Dask workers, one of them killed: `python -m tests.longrun.hosts`.

Not part of the unit tests: about 25 minutes on two cores beyond the kernels.  The same comparison
runs here with one guest at a time and with two, on one worker, on two, and on two of which one is
killed for good, its nanny too, in the middle.  Each worker is taken for a host of its own, with its
own cache.  Printed are the time of each, its efficiency (the time of one guest at a time over
workers times its own time), and how every raw figure and every figure of the report agrees with
those of the local run.  The status is 1 when they do not.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.util.paths import REPO
from tests.faults import same

_PYTHON = sys.executable
_PATIENCE = 60.0
_NEAR = 0.05
"""Points between the changes that two reports of the same comparison give; the boots repeat to
some parts in ten thousand."""


@dataclass(frozen=True, slots=True)
class Bench:
    """results: where they go; scratch: caches and logs of the workers."""

    results: Path
    scratch: Path
    options: tuple[str, ...]

    def command(self, name: str, *more: str) -> list[str]:
        """The comparison's command line."""
        place = ("--results", str(self.results), "--name", name)
        return [_PYTHON, "-m", "harness", "compare", *self.options, *more, *place]

    def compare(self, name: str, *more: str) -> Path:
        """Run it, with its words in a log of its own; its results folder."""
        with (self.scratch / f"{name}.log").open("wb") as log:
            done = subprocess.run(
                self.command(name, *more), cwd=REPO, stdout=log, stderr=log, check=False
            )
        if done.returncode not in (0, 3, 4):
            raise SystemExit(f"{name} ended with {done.returncode}: see {log.name}")
        return self.results / name

    @contextlib.contextmanager
    def cluster(self, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
        """A scheduler and workers as a user starts them; its address, and the workers."""
        found = self.scratch / "scheduler.json"
        found.unlink(missing_ok=True)
        loopback = ("--host", "127.0.0.1", "--no-dashboard")
        with contextlib.ExitStack() as stack:
            self._dask(stack, "scheduler", *loopback, "--port", "0", "--scheduler-file", str(found))
            address = _address(found)
            hands = [
                self._dask(
                    stack, "worker", address, *loopback, "--nthreads", "1", "--nworkers", "1",
                    host=f"host{number}",
                )
                for number in range(workers)
            ]  # fmt: skip
            time.sleep(10)  # a comparison takes the workers that have come when it begins
            yield address, hands

    def _dask(
        self, stack: contextlib.ExitStack, *words: str, host: str = "near"
    ) -> subprocess.Popen[bytes]:
        home = self.scratch / host
        home.mkdir(exist_ok=True)
        env = {**os.environ, "HARNESS_HOST": host, "XDG_CACHE_HOME": str(home)}
        log = stack.enter_context((self.scratch / f"{host}.log").open("ab"))
        process = subprocess.Popen(
            [_PYTHON, "-m", "dask", *words], cwd=REPO, env=env, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        stack.callback(_end, process)
        return process


def _address(found: Path) -> str:
    begun = time.monotonic()
    while time.monotonic() - begun < _PATIENCE:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return str(json.loads(found.read_text(encoding="utf-8"))["address"])
        time.sleep(0.2)
    raise SystemExit("the Dask scheduler did not come up")


def _end(process: subprocess.Popen[bytes], sig: int = signal.SIGTERM) -> None:
    """All of its session's group: nanny and worker."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sig)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        _end(process, signal.SIGKILL)


def _boots(folder: Path) -> list[Path]:
    return list(folder.glob("boots/*/[!.]*/boot.json"))


def _killed(bench: Bench, after: int) -> Path:
    """The comparison on two workers; the first is killed once ``after`` boots have come back."""
    folder = bench.results / "killed"
    with bench.cluster(2) as (address, hands), (bench.scratch / "killed.log").open("wb") as log:
        command = bench.command("killed", "--scheduler", address)
        with subprocess.Popen(command, cwd=REPO, stdout=log, stderr=log) as near:
            while near.poll() is None and len(_boots(folder)) < after:
                time.sleep(0.1)
            lost = [path for path in hands[:1] if path.poll() is None and near.poll() is None]
            for hand in lost:
                # Workers lead groups of their own below the nanny's session.
                subprocess.run(["pkill", "-KILL", "--session", str(hand.pid)], check=True)
            print(f"killed {len(lost)} worker after {len(_boots(folder))} boots", flush=True)
            if near.wait() not in (0, 3, 4) or not lost:
                raise SystemExit(f"the comparison ended with {near.returncode}: see {log.name}")
    return folder


def makespan(folder: Path) -> float:
    """Seconds from the start of the first boot to the end of the last."""
    started = min(
        datetime.datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["started"])
        for path in _boots(folder)
    )
    return max(path.stat().st_mtime for path in _boots(folder)) - started.timestamp()


def verdicts(folder: Path) -> dict[str, tuple[float, str]]:
    """The report's answer for each cell: the change of its primary metric in percent, and what it
    is called."""
    with (folder / "report" / "estimates.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["role"] == "primary"]
    return {row["cell"]: (float(row["change_pct"]), row["verdict"]) for row in rows}


def differences(folder: Path, reference: Path) -> tuple[str, list[str]]:
    """The answers of a run in words, and a sentence for each that is not the reference's."""
    mine, theirs = verdicts(folder), verdicts(reference)
    words = [f"{cell} {change:+.4f} % {kind}" for cell, (change, kind) in mine.items()]
    faults = [] if mine.keys() == theirs.keys() else ["the reports have other cells"]
    for cell in mine.keys() & theirs.keys():
        (change, kind), (expected, called) = mine[cell], theirs[cell]
        if kind != called or abs(change - expected) > _NEAR:
            faults.append(f"{cell}: {change:+.4f} % {kind} and not {expected:+.4f} % {called}")
    return ", ".join(words), faults


def main() -> None:
    """Run the five comparisons and print what they come to."""
    parser = argparse.ArgumentParser(prog="tests.longrun.hosts", description=__doc__)
    parser.add_argument("--base", default="debian/6.12", help="kernel (debian/6.12)")
    parser.add_argument("--patch", default="calibration", help="series (calibration)")
    parser.add_argument("--pairs", type=int, default=5, help="of boots for each cell (5)")
    parser.add_argument("--kill", type=int, default=8, help="boots before the kill (8)")
    args = parser.parse_args()
    options = (
        "--base", args.base, "--patch", args.patch, "--pairs", str(args.pairs),
        "--backends", "zswap,zram", "--workloads", "pageio",
    )  # fmt: skip
    scratch = Path(tempfile.mkdtemp(prefix="hosts-"))
    bench = Bench(scratch / "results", scratch, options)
    print(f"results, logs and caches: {scratch}", flush=True)
    bad = False
    reference = bench.compare("alone", "--parallel", "1")
    alone = makespan(reference)
    for name, workers in (("alone", 1), ("beside", 2), ("one", 1), ("two", 2), ("killed", 2)):
        if name == "killed":
            folder = _killed(bench, args.kill)
        elif name in ("one", "two"):
            with bench.cluster(workers) as (address, _):
                folder = bench.compare(name, "--scheduler", address)
        else:
            folder = bench.compare(name, "--parallel", str(workers))
        took, like = makespan(folder), same.compare(folder, reference)
        words, faults = differences(folder, reference)
        bad = bad or bool(like.faults or faults)
        print(
            f"{name}: {like.boots} boots, {took:.0f} s, "
            f"efficiency {alone / took / workers:.2f}, {like.figures} figures within "
            f"{100 * like.largest:.4f} % of the local run's; {words}",
            *like.faults, *faults, sep="\n  ", flush=True,
        )  # fmt: skip
    sys.exit(bad)


if __name__ == "__main__":
    main()

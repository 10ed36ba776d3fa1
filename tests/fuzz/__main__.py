# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz every parser for a stated time each: `make fuzz SECONDS=60`, or one with PARSER=mail.

With atheris (requirements-fuzz.txt) inputs follow the code's coverage; without it hypothesis draws
them.  Prints executions and findings; an input that breaks a parser is kept, and the status is 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.fuzz import engine
from tests.fuzz.targets import TARGETS, Target


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of one parser; ``finding`` is "" or what happened, with the input's file."""

    executions: int
    seconds: float
    finding: str


def guided(target: Target, seconds: int, folder: Path) -> Fuzzed:
    """Under atheris, in a process of its own."""
    begun = time.monotonic()
    argv = [sys.executable, "-m", "tests.fuzz.engine", target.name, str(seconds), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    count = re.search(r"stat::number_of_executed_units: (\d+)", said)
    found = sorted(folder.glob("finding-*"))
    finding = ""
    if found:
        finding = f"{found[0].name}: {_why(target, found[0])}"
    elif done.returncode != 0:
        finding = f"the fuzzer ended with {done.returncode}: {said[-300:].strip()}"
    return Fuzzed(int(count[1]) if count else 0, time.monotonic() - begun, finding)


def _why(target: Target, path: Path) -> str:
    if not path.name.startswith("finding-crash"):
        return "it took too long or too much memory"
    try:
        target.run(path.read_bytes())
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    return "it does not happen again"


def drawn(target: Target, seconds: int, folder: Path) -> Fuzzed:
    """With hypothesis, in rounds until the time is over."""
    begun, count = time.monotonic(), 0

    @settings(
        max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(engine.inputs(target.seeds, target.words))
    def hold(data: bytes) -> None:
        nonlocal count
        count += 1
        latest.write_bytes(data)
        target.run(data)

    folder.mkdir(parents=True, exist_ok=True)
    latest = folder / "finding-latest"
    while time.monotonic() - begun < seconds:
        try:
            hold()
        except Exception as error:
            what = f"{latest.name}: {type(error).__name__}: {error}"
            return Fuzzed(count, time.monotonic() - begun, what)
    latest.unlink(missing_ok=True)
    return Fuzzed(count, time.monotonic() - begun, "")


def main() -> int:
    """Fuzz what the command line names; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each parser (60)")
    parser.add_argument("--parser", action="append", choices=[one.name for one in TARGETS])
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="corpus, findings")
    args = parser.parse_args()
    run = guided if importlib.util.find_spec("atheris") else drawn
    print(f"inputs from {'atheris' if run is guided else 'hypothesis'}, {args.seconds} s a parser")
    total, broken = 0, 0
    for target in TARGETS:
        if args.parser and target.name not in args.parser:
            continue
        folder = args.folder.resolve() / target.name
        for old in folder.glob("finding-*"):
            old.unlink()
        made = run(target, args.seconds, folder)
        total, broken = total + made.executions, broken + bool(made.finding)
        said = f"FOUND {folder}: {made.finding}" if made.finding else "nothing found"
        print(
            f"{target.name:<42} {made.executions:9d} in {made.seconds:5.0f} s  {said}", flush=True
        )
    print(f"{total} executions, {broken} parsers with a finding")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-only
"""Drivers of real programs, run against fakes of these that a test knows all about."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import workload
from tests.fakes import redis
from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["redis", "stress"]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

STRESS = """#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	--yaml) yaml=$2 ;;
	--vm-ops|--pageswap-ops) ops=$2 ;;
	esac
	all="$all $1"
	shift
done
[ -z "$FAKE_ARGS" ] || echo "$all " >"$FAKE_ARGS"
[ -z "$FAKE_STATUS" ] || { echo "vm: fail: bit error"; exit "$FAKE_STATUS"; }
cat >"$yaml" <<END
---
system-info:
      user-time: 99
metrics:
    - stressor: vm
      bogo-ops: $((ops + FAKE_MORE))
      bogo-ops-per-second-usr-sys-time: 53590.1
      wall-clock-time: 2.500000
      user-time: 0.500000
      system-time: 0.250000
END
[ -z "$FAKE_EMPTY" ] || echo >"$yaml"
"""

Line = dict[str, Any]


@pytest.fixture(scope="module")
def bin_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real")
    targets = [f"{out}/bin/{name}" for name in NAMES]
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", *targets]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin"


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = redis.install(tmp_path_factory.mktemp("fakes"))
    (folder / "stress-ng").write_text(STRESS, encoding="utf-8")
    (folder / "stress-ng").chmod(0o755)
    return folder


def run(program: Path, fakes: Path | None, *argv: str, **env: str) -> Any:
    path = os.environ["PATH"] if fakes is None else f"{fakes}:{os.environ['PATH']}"
    known = {"HARNESS_SAMPLER": "/nonexistent/socket", "PATH": path, **env}
    return subprocess.run(
        [program, *argv], env=known, capture_output=True, text=True, timeout=300, check=False
    )


def lines(done: Any) -> list[Line]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def values(found: list[Line], name: str) -> list[float]:
    return [x["value"] for x in found if x["type"] == "metric" and x["name"] == name]


@pytest.mark.parametrize("name", NAMES)
def test_a_good_run_is_complete_and_emits_what_it_declares(
    bin_dir: Path, fakes: Path, name: str
) -> None:
    small = {"redis": ["--keys=20", "--requests=30"], "stress": ["--ops=100"]}[name]
    found = lines(run(bin_dir / name, fakes, *small))
    assert is_complete(found)
    data = workload.read(name, workload.FOLDER)
    emitted = {x["name"] for x in found if x["type"] == "metric"}
    assert emitted == set(data["metrics"])
    assert {x["name"] for x in found if x["type"] == "phase"} == set(data["phases"])


def test_without_the_program_the_guest_is_told_to_lack_it(bin_dir: Path, tmp_path: Path) -> None:
    for name in NAMES:
        done = run(bin_dir / name, None, PATH=str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.startswith(f"{name}: Cannot run ")
        assert "in this guest: No such file or directory." in done.stderr


# stress-ng: its figures, and what is made of them


def test_stress_figures_are_those_of_the_stressor(bin_dir: Path, fakes: Path) -> None:
    found = lines(run(bin_dir / "stress", fakes, "--ops=1000", "--rounds=2", FAKE_MORE="250"))
    assert values(found, "bogo_ops") == [1250, 1250]
    assert values(found, "op") == pytest.approx([2e6] * 2)
    assert values(found, "op_cpu") == pytest.approx([6e5] * 2)
    assert values(found, "bogo_ops_rate") == pytest.approx([500] * 2)


def test_stress_asks_for_passes_that_a_memcg_survives(
    bin_dir: Path, fakes: Path, tmp_path: Path
) -> None:
    """MADV_POPULATE_READ over memory that is in swap ended each boot of 6.12 in guest-oom.

    vm calls it before each pass, which is harmless for a fresh mapping, and most methods call it
    between writing and checking.
    """
    place = tmp_path / "args"
    lines(run(bin_dir / "stress", fakes, FAKE_ARGS=str(place)))
    args = place.read_text(encoding="utf-8")
    assert " --vm-method wrrd128nt " in args and " --no-madvise " in args
    assert " --vm-keep " not in args


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"FAKE_STATUS": "2"}, "stress-ng ended with status 2: vm: fail: bit error."),
        ({"FAKE_MORE": "-1"}, "stress-ng ended after 99 of 100 operations."),
        ({"FAKE_EMPTY": "y"}, "stress-ng's figures have no 'metrics'."),
    ],
)
def test_a_stressor_that_fails_is_a_failure(
    bin_dir: Path, fakes: Path, env: dict[str, str], message: str
) -> None:
    for stressor in ("vm", "pageswap"):
        done = run(bin_dir / "stress", fakes, "--ops=100", f"--stressor={stressor}", **env)
        assert done.returncode == 1 and message in done.stderr
        assert '"done"' not in done.stdout


# redis: every value compared, each latency taken


def test_every_read_is_timed_and_compared(bin_dir: Path, fakes: Path) -> None:
    argv = ["--keys=50", "--requests=120", "--rounds=2", "--value=8K"]
    found = lines(run(bin_dir / "redis", fakes, *argv))
    assert [(x["pages"], x["bad"]) for x in found if x["type"] == "verify"] == [(240, 0)] * 2
    (hist,) = (x for x in found if x["type"] == "hist")
    assert sum(count for _, count in hist["counts"]) == 240
    for get, rps in zip(values(found, "get"), values(found, "get_rate"), strict=True):
        assert get * rps == pytest.approx(1e9, rel=1e-2)


def test_redis_benchmarks_figures_are_taken_as_they_are(bin_dir: Path, fakes: Path) -> None:
    found = lines(run(bin_dir / "redis", fakes, "--keys=5", "--requests=5"))
    expected = {"rate": 20618.56, "p50": 0.023, "p95": 0.031, "p99": 1.5, "max": 9.2}
    for name, value in expected.items():
        assert values(found, f"bench_{name}") == [value]
    none = lines(run(bin_dir / "redis", fakes, "--keys=5", "--requests=5", "--bench=0"))
    assert values(none, "bench_rate") == []


def test_a_wrong_byte_of_a_value_is_corruption(bin_dir: Path, fakes: Path) -> None:
    done = run(bin_dir / "redis", fakes, "--keys=10", "--requests=10", FAKE_REDIS="corrupt")
    assert done.returncode == 3
    assert "1 pages are corrupt." in done.stderr and "page 3 offset 100" in done.stderr


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"FAKE_REDIS": "dies"}, "redis-server ended with status 1: no such option."),
        ({"FAKE_REDIS": "full"}, "The server answers '-OOM"),
        ({"FAKE_LINE": "nonsense"}, "redis-benchmark prints no line for GET as it should."),
        ({"FAKE_LINE": '"GET","1"'}, "redis-benchmark prints no line for GET as it should."),
    ],
)
def test_a_server_that_fails_is_a_failure(
    bin_dir: Path, fakes: Path, env: dict[str, str], message: str
) -> None:
    done = run(bin_dir / "redis", fakes, "--keys=5", "--requests=5", **env)
    assert done.returncode == 1 and message in done.stderr
    assert '"done"' not in done.stdout


def test_the_server_goes_with_its_driver(bin_dir: Path, fakes: Path, tmp_path: Path) -> None:
    """A driver that fails must leave no server behind."""
    mine = redis.install(tmp_path / "mine")
    for env in ({}, {"FAKE_REDIS": "full"}):
        run(bin_dir / "redis", mine, "--keys=5", "--requests=5", "--bench=0", **env)
    end = time.monotonic() + 30
    while (left := _running(str(mine))) and time.monotonic() < end:
        time.sleep(0.1)  # it was told to go, and goes in its own time
    assert left == []


def _running(word: str) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if word.encode() in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

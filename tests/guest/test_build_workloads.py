# SPDX-License-Identifier: GPL-2.0-only
"""kbuild and leftover: figures, and what a wrong compiler or a missing swap area comes to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import workload
from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--files=3", "--functions=2", "--level=-O0", "--jobs=1"]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

GCC = """#!/bin/sh
[ "$4" ] || exit 9
echo "$@" >>"$FAKE_LOG"
[ -z "$FAKE_FAIL" ] || { echo "$5:1: internal compiler error"; exit 4; }
cat "$5" >"$4"
[ -z "$FAKE_RANDOM" ] || head -c 8 /dev/urandom >>"$4"
"""
LD = """#!/bin/sh
shift 2
out=$1
shift
cat "$@" >"$out"
"""


@pytest.fixture(scope="module")
def bin_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("build")
    targets = [f"{out}/bin/{name}" for name in ("kbuild", "leftover")]
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", *targets]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin"


@pytest.fixture
def fakes(tmp_path: Path) -> dict[str, str]:
    """The environment of a compiler and a linker that copy."""
    for name, text in (("gcc", GCC), ("ld", LD)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE_LOG": str(log)}


def run(program: Path, *argv: str, **env: str) -> Any:
    known = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(
        [str(program), *argv], env=known, capture_output=True, text=True, timeout=300, check=False
    )


def metrics(done: Any) -> dict[str, list[float]]:
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = {}
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert is_complete(rows)
    for row in rows:
        if row["type"] == "metric":
            found.setdefault(row["name"], []).append(row.get("value"))  # none if QEMU counts it
    return found


def declared(name: str) -> set[str]:
    return set(workload.read(name, workload.FOLDER)["metrics"])


def test_a_real_build_gives_every_metric_and_user_and_system_make_up_the_whole(
    bin_dir: Path,
) -> None:
    found = metrics(run(bin_dir / "kbuild", *SMALL, "--rounds=2"))
    assert set(found) == declared("kbuild")
    assert len(found["elapsed"]) == 2
    for user, system, cpu in zip(found["user"], found["system"], found["cpu"], strict=True):
        assert user + system == cpu > 0


def test_the_sources_are_the_same_for_a_seed_and_grow_from_file_to_file(
    bin_dir: Path, fakes: dict[str, str], tmp_path: Path
) -> None:
    one, same, other = (
        metrics(run(bin_dir / "kbuild", *SMALL, f"--seed={seed}", **fakes))["source_size"]
        for seed in (1, 1, 2)
    )
    assert one == same != other
    # 2 + 4 + 6 functions.
    double = metrics(run(bin_dir / "kbuild", "--files=3", "--functions=4", **fakes))
    assert 1.7 < double["source_size"][0] / one[0] < 2.1
    calls = (tmp_path / "log").read_text("utf-8").splitlines()
    assert [call.split("/")[-1] for call in calls[:3]] == ["2.c", "1.c", "0.c"]
    assert calls[0].startswith("-O0 -c -o ")


def test_other_objects_in_the_second_round_are_corrupted_data(
    bin_dir: Path, fakes: dict[str, str]
) -> None:
    assert run(bin_dir / "kbuild", *SMALL, "--rounds=2", **fakes).returncode == 0
    done = run(bin_dir / "kbuild", *SMALL, "--rounds=2", FAKE_RANDOM="1", **fakes)
    assert done.returncode == 3
    assert "built other objects than round 1" in done.stderr


def test_a_compiler_that_fails_ends_it_with_its_words(bin_dir: Path, fakes: dict[str, str]) -> None:
    done = run(bin_dir / "kbuild", *SMALL, FAKE_FAIL="1", **fakes)
    assert done.returncode == 1
    assert "gcc ended with status 4" in done.stderr
    assert "internal compiler error" in done.stderr


def test_without_a_compiler_the_guest_is_told_to_lack_it(bin_dir: Path, tmp_path: Path) -> None:
    done = run(bin_dir / "kbuild", *SMALL, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "Cannot run gcc in this guest" in done.stderr


def test_what_is_left_has_a_figure_for_each_metric(bin_dir: Path) -> None:
    argv = ["--size=1M", "--cycles=2", "--allow-resident"]
    found = metrics(run(bin_dir / "leftover", *argv))
    assert set(found) == declared("leftover")
    assert found["kernel_memory"][0] > 0
    assert found["swapoffs"] == [0]


def test_without_a_swap_area_there_is_nothing_to_turn_off(bin_dir: Path) -> None:
    if len(Path("/proc/swaps").read_text("utf-8").splitlines()) > 1:
        pytest.skip("this host swaps, and its areas are left alone")
    done = run(bin_dir / "leftover", "--size=1M", "--cycles=1")
    assert done.returncode == 1
    assert "There is no swap area" in done.stderr

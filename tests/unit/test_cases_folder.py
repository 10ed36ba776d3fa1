# SPDX-License-Identifier: GPL-2.0-only
"""workloads/cases: every case says what it must, its spec loads, and its programs compile."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.results.console import Outcome
from harness.util import yamlfile
from harness.util.paths import REPO

CASES = sorted((REPO / "workloads/cases").glob("*/case.yaml"))
PROGRAMS = sorted((REPO / "workloads/cases").glob("*/*.c"))
SCRIPTS = sorted((REPO / "workloads/cases").glob("*/*.sh"))
ALWAYS = {"title", "report", "kernels", "reported"}
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]


def named(path: Path) -> str:
    return path.parent.name


def loaded(path: Path) -> Experiment:
    return spec.load(None, yamlfile.read(path)["spec"], home=path.parent)


runnable = [path for path in CASES if "spec" in yamlfile.read(path)]


def test_at_least_fifteen_can_be_run() -> None:
    assert len(runnable) >= 15


@pytest.mark.parametrize("path", CASES, ids=named)
def test_a_case_says_what_was_seen_or_why_it_cannot_be(path: Path) -> None:
    data = yamlfile.read(path)
    wanted = {"cannot"} if "cannot" in data else {"spec", "seen"}
    assert set(data) - {"scaled"} == ALWAYS | wanted
    assert data["report"] and isinstance(data["report"], list)
    assert "\n" not in data["title"]


@pytest.mark.parametrize("path", runnable, ids=named)
def test_what_must_be_seen_is_there_to_be_seen(path: Path) -> None:
    data = yamlfile.read(path)
    cells = {cell.name: cell.workload for cell in loaded(path).cells()}
    for one in data["seen"]:
        check_seen(one, cells)


@pytest.mark.parametrize("path", runnable, ids=named)
def test_the_guest_has_the_memory_that_its_workload_needs(path: Path) -> None:
    experiment = loaded(path)
    for cell in experiment.cells():
        assert cell.workload.ram <= experiment.guest.memory, cell.name


def check_seen(one: dict[str, Any], cells: dict[str, Any]) -> None:
    if "console" in one:
        assert set(one) == {"console"}
        re.compile(one["console"])
    elif "outcome" in one:
        assert set(one) == {"outcome"}
        assert set(one["outcome"]) <= {str(outcome) for outcome in Outcome}
    else:
        assert ("above" in one) != ("below" in one)
        assert ("over" in one) <= ("cell" in one)
        assert "against" not in one or (one["against"] == "base" and "over" not in one)
        assert set(one) <= {"metric", "cell", "over", "against", "above", "below"}
        for name in {one.get("cell", next(iter(cells))), one.get("over", next(iter(cells)))}:
            assert one["metric"] in cells[name].data["metrics"], name


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("path", PROGRAMS, ids=named)
def test_a_program_compiles_without_a_warning(path: Path, tmp_path: Path) -> None:
    argv = ["gcc", "-O2", *WARNINGS, "-pthread", "-static", "-o", str(tmp_path / "out"), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_a_script_is_one_that_the_guest_s_shell_reads(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)


def test_no_program_is_there_for_nothing() -> None:
    used = {
        cell.workload.own.place.resolve()
        for path in runnable
        for cell in loaded(path).cells()
        if cell.workload.own and cell.workload.own.place
    }
    assert used == {path.resolve() for path in (*PROGRAMS, *SCRIPTS)}

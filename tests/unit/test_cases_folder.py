# SPDX-License-Identifier: GPL-2.0-only
"""workloads/cases: every case loads, what it looks for is there, and its programs compile."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.experiment import case
from harness.experiment.case import ReportedCase
from harness.results.console import Outcome

CASES = {name: case.load(name) for name in case.names()}
RUNNABLE = [one for one in CASES.values() if one.spec is not None]
PROGRAMS = sorted(case.FOLDER.glob("*/*.c"))
SCRIPTS = sorted(case.FOLDER.glob("*/*.sh"))
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]


def named(one: ReportedCase) -> str:
    return one.name


def in_folder(path: Path) -> str:
    return path.parent.name


def test_at_least_fifteen_can_be_run() -> None:
    assert len(RUNNABLE) >= 15


@pytest.mark.parametrize("one", RUNNABLE, ids=named)
def test_what_must_be_seen_is_there_to_be_seen(one: ReportedCase) -> None:
    cells = {cell.name: cell.workload for cell in one.experiment({}).cells()}
    outcomes = {str(outcome) for outcome in Outcome}
    for sign in one.seen:
        assert set(sign.outcome) <= outcomes
        for name in {sign.cell, sign.over} - {None} or cells:
            assert not sign.metric or sign.metric in cells[str(name)].data["metrics"], name


@pytest.mark.parametrize("one", RUNNABLE, ids=named)
def test_the_guest_has_the_memory_that_its_workload_needs(one: ReportedCase) -> None:
    experiment = one.experiment({})
    for cell in experiment.cells():
        assert cell.workload.ram <= experiment.guest.memory, cell.name


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("path", PROGRAMS, ids=in_folder)
def test_a_program_compiles_without_a_warning(path: Path, tmp_path: Path) -> None:
    argv = ["gcc", "-O2", *WARNINGS, "-pthread", "-static", "-o", str(tmp_path / "out"), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=in_folder)
def test_a_script_is_one_that_the_guest_s_shell_reads(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)


def test_no_program_is_there_for_nothing() -> None:
    used = {
        cell.workload.own.place.resolve()
        for one in RUNNABLE
        for cell in one.experiment({}).cells()
        if cell.workload.own and cell.workload.own.place
    }
    assert used == {path.resolve() for path in (*PROGRAMS, *SCRIPTS)}

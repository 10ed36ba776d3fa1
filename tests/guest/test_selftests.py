# SPDX-License-Identifier: GPL-2.0-only
"""The program that runs the kernel's own tests, over tests whose end is known."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import workload
from harness.results import console, ktap
from harness.results.ktap import Result
from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

GOOD = 'echo TAP version 13; echo 1..2; echo "ok 1 a"; echo "# swap is off" >&2; printf "ok 2 b"'
BROKEN = 'echo TAP version 13; echo 1..1; echo "# no zswpout"; echo "not ok 1 c"; exit 1'


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("selftests")
    target = f"{out}/bin/selftests"
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", target]
    subprocess.run(argv, check=True, capture_output=True)
    return Path(target)


class Guest:
    """A folder of tests as a kernel's artefact has it."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self.program = folder, program
        self.output = folder / "selftests.ktap"
        self.names: list[str] = []

    def test(self, name: str, script: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        self.names.append(name)

    def run(self, *more: str) -> Any:
        (self.folder / "list").write_text("\n".join(self.names) + "\n", encoding="utf-8")
        argv = [str(self.program), f"--folder={self.folder}", f"--output={self.output}"]
        argv += [f"--place={self.folder}", *more]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def results(self, *more: str) -> tuple[dict[str, str], ktap.KtapResult, list[dict[str, Any]]]:
        done = self.run(*more)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert is_complete(lines)
        programs = {x["name"]: f"{x['result']} {x['directive']}" for x in lines
                    if x["type"] == "test"}  # fmt: skip
        return programs, ktap.parse(self.output.read_text("utf-8")), lines


@pytest.fixture
def guest(tmp_path: Path, program: Path) -> Guest:
    return Guest(tmp_path, program)


def test_every_end_of_a_test_is_told_in_both_outputs(guest: Guest) -> None:
    guest.test("cgroup/good", GOOD)
    guest.test("cgroup/broken", BROKEN)
    guest.test("mm/skips", "echo no THP; exit 4")
    guest.test("mm/dies", "echo last words; kill -SEGV $$")
    guest.names.append("mm/unbuilt no such header")
    guest.names.append("mm/absent")
    programs, parsed, lines = guest.results()
    assert programs == {
        "cgroup/good": "pass ",
        "cgroup/broken": "fail exit=1",
        "mm/skips": "skip SKIP",
        "mm/dies": "fail exit=139",
        "mm/unbuilt": "skip SKIP not built",
        "mm/absent": "fail exit=127",
    }
    assert parsed.defects == ()
    cases = {case.name.removeprefix("selftests: "): case for case in parsed.cases}
    assert {name: case.result for name, case in cases.items()} == {
        "cgroup: good > a": Result.PASS,
        "cgroup: good > b": Result.PASS,
        "cgroup: good": Result.PASS,
        "cgroup: broken > c": Result.FAIL,
        "cgroup: broken": Result.FAIL,
        "mm: skips": Result.SKIP,
        "mm: dies": Result.FAIL,
        "mm: unbuilt": Result.SKIP,
        "mm: absent": Result.FAIL,
    }
    assert cases["cgroup: broken > c"].log == ("no zswpout",)
    assert "last words" in cases["mm: dies"].log
    assert any("no such header" in line for line in cases["mm: unbuilt"].log)
    metrics = {x["name"]: x["value"] for x in lines if x["type"] == "metric"}
    assert metrics == {"passed": 1, "failed": 3, "skipped": 2}


def test_a_test_that_hangs_is_ended_with_all_it_started_and_the_next_one_runs(
    guest: Guest,
) -> None:
    guest.test("cgroup/hangs", f"sleep 50 & echo $! >{guest.folder}/child; echo begun; wait")
    guest.test("cgroup/good", GOOD)
    programs, parsed, _ = guest.results("--limit=1")
    assert programs == {"cgroup/hangs": "fail TIMEOUT 1 seconds", "cgroup/good": "pass "}
    assert parsed.cases[0].log[-1] == "begun"
    child = int((guest.folder / "child").read_text())
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_a_child_that_keeps_the_output_open_does_not_hold_up_the_next_test(guest: Guest) -> None:
    guest.test("cgroup/leaves", "sleep 50 & echo done")
    guest.test("cgroup/good", GOOD)
    programs, _, _ = guest.results("--limit=30")
    assert list(programs.values()) == ["pass ", "pass "]


def test_only_some(guest: Guest) -> None:
    guest.test("cgroup/good", GOOD)
    guest.test("mm/skips", "exit 4")
    assert list(guest.results("--only=mm/")[0]) == ["mm/skips"]
    done = guest.run("--only=nothing")
    assert done.returncode == 1
    assert "has 'nothing' in its name" in done.stderr


@pytest.mark.parametrize("name", ["../x/evil", "cgroup", 'a/b"c', "/etc/passwd"])
def test_a_name_that_is_none_ends_it(guest: Guest, name: str) -> None:
    guest.names.append(name)
    done = guest.run()
    assert done.returncode == 1
    assert "names no test" in done.stderr


def test_it_prints_no_more_than_it_may(guest: Guest) -> None:
    guest.test("cgroup/loud", "yes mm | head -c 9000000")
    programs, _, _ = guest.results()
    assert programs == {"cgroup/loud": "pass "}
    assert guest.output.stat().st_size < 10 << 20
    assert "the rest of its output is left out" in guest.output.read_text("utf-8")


def test_what_its_console_lines_say_is_expected_of_its_own_tests_only() -> None:
    patterns = workload.load("selftests").definition.expected_console
    mine = "[1.0] Memory cgroup out of memory: Killed process 71 (test_memcontrol) total-vm:1kB"
    other = mine.replace("test_memcontrol", "redis-server")
    assert console.worst(mine, expected=patterns) is None
    found = console.worst(f"{mine}\n{other}", expected=patterns)
    assert found is not None
    assert "redis-server" in found.text
    data = yaml.safe_load((ROOT / "workloads/selftests/workload.yaml").read_text("utf-8"))
    assert data["outputs"] == ["selftests.ktap"]

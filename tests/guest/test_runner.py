# SPDX-License-Identifier: GPL-2.0-only
"""The runner of programs that know nothing of the harness, with programs of every kind of end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runner")
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", f"{out}/bin/runner"]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin" / "runner"


@dataclass(frozen=True)
class Ran:
    """One run: its lines, what the program printed, status and last words of the runner."""

    lines: list[dict[str, Any]]
    printed: str
    status: int
    said: str

    @property
    def metrics(self) -> dict[str, float]:
        return {
            one["name"]: one["value"]
            for one in self.lines
            if one["type"] == "metric" and "value" in one
        }


def run(runner: Path, tmp_path: Path, script: str, *words: str, phases: str = "") -> Ran:
    folder = tmp_path / "programs" / "mine"
    folder.mkdir(parents=True)
    (folder / "data").write_text("some data\n")
    if phases:
        (folder / ".phases").write_text(phases)
    program = folder / "run"
    program.write_text(script)
    program.chmod(0o755)
    group = tmp_path / "group"
    group.mkdir()
    (group / "cgroup.procs").touch()
    (group / "cpu.stat").write_text("usage_usec 7\nuser_usec 5\nsystem_usec 2\n")
    (group / "memory.stat").write_text("anon 4096\npgfault 9\npgmajfault 1\n")
    (group / "memory.peak").write_text("1048576\n")
    (group / "memory.pressure").write_text("some avg10=0.00 total=9\nfull avg10=0.00 total=3\n")
    done = subprocess.run(
        [runner, "--entry=mine/run", *words],
        env={
            "PATH": os.environ["PATH"],
            "HARNESS_PROGRAMS": str(tmp_path / "programs"),
            "HARNESS_HOME": str(tmp_path / "home"),
            "HARNESS_GROUP": str(group),
            "HARNESS_OUTPUT": str(tmp_path / "printed"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    printed = tmp_path / "printed"
    text = printed.read_text() if printed.is_file() else ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return Ran(lines, text, done.returncode, done.stderr.strip())


def test_a_program_is_measured_without_a_word_of_its_own(runner: Path, tmp_path: Path) -> None:
    ran = run(runner, tmp_path, "#!/bin/sh\ncat data\necho oops >&2\nsleep 0.2\n")
    assert (ran.status, ran.said) == (0, "")
    assert is_complete(ran.lines)
    assert ran.printed == "some data\noops\n"
    assert 0.2e9 < ran.metrics["elapsed"] < 20e9
    assert ran.metrics["ended"] == ran.metrics["exit_status"] == 0
    assert ran.metrics["peak_memory"] == 1 << 20
    # The files of its cgroup do not move here, so nothing was used.
    assert ran.metrics["cpu"] == ran.metrics["faults"] == ran.metrics["stall"] == 0
    assert ran.metrics["longest_stall"] == 0
    assert "peak_swap" not in ran.metrics  # this "kernel" has no memory.swap.peak
    phases = [one for one in ran.lines if one["type"] == "phase"]
    assert [one["name"] for one in phases] == ["run"]


def test_what_prints_much_is_kept_up_to_a_limit(runner: Path, tmp_path: Path) -> None:
    ran = run(runner, tmp_path, "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' 'x'\n")
    assert ran.status == 0
    assert (4 << 20) < len(ran.printed) < (4 << 20) + 200
    assert ran.printed.endswith("runner: it printed more than 4 MiB, which is not kept\n")


def test_one_that_never_ends_is_ended_with_all_its_children(runner: Path, tmp_path: Path) -> None:
    marker = f"{tmp_path}/alive"
    # A child in a session of its own, whose parent is gone at once.
    script = (
        "#!/bin/sh\n"
        f"setsid sh -c 'sh -c \"while :; do date +%s%N >{marker}; sleep 0.05; done\" &' &\n"
        "while :; do sleep 0.05; done\n"
    )
    ran = run(runner, tmp_path, script, "--limit=1")
    assert (ran.status, ran.said) == (0, "")
    assert ran.metrics["ended"] == 1
    assert "elapsed" not in ran.metrics  # it would be the limit
    assert "exit_status" not in ran.metrics
    alive = Path(marker)
    before = alive.read_text()
    time.sleep(0.5)
    assert alive.read_text() == before


@pytest.mark.parametrize(
    ("fails", "script", "status"),
    [
        ("nonzero", "exit 3", 1),
        ("none", "exit 3", 0),
        ("1,3", "exit 3", 1),
        ("1,4", "exit 3", 0),
        ("nonzero", "kill -SEGV $$", 1),
        ("139", "kill -SEGV $$", 1),
        ("139", "exit 0", 0),
        ("0", "exit 0", 1),
    ],
)
def test_which_exit_status_is_a_failure_is_said(
    runner: Path, tmp_path: Path, fails: str, script: str, status: int
) -> None:
    ran = run(runner, tmp_path, f"#!/bin/sh\necho last words\n{script}\n", f"--fails={fails}")
    assert ran.status == status
    ended = {"exit 3": 3, "exit 0": 0}.get(script, 139)
    assert ran.metrics["exit_status"] == ended
    words = f"runner: The program ended with status {ended}: last words"
    assert ran.said == (words if status else "")


def test_time_without_progress_is_a_failure_where_that_is_asked(
    runner: Path, tmp_path: Path
) -> None:
    # Nothing moves in this cgroup's files, so no task of it ran.
    ran = run(runner, tmp_path, "#!/bin/sh\nsleep 30\n", "--progress=1")
    assert ran.status == 1
    assert ran.said == "runner: The program made no progress for 1 s."


def test_a_script_needs_no_first_line(runner: Path, tmp_path: Path) -> None:
    assert run(runner, tmp_path, "echo $((6 * 7))\n").printed == "42\n"


def test_what_cannot_be_run_is_said(runner: Path, tmp_path: Path) -> None:
    ran = run(runner, tmp_path, "#!/no/such/interpreter\n")
    assert ran.status == 1
    assert "cannot run" in ran.said
    assert "No such file or directory" in ran.said


def test_what_it_prints_tells_its_phases(runner: Path, tmp_path: Path) -> None:
    # As a program in C does that never flushes: it is a terminal that has each line at once.
    source = tmp_path / "fill.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        "int main(void) { for (int i = 0; i < 2; i++) {"
        ' puts("filling ..."); usleep(300000); puts("filled"); usleep(100000); }'
        ' puts("reading ..."); usleep(100000); return 0; }\n'
    )
    subprocess.run(["gcc", "-o", tmp_path / "fill", source], check=True)
    script = f"#!/bin/sh\nexec {tmp_path}/fill\n"
    phases = "fill\tfilling\tfilled\nread\treading\tnever said\n"
    ran = run(runner, tmp_path, script, phases=phases)
    assert (ran.status, ran.said) == (0, "")
    assert is_complete(ran.lines)
    assert ran.printed == "filling ...\nfilled\n" * 2 + "reading ...\n"
    found = [one for one in ran.lines if one["type"] == "phase"]
    assert [(one["name"], one["round"]) for one in found] == [("fill", 1), ("fill", 2), ("read", 1)]
    for one, least in zip(found, (0.3e9, 0.3e9, 0.1e9), strict=True):
        assert least * 0.9 < one["end_ns"] - one["begin_ns"] < least + 20e9
    assert ran.metrics["elapsed"] > 0.9e9

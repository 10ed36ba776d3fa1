# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests on their way: workload keys, tools disks by arm, files brought back."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from harness.build import image, kselftest
from harness.build.kselftest import SelftestRequest, Selftests
from harness.experiment import cell, workload
from harness.results.console import Outcome
from harness.studies import needs
from harness.util import sandbox
from harness.util.errors import UserError
from harness.util.paths import Cache
from harness.vm import boot
from harness.vm.watch import Deadlines
from tests.fakes import things

OOM = "[1.0] Memory cgroup out of memory: Killed process 7 (test_memcontrol) total-vm:1kB\n"
DONE = '{"type":"done"}\n'


def _deadlines() -> Deadlines:
    return Deadlines.for_clock("insn", workload=60.0)


def _cell(name: str) -> cell.Cell:
    return things.cells("zswap", name)[0]


def test_each_kernel_has_the_disk_with_its_own_tests(tmp_path: Path) -> None:
    disks = {key: tmp_path / f"tools-{key}.img" for key in ("a", "b")}
    host = replace(things.host(tmp_path, deadlines=_deadlines()), selftests=disks)
    for key, disk in disks.items():
        made = things.kernel(tmp_path / key, key=key)
        request = replace(things.boot_request(tmp_path), kernel=made)
        assert host.tools_for(replace(request, cell=_cell("selftests"))) == disk
        assert host.tools_for(request) == host.tools


def test_a_kill_that_a_test_asks_for_is_no_failure_and_another_is(tmp_path: Path) -> None:
    (tmp_path / "workload.status").write_text("0\n")
    (tmp_path / "workload.jsonl").write_text(DONE)
    (tmp_path / "console.log").write_text(OOM)
    expected = workload.load("selftests").definition.expected_console
    assert boot._conclude(tmp_path, expected) == (Outcome.OK, "")
    assert boot._conclude(tmp_path)[0] == Outcome.GUEST_OOM
    (tmp_path / "console.log").write_text(OOM + OOM.replace("test_memcontrol", "redis-server"))
    assert boot._conclude(tmp_path, expected)[0] == Outcome.GUEST_OOM


def test_what_is_fatal_stays_so_even_if_it_is_expected(tmp_path: Path) -> None:
    (tmp_path / "workload.status").write_text("0\n")
    (tmp_path / "workload.jsonl").write_text(DONE)
    (tmp_path / "console.log").write_text("[1.0] Kernel panic - not syncing: x\n")
    assert boot._conclude(tmp_path, (".*",))[0] == Outcome.PANIC


@pytest.mark.skipif(shutil.which("mke2fs") is None, reason="needs e2fsprogs")
def test_the_tests_lie_on_the_tools_disk(tmp_path: Path) -> None:
    tools, tests = tmp_path / "tools", tmp_path / "tests"
    for folder, name in ((tools / "bin", "selftests"), (tests / "cgroup", "test_zswap")):
        folder.mkdir(parents=True)
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    (tests / "list").write_text("cgroup/test_zswap\n", encoding="utf-8")
    disk = tmp_path / "tools.img"
    image.make_tools_disk(disk, tools, ssh=(), selftests=tests)
    argv = ["debugfs", "-R", "stat /selftests/cgroup/test_zswap", str(disk)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "Mode:  0755" in said
    image.make_tools_disk(disk, tools, ssh=())
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "File not found" in done.stdout + done.stderr


def _changed(folder: Path, **changes: Any) -> Path:
    source = workload.FOLDER / "selftests"
    data = yaml.safe_load((source / "workload.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        if key in data:
            data[key] = value
        else:
            data["requires"] = {**data["requires"], key: value}
    (folder / "selftests").mkdir()
    shutil.copy(source / workload.DESCRIBED, folder / "selftests")
    (folder / "selftests" / "workload.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"selftests": ["../../etc/x"]}, "it must be a 'collection/program'"),
        ({"selftests": ["cgroup/a b"]}, "it must be a 'collection/program'"),
        ({"outputs": ["../boot.json"]}, "it must be a file's name"),
        ({"expected_console": ["("]}, "it must be a regular expression"),
    ],
)
def test_a_word_that_is_no_name_is_the_users_error(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        workload.load("selftests", folder=_changed(tmp_path, **changes))


def test_the_manifest_says_what_was_built_and_what_was_not(tmp_path: Path) -> None:
    made = Selftests("k", tmp_path, ("mm/cow", "mm/x"), (("mm/x", "no header"),))
    assert made.as_data() == {
        "key": "k",
        "tests": ["mm/cow", "mm/x"],
        "missing": {"mm/x": "no header"},
    }


def test_both_arms_build_what_a_cell_asks_for_and_nothing_where_none_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[SelftestRequest] = []

    class Builder:
        def __init__(self, **_: object) -> None:
            pass

        def build(self, request: SelftestRequest) -> Selftests:
            requests.append(request)
            return Selftests(request.tree, tmp_path, request.tests, ())

    monkeypatch.setattr(kselftest, "SelftestBuilder", Builder)
    made: Any = {
        arm: SimpleNamespace(request=SimpleNamespace(commit=f"c-{arm}", tree=f"t-{arm}"))
        for arm in ("base", "patch")
    }
    context: Any = SimpleNamespace(cache=Cache(tmp_path), store=None, sandbox=sandbox.OFF, jobs=1)
    assert needs.selftests([_cell("pageio")], made, context) == {}
    assert requests == []
    found = needs.selftests([_cell("pageio"), _cell("selftests")], made, context)
    assert {arm: one.key for arm, one in found.items()} == {"base": "t-base", "patch": "t-patch"}
    tests = workload.load("selftests").selftests
    assert requests == [
        SelftestRequest("base", "c-base", "t-base", tests),
        SelftestRequest("patch", "c-patch", "t-patch", tests),
    ]

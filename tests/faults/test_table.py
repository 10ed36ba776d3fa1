# SPDX-License-Identifier: GPL-2.0-only
"""The table of faults, and the shim that breaks guests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.build import image
from harness.results.console import Outcome
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.vm import qemu
from harness.vm.qemu import Machine
from tests.faults import __main__ as faults
from tests.faults import guests, matrix, shim, table

ROW = {"what": "w", "by": "guest", "expect": {"within": 1, "status": 5}}


def _write(folder: Path, row: Any) -> Path:
    path = folder / "faults.yaml"
    path.write_text(json.dumps({"faults": {"row": row}}), encoding="utf-8")
    return path


def test_the_table_says_what_each_row_needs() -> None:
    rows = table.load()
    assert len(rows) > 25 and {row.by for row in rows} == set(table.WAYS) == set(matrix.WAYS)
    scripts = Path(guests.__file__).with_name("guest")
    used = set()
    for row in rows:
        assert row.expect.within > 0 and row.expect.status
        used |= set(row.settings.get("files", {}).values())
        if row.by == "guest":
            assert row.settings["stage"] in {"boot", "prepare", "workload", "collect"}
    assert used == {path.name for path in scripts.iterdir()}
    assert {"panic", "hang", "lost", "flood", "time-out"} <= {row.expect.outcome for row in rows}
    assert {row.expect.outcome for row in rows} - {""} <= set(Outcome)


def test_the_guests_sshd_config_differs_in_nothing_but_sftp() -> None:
    own = REPO / "vm-images" / "guest" / "sshd_config"
    changed = Path(guests.__file__).with_name("guest") / "sshd_config"
    kept, other = (
        [line for line in path.read_text("utf-8").splitlines() if line and line[0] != "#"]
        for path in (own, changed)
    )
    differs = set(kept) ^ set(other)
    assert all(line.startswith("Subsystem sftp") for line in differs | {"Subsystem sftp"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"by": "gest"}, "did you mean 'guest'"),
        ({"wht": 1}, "unknown key 'wht'"),
        ({"expect": {"within": 1}}, "row.expect: key 'status' is missing"),
        ({"expect": {"within": 1, "status": 5, "outcome": "panik"}}, "did you mean 'panic'"),
        ({"expect": {"within": 1, "status": 5, "says": "("}}, "must be a regular expression"),
        ({"expect": {"within": 1, "status": 5, "again": "yes"}}, "one of complete, same"),
        ({"expect": {"within": 1, "status": 5, "outcom": "ok"}}, "did you mean 'outcome'"),
        ({"settings": 3}, "'settings' is '3'; it must be a mapping"),
    ],
)
def test_a_mistake_names_row_and_key(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        table.load(_write(tmp_path, {**ROW, **change}))


def test_rows_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table.load()
    assert [row.name for row in table.select(rows, ["qemu-killed", "panic-boot"])] == [
        "panic-boot",
        "qemu-killed",
    ]
    assert table.select(rows, []) == rows
    assert faults.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    assert faults.main(["--only", "panic-bot"]) == 2
    assert "did you mean 'panic-boot'" in capsys.readouterr().err


# The shim


def _machine(folder: Path) -> Machine:
    return Machine(
        folder=folder, log=folder / "log", socket=folder / "s", kernel=folder / "k",
        root=folder / "root.img", tools=folder / "to,ols.img", swap=None, memory=1 << 28, cpus=1,
        accel="tcg", cpu="max", icount=True, seed=1,
    )  # fmt: skip


def test_without_a_plan_nothing_is_changed(tmp_path: Path) -> None:
    words = qemu.argv(_machine(tmp_path))
    assert shim.changed(words, {}, tmp_path / "new.img") == words


def test_words_are_added_to_the_right_places(tmp_path: Path) -> None:
    words = qemu.argv(_machine(tmp_path))
    plan = {"append": "root=/dev/nowhere", "options": ["-S"]}
    new = shim.changed(words, plan, tmp_path / "new.img")
    assert new[new.index("-append") + 1].endswith(" root=/dev/nowhere") and new[-1] == "-S"
    assert len(new) == len(words) + 1


@pytest.mark.skipif(shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin") is None, reason="e2fs")
def test_a_file_of_the_tools_disk_is_replaced(tmp_path: Path) -> None:
    content = tmp_path / "content"
    (content / "bin").mkdir(parents=True)
    (content / "bin" / "pageio").write_text("old\n", encoding="utf-8")
    machine = _machine(tmp_path)
    image.make_disk(machine.tools, content, size="8M", label="tools")
    before = machine.tools.read_bytes()
    script = tmp_path / "panic.sh"
    script.write_text("new\n", encoding="utf-8")
    target = tmp_path / "tools-1.img"
    files = {"bin/pageio": str(script), "bin/fault": str(script)}
    words = shim.changed(qemu.argv(machine), {"files": files}, target)
    assert f"if=none,id=tools,file={target},format=raw,readonly=on" in words
    assert machine.tools.read_bytes() == before, "the harness's own disk is not touched"
    for name in ("pageio", "fault"):
        out = subprocess.run(
            ["debugfs", "-R", f"cat bin/{name}", str(target)],
            env={"PATH": "/usr/sbin:/sbin:/usr/bin"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert out.stdout == "new\n"
    argv = ["debugfs", "-R", "stat bin/fault", str(target)]
    env = {"PATH": "/usr/sbin:/sbin:/usr/bin"}
    told = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    assert "Mode:  0755" in told and "User:     0" in told


def test_only_the_first_guests_are_broken(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/heard\n', encoding="utf-8")
    real.chmod(0o755)
    plan = {"real": str(real), "pids": str(tmp_path / "pids"), "boots": 1, "append": "broken"}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    argv = [sys.executable, "-I", "-S", shim.__file__, str(tmp_path / "plan.json")]
    for words in (["--version"], ["-append", "a"], ["-append", "b"]):
        subprocess.run([*argv, *words], check=True)
    heard = (tmp_path / "heard").read_text(encoding="utf-8").splitlines()
    assert heard == ["--version", "-append a broken", "-append b"]
    assert len((tmp_path / "pids").read_text(encoding="utf-8").split()) == 2

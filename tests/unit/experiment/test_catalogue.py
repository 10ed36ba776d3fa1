# SPDX-License-Identifier: GPL-2.0-only
"""The workloads' contract and the suites: what ships holds, and each breach is named."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import catalogue, suite, workload
from harness.experiment.cell import runnable
from harness.util.errors import UserError
from harness.util.paths import REPO

WORKLOADS = REPO / "workloads"


def make(workloads: Path, out: Path) -> Path:
    # Programs of the copy find the library beside them; the sampler is not needed.
    targets = [f"{out}/bin/{name}" for name in workload.names(workloads)]
    argv = ["make", "-s", "-C", str(workloads), f"OUT={out}", *targets]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin"


@pytest.fixture(scope="module")
def bin_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    return make(WORKLOADS, tmp_path_factory.mktemp("catalogue"))


def test_every_workload_of_the_tree_keeps_the_contract(bin_dir: Path) -> None:
    assert [str(item) for item in catalogue.check(bin_dir)] == []


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(name="other"), "its 'name' is 'other', not that of the folder"),
        (lambda d: d.update(program="nix"), "there is no nix.c for its 'program'"),
        (lambda d: d.update(colour=1), "unknown key 'colour'"),
        (lambda d: d.update(margin="much"), "its 'margin' is 'much', not a percentage"),
        (lambda d: d["presets"].pop("full"), "its presets must be full, quick, standard"),
        (lambda d: d["presets"]["full"].update(siez=1), "has no parameter 'siez'; did you mean"),
        (lambda d: d.update(primary_waiting_io="x"), "its 'primary_waiting_io', 'x', is not among"),
        (lambda d: d.update(memcg={"limit": "siez / 2"}), "memcg limit 'siez / 2' is neither"),
        (lambda d: d["requires"].update(ram="much"), "requires ram 'much' is neither"),
        (
            lambda d: d["requires"].update(disk="sim"),
            "requires: 'disk' is 'sim'; it must be 'host', or be left out",
        ),
        (lambda d: d["parameters"].pop("seed"), "the program's option 'seed' is not described"),
        (
            lambda d: d["parameters"].update(sead=d["parameters"]["seed"]),
            "parameter 'sead' is no option of the program; did you mean 'seed'?",
        ),
        (
            lambda d: d["parameters"]["rounds"].update(default=7),
            "parameter 'rounds' has the default '7', but the program's is '1'",
        ),
        (lambda d: d["metrics"].pop("read_ns"), "the program's metric 'read_ns' is not described"),
        (
            lambda d: d["metrics"].update(reed_ns=d["metrics"]["read_ns"]),
            "metric 'reed_ns' is no metric of the program; did you mean 'read_ns'?",
        ),
        (
            lambda d: d["metrics"]["read_ns"].update(unit="ns"),
            "metric 'read_ns' has the unit 'ns', but the program's is 'ns/page'",
        ),
        (
            lambda d: d["metrics"]["read_ns"].update(direction="up"),
            "metric 'read_ns' has the direction 'up', not lower or higher",
        ),
        (
            lambda d: d["metrics"]["read_ns"].pop("clock_insn_unit"),
            "metrics 'read_ns' must have exactly the keys clock_insn_unit,",
        ),
    ],
)
def test_each_breach_is_named(bin_dir: Path, tmp_path: Path, change: Change, message: str) -> None:
    shutil.copytree(WORKLOADS / "memhog", tmp_path / "memhog")
    path = tmp_path / "memhog/workload.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    found = [str(item) for item in catalogue.check(bin_dir, folder=tmp_path)]
    assert any(message in text for text in found), found
    assert all(text.startswith("workloads/memhog: ") for text in found)


def test_a_program_that_was_not_built_is_named(tmp_path: Path) -> None:
    shutil.copytree(WORKLOADS / "memhog", tmp_path / "memhog")
    found = catalogue.check(tmp_path / "bin", folder=tmp_path)
    assert [item.text for item in found] == ["its program 'memhog' was not built"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_new_workload_builds_runs_and_keeps_the_contract(tmp_path: Path) -> None:
    for name in ("common", "skeleton"):
        shutil.copytree(WORKLOADS / name, tmp_path / "workloads" / name)
    shutil.copy(WORKLOADS / "Makefile", tmp_path / "workloads")
    made = catalogue.new("evict-2", folder=tmp_path / "workloads")
    assert sorted(path.name for path in made) == ["evict-2.c", "workload.yaml"]
    built = make(tmp_path / "workloads", tmp_path / "out")
    assert catalogue.check(built, folder=tmp_path / "workloads") == ()
    done = subprocess.run([built / "evict-2", "--size=64K"], capture_output=True, check=True)
    assert done.stdout.endswith(b'{"type":"done"}\n')
    with pytest.raises(UserError, match="there is a workloads/evict-2 already"):
        catalogue.new("evict-2", folder=tmp_path / "workloads")


@pytest.mark.parametrize("name", ["", "Big", "a/b", "../x", "common", "suites", "skeleton", "2x"])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a workload"):
        catalogue.new(name, folder=tmp_path)


# Suites


@pytest.mark.parametrize("name", ["quick", "standard", "vswap", "correctness", "backends"])
def test_every_suite_of_the_tree_loads_and_skips_nothing_in_the_default_guest(name: str) -> None:
    made = suite.load(name)
    cells, skipped = runnable(made.cells, memory=768 << 20)
    assert cells == made.cells and skipped == ()
    assert made.description


def test_the_suites_together_run_every_workload_but_the_two_that_are_no_measurement() -> None:
    programs = {cell.workload.program for name in suite.names() for cell in suite.load(name).cells}
    assert programs == set(workload.names()) - {"crash", "overhead"}


def written(folder: Path, **changes: Any) -> Path:
    group = {"backends": ["zram"], "workloads": ["pageio"]}
    data = {"description": "d", "why": "w", "groups": [group], **changes}
    kept = {key: value for key, value in data.items() if value is not None}
    (folder / "mine.yaml").write_text(yaml.safe_dump(kept), encoding="utf-8")
    return folder


def test_presets_and_guest_settings_belong_to_their_group(tmp_path: Path) -> None:
    groups = [
        {"backends": ["zram"], "workloads": ["usemem"], "preset": "standard"},
        {
            "backends": [{"zswap": {"name": "huge"}}],
            "workloads": [{"usemem": {"name": "small"}}],
            "guest": {"thp": "always"},
        },
    ]
    first, second = suite.load("mine", folder=written(tmp_path, groups=groups)).cells
    assert (first.workload.memory_max, second.workload.memory_max) == ("max", str(48 << 20))
    assert "thp" not in dict(first.backend.settings)
    assert dict(second.backend.settings)["thp"] == "always"


def test_a_preset_of_the_caller_is_in_place_of_the_groups(tmp_path: Path) -> None:
    groups = [{"backends": ["zram"], "workloads": ["usemem"], "preset": "standard"}]
    folder = written(tmp_path, groups=groups)
    (own,) = suite.load("mine", folder=folder).cells
    (quick,) = suite.load("mine", preset="quick", folder=folder).cells
    assert own.workload == workload.load("usemem", preset="standard")
    assert quick.workload == workload.load("usemem", preset="quick")


def test_guest_settings_of_the_caller_lie_below_the_groups(tmp_path: Path) -> None:
    groups = [{"backends": ["zram"], "workloads": ["usemem"], "guest": {"thp": "always"}}]
    (made,) = suite.load(
        "mine", guest={"thp": "never", "swappiness": 7}, folder=written(tmp_path, groups=groups)
    ).cells
    assert dict(made.backend.settings) == {"compressor": "lz4", "swappiness": "7", "thp": "always"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": None}, "key 'groups' is missing"),
        ({"groups": []}, "'groups' is an empty list; it must be a list with something in it"),
        ({"groups": ["zram"]}, "groups: entry 1 is 'zram'; it must be a mapping"),
        ({"cells": 1}, "unknown key 'cells'"),
        ({"groups": [{"backends": ["zram"]}]}, "groups, entry 1: key 'workloads' is missing"),
        (
            {"groups": [{"backends": ["zarm"], "workloads": ["pageio"]}]},
            "groups, entry 1: there is no back-end 'zarm'; did you mean 'zram'?",
        ),
        (
            {"groups": [{"backends": ["zram"], "workloads": [{"pageio": {"siez": 1}}]}]},
            "groups, entry 1: workload 'pageio' has no parameter 'siez'; did you mean 'size'?",
        ),
        (
            {"groups": [{"backends": ["zram"], "workloads": ["pageio"]}] * 2},
            "cell 'zram.pageio' is in the matrix twice",
        ),
        (
            {
                "groups": [
                    {"backends": ["zram"], "workloads": ["pageio"]},
                    {"backends": ["zswap"], "workloads": ["pageio"], "preset": "full"},
                ]
            },
            "workload 'pageio' has other settings in another cell; give one of them another 'name'",
        ),
        (
            {"groups": [{"backends": ["zram"], "workloads": ["pageio"], "guest": {"thb": 1}}]},
            "groups, entry 1, guest: key 'thb' must be one of swappiness, page_cluster, thp, "
            "mglru; did you mean 'thp'?",
        ),
    ],
)
def test_a_wrong_suite_names_its_file(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        suite.load("mine", folder=written(tmp_path, **changes))
    assert str(told.value).startswith("workloads/suites/mine.yaml")
    assert message in str(told.value)


def test_an_unknown_suite_is_an_error_that_lists_the_nearest() -> None:
    with pytest.raises(UserError, match="there is no suite 'quik'; did you mean 'quick'"):
        suite.load("quik")

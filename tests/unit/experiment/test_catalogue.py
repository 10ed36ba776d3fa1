# SPDX-License-Identifier: GPL-2.0-only
"""The workloads' contract and the suites: what ships holds, and each breach is named."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import catalogue, suite, workload
from harness.experiment.cell import runnable
from harness.experiment.workload import Requires, WorkloadDefinition
from harness.util.errors import UserError
from harness.util.paths import REPO
from tests.guest.ends import is_complete

WORKLOADS = REPO / "workloads"


def make(workloads: Path, out: Path) -> Path:
    # Programs of a copy find the library beside them; the sampler is not needed.
    argv = ["make", "-s", "-C", str(workloads), f"OUT={out}", "check"]
    subprocess.run(argv, check=True, capture_output=True, text=True)
    return out / "bin"


def copied(tmp_path: Path, *names: str) -> Path:
    """The library and these workloads in a folder of their own."""
    folder = tmp_path / "workloads"
    for name in ("common", *names):
        shutil.copytree(WORKLOADS / name, folder / name)
    shutil.copy(WORKLOADS / "Makefile", folder)
    return folder


def test_every_workload_of_the_tree_keeps_the_contract() -> None:
    assert catalogue.check() == ()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_every_program_prints_what_is_kept_of_it(tmp_path: Path) -> None:
    built = make(WORKLOADS, tmp_path / "out")
    for name in workload.names():
        done = subprocess.run([built / name, "--describe"], capture_output=True, check=True)
        assert done.stdout == (WORKLOADS / name / workload.DESCRIBED).read_bytes(), name


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_programs_are_not_built_while_what_is_kept_of_one_is_old(tmp_path: Path) -> None:
    folder = copied(tmp_path, "memhog", "skeleton")
    kept = folder / "memhog" / workload.DESCRIBED
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text.replace('"same:ff"', '"zero"'), encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError) as told:
        make(folder, tmp_path / "out")
    assert "workloads/memhog/described.json is not what the program prints" in told.value.stderr
    subprocess.run(
        ["make", "-s", "-C", str(folder), f"OUT={tmp_path / 'out'}", "describe"], check=True
    )
    assert kept.read_text(encoding="utf-8") == text
    make(folder, tmp_path / "out")


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
        (
            lambda d: d.update(primary_waiting_io="fill_cpu_ns"),
            "'primary_waiting_io' is 'fill_cpu_ns', which is no metric of its program; "
            "did you mean 'fill_cpu'?",
        ),
        (lambda d: d.update(metrics={}), "unknown key 'metrics'"),
        (lambda d: d.update(memcg={"limit": "siez / 2"}), "memcg limit 'siez / 2' is neither"),
        (lambda d: d["requires"].update(ram="much"), "requires ram 'much' is neither"),
        (
            lambda d: d["requires"].update(disk="sim"),
            "requires: 'disk' is 'sim'; it must be 'host', or be left out",
        ),
    ],
)
def test_each_breach_is_named(tmp_path: Path, change: Change, message: str) -> None:
    shutil.copytree(WORKLOADS / "memhog", tmp_path / "memhog")
    path = tmp_path / "memhog/workload.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    found = catalogue.check(folder=tmp_path)
    assert any(message in text for text in found), found
    assert all(text.startswith("workloads/memhog: ") for text in found)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"parameters": {}}'])
def test_a_description_that_is_none_says_how_to_write_it(tmp_path: Path, text: str | None) -> None:
    shutil.copytree(WORKLOADS / "memhog", tmp_path / "memhog")
    path = tmp_path / "memhog" / workload.DESCRIBED
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    (found,) = catalogue.check(folder=tmp_path)
    assert "write it with: make -C workloads describe" in found


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_new_workload_builds_runs_and_keeps_the_contract(tmp_path: Path) -> None:
    folder = copied(tmp_path, "skeleton")
    made = catalogue.new("evict-2", folder=folder)
    assert sorted(path.name for path in made) == ["described.json", "evict-2.c", "workload.yaml"]
    built = make(folder, tmp_path / "out")
    assert catalogue.check(folder=folder) == ()
    done = subprocess.run([built / "evict-2", "--size=64K"], capture_output=True, check=True)
    assert is_complete([json.loads(line) for line in done.stdout.splitlines()])
    with pytest.raises(UserError, match="there is a workloads/evict-2 already"):
        catalogue.new("evict-2", folder=folder)


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
            "mglru, cgroup, numa, a sysctl or a file below /proc or /sys; did you mean 'thp'?",
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


def test_the_keys_of_workload_yaml_are_documented() -> None:
    text = (REPO / "docs" / "workloads.md").read_text(encoding="utf-8")
    table = text.partition("The keys of `workload.yaml`")[2]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    documented = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
    model = {one.name for one in fields(WorkloadDefinition)} - {"requires"}
    needs = {f"requires: {one.name}" for one in fields(Requires)}
    assert sorted(documented) == sorted(model | needs)

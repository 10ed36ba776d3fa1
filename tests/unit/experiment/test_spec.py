# SPDX-License-Identifier: GPL-2.0-only
"""The experiment: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment import cell, spec, workload
from harness.experiment.cell import Ability
from harness.experiment.spec import Experiment
from harness.util.errors import UserError
from harness.util.units import format_size, parse_size

HOSTILE = ["lz4; reboot", "$(id)", "`id`", "a b", "a\nb", "../x", "a'b", 'a"b', "a|b", "a&b", ""]


def load(**overrides: Any) -> Experiment:
    return spec.load(None, overrides)


def written(folder: Path, data: Any) -> Path:
    path = folder / "spec.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return path


# Units


@pytest.mark.parametrize(
    ("text", "count"),
    [("512M", 512 << 20), ("2G", 2 << 30), ("1k", 1024), ("4KiB", 4096), ("3GB", 3 << 30), (7, 7)],
)
def test_sizes(text: str | int, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "M", "1.5G", "-1M", "1X", "1 M M", "one", "0x10"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(UserError, match="is not a size"):
        parse_size(text)


@given(st.integers(0, 1 << 50))
def test_a_size_written_is_the_size_read(count: int) -> None:
    assert parse_size(format_size(count)) == count


# The spec's keys


def test_the_defaults_are_a_whole_experiment() -> None:
    experiment = load()
    assert experiment.kernels.patch == "calibration"
    assert len(experiment.cells()) == 6
    assert "6 cells x 3 (insn) or 10 (wall) pairs" in spec.describe(experiment)


def test_a_file_and_the_command_line_on_top(tmp_path: Path) -> None:
    path = written(tmp_path, {"pairs": 5, "memory": "1G", "backends": ["zram"], "patch": "mine"})
    experiment = spec.load(path, {"pairs": "7", "swap": None})
    assert (experiment.schedule.pairs, experiment.guest.memory) == (7, 1 << 30)
    assert experiment.kernels.patch == "mine"


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert spec.load(written(tmp_path, "# nothing\n"), {}) == load()


@pytest.mark.parametrize("key", ["patch", "head", "base", "name", "preset", "memory", "config"])
def test_a_key_left_empty_is_a_key_not_given(tmp_path: Path, key: str) -> None:
    assert spec.load(written(tmp_path, f"{key}:\n"), {}) == load()


def test_a_misspelt_key_is_named_with_file_and_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, {"workload": ["pageio"]})
    with pytest.raises(UserError, match=r"spec\.yaml: unknown key 'workload'.*'workloads'\?"):
        spec.load(path, {})


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "word", "a: [", "a: b: c", "\x00", "key: !!python/object:os.system {}"]
)
def test_a_file_that_is_no_mapping_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"spec\.yaml") as told:
        spec.load(written(tmp_path, text), {})
    assert "\n" not in str(told.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        spec.load(tmp_path / "nowhere.yaml", {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pairs", 0), ("pairs", "three"), ("pairs", 2.5), ("pairs", True), ("cpus", -1),
        ("seed", "x"), ("parallel", -1), ("timeout", 0), ("memory", "lots"), ("memory", "0"),
        ("memory", "1K"), ("swap", "0"), ("swap", [1]), ("backends", []), ("workloads", 7),
        ("guest", "swappiness"), ("guest", ["swappiness"]), ("clock", "sun"), ("accel", "hvf"),
        ("base", 6.10), ("config", 7), ("config", {"NUMA": "y"}), ("config", [{"NUMA": "y"}]),
        ("fragments", [1]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_key(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"\b{key}\b|is not a size") as told:
        spec.load(written(tmp_path, {key: value}), {})
    assert "\n" not in str(told.value)


def test_a_series_and_a_second_kernel_exclude_each_other() -> None:
    with pytest.raises(UserError, match="PATCH and HEAD"):
        load(patch="mine", head="v6.19")
    assert load(head="v6.19").kernels.patch is None
    with pytest.raises(UserError, match="BASE=auto is the base of a series"):
        load(base="auto", head="v6.19")


def test_a_compiler_is_gcc_or_clang_of_some_version() -> None:
    assert [load(cc=name).kernels.cc for name in ("clang", "gcc-12")] == ["clang", "gcc-12"]
    with pytest.raises(UserError, match=r"'cc' is 'clang -O3'; it must be gcc or clang, or one wi"):
        load(cc="clang -O3")


@pytest.mark.parametrize("second", [{"head": "v6.19"}, {"patch": "mine"}])
def test_options_of_the_second_kernel_alone_are_those_of_a_head_or_a_series(
    second: dict[str, str],
) -> None:
    made = load(**second, head_config="THP_SWAP=n")
    assert made.kernels.head_config == ("THP_SWAP=n",)


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", ".hidden", "a b", "-rf", "..", "é"])
def test_the_title_is_one_harmless_folder_name(name: str) -> None:
    title = load(name=name).title
    assert title and "/" not in title and title[0] not in ".-"


def test_the_title_names_both_kernels() -> None:
    assert load(base="debian/6.12", patch="series/mine").title == "debian-6.12-vs-mine"


# Back-ends and workloads


def test_cell_names_are_unique_and_say_what_they_are() -> None:
    names = [cell.name for cell in load().cells()]
    assert len(set(names)) == len(names)
    assert names[0] == "swapfile.pageio"


def test_the_same_backend_with_other_settings_is_another_cell() -> None:
    cells = load(backends=["zram", {"zram": {"compressor": "zstd"}}], workloads="pageio").cells()
    assert [cell.name for cell in cells] == ["zram.pageio", "zram-zstd.pageio"]
    assert dict(cells[1].backend.settings) == {"compressor": "zstd"}


def test_the_same_cell_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"'zram\.pageio' is in the matrix twice"):
        load(backends="zram,zram", workloads="pageio")


def test_guest_settings_reach_every_backend_and_a_backend_overrides() -> None:
    guest = {"swappiness": 100, "mglru": True}
    own = {"zram": {"swappiness": 60, "name": "calm"}}
    cells = load(backends=["zram", own], workloads="pageio", guest=guest).cells()
    assert dict(cells[0].backend.settings)["swappiness"] == "100"
    assert dict(cells[0].backend.settings)["mglru"] == "Y"
    assert dict(cells[1].backend.settings)["swappiness"] == "60"


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"backends": "zrma"}, "no back-end 'zrma'; did you mean 'zram'"),
        ({"backends": [{"zram": {"compresor": "lz4"}}]}, "'compresor'; did you mean 'compressor'"),
        ({"backends": [{"swapfile": {"compressor": "lz4"}}]}, "no setting 'compressor'"),
        ({"backends": [{"zram": 1}]}, "neither the name of a back-end"),
        ({"backends": [{"zram": {}, "zswap": {}}]}, "neither the name of a back-end"),
        ({"backends": [{"zram": {1: 2}}]}, "no setting '1'"),
        ({"workloads": "pagio"}, "no workload 'pagio'; did you mean 'pageio'"),
        ({"workloads": [{"pageio": {"siez": "1M"}}]}, "no parameter 'siez'; did you mean 'size'"),
        ({"workloads": [{"pageio": {"preset": "huge"}}]}, "no preset 'huge'"),
        ({"workloads": [["pageio"]]}, "neither the name of a workload"),
        ({"preset": "quik"}, "no preset 'quik'; did you mean 'quick'"),
        ({"guest": {"swapiness": 1}}, "guest: key 'swapiness' must be one of"),
        ({"guest": {1: 1}}, "guest: key '1' must be a text"),
    ],
)
def test_unknown_names_come_with_the_nearest(given_settings: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        load(**given_settings)
    assert message in str(told.value)


@pytest.mark.parametrize("value", HOSTILE)
def test_settings_that_a_shell_could_read_are_refused(value: str) -> None:
    for backend in (
        {"zram": {"compressor": value}},
        {"zram": {"compressor": value, "name": "harmless"}},
        {"zram": {"name": value}},
    ):
        with pytest.raises(UserError, match=r"it must be one of lzo, |letters, digits"):
            load(backends=[backend])
    with pytest.raises(UserError, match="a whole number from 0 to 200"):
        load(guest={"swappiness": value})


# The catalogue


@pytest.mark.parametrize("name", workload.names())
def test_every_workload_loads_in_every_preset(name: str) -> None:
    data = workload.load(name).data
    assert {"quick", "standard", "full"} <= set(data["presets"])
    for preset in data["presets"]:
        item = workload.load(name, preset=preset)
        assert item.argv[0] == data["program"]
        assert item.memory_max == "max" or int(item.memory_max) > 1 << 20
        effective = dict(item.parameters)
        for key, parameter in data["parameters"].items():
            assert parameter["description"]
            if parameter["unit"] == "B":
                assert parse_size(effective[key]) >= 0


@pytest.mark.parametrize("name", workload.names())
def test_every_metric_says_what_it_is(name: str) -> None:
    data = workload.load(name).data
    for metric, item in data["metrics"].items():
        assert item["direction"] in {"lower", "higher"}, metric
        assert item["description"] and item["unit"], metric
    for key in ("primary", "primary_waiting_io"):
        assert data.get(key) is None or data[key] in data["metrics"]


def toy(folder: Path, **changes: Any) -> Path:
    data = {
        "name": "toy",
        "description": "d",
        "why": "w",
        "program": "toy",
        "presets": {"quick": {}, "full": {"size": "1G"}},
        "primary": "m",
        **changes,
    }
    (folder / "toy").mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in data.items() if value != "absent"}
    described = {
        "parameters": {
            "size": {"default": "64M", "takes": "size", "min": 4096, "max": 1 << 42},
            "flag": {"default": "yes", "takes": "flag"},
        },
        "metrics": {"m": {"unit": "ns", "direction": "lower", "description": "d"}},
    }
    (folder / "toy" / workload.DESCRIBED).write_text(json.dumps(described), encoding="utf-8")
    (folder / "toy" / "workload.yaml").write_text(
        yaml.safe_dump(kept, sort_keys=False), encoding="utf-8"
    )
    return folder


def test_defaults_then_preset_then_overrides(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    assert workload.load("toy", folder=folder).argv == ["toy", "--size=64M", "--flag=yes"]
    full = workload.load("toy", preset="full", overrides={"flag": False}, folder=folder)
    assert full.argv == ["toy", "--size=1G", "--flag=0"]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("size / 2", 32 << 20),
        ("size/4", 16 << 20),
        ("48M", 48 << 20),
        (4096, 4096),
        ("size * 3 / 2 + 1M", 97 << 20),
    ],
)
def test_the_memcg_limit_is_a_size_or_made_of_parameters(
    tmp_path: Path, limit: Any, expected: int
) -> None:
    folder = toy(tmp_path, memcg={"limit": limit})
    assert workload.load("toy", folder=folder).memory_max == str(expected)


def test_no_memcg_limit_is_max(tmp_path: Path) -> None:
    assert workload.load("toy", folder=toy(tmp_path, memcg=None)).memory_max == "max"


@pytest.mark.parametrize("limit", ["siez / 2", "lots", "size /", "size / 0", "size - 1M"])
def test_a_memcg_limit_that_is_neither_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(UserError, match="memcg limit"):
        assert workload.load("toy", folder=toy(tmp_path, memcg={"limit": limit})).memory_max


def test_a_preset_or_a_spec_can_set_another_limit_or_none(tmp_path: Path) -> None:
    presets = {"quick": {}, "full": {"memcg": "none"}}
    folder = toy(tmp_path, memcg={"limit": "size / 2"}, presets=presets)
    assert workload.load("toy", folder=folder).memory_max == str(32 << 20)
    assert workload.load("toy", preset="full", folder=folder).memory_max == "max"
    own = workload.load("toy", overrides={"memcg": "8M"}, folder=folder)
    assert own.memory_max == str(8 << 20)
    assert "memcg" not in dict(own.parameters)


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ({}, None),
        ({"backends": ["zswap", "zram"]}, None),
        ({"backends": ["zswap"]}, "it needs the back-end zswap, not zram"),
        ({"kernel": ["CONFIG_SWAP"]}, None),
        ({"kernel": ["CONFIG_ZSWAP"]}, "the kernel is built without CONFIG_ZSWAP"),
        ({"ram": "size + 64M"}, None),
        ({"ram": "size * 3"}, "it wants 192 MiB of memory, and the guest has 128 MiB"),
        ({"command": "overhead"}, "it is run by the command 'overhead', not as part of"),
    ],
)
def test_a_workload_says_why_it_cannot_run(
    tmp_path: Path, requires: dict[str, Any], reason: str | None
) -> None:
    made = workload.load("toy", folder=toy(tmp_path, requires=requires))
    one = replace(cell.matrix(backends=["zram"], workloads=["pageio"])[0], workload=made)
    options = ("CONFIG_SWAP", "CONFIG_CRYPTO_LZ4", *one.backend.options)
    config = dict.fromkeys(options, "y") | {"CONFIG_ZSWAP": "n"}
    able = Ability("base", config, frozenset())
    _, skipped = cell.runnable([one], [able], memory=128 << 20)
    assert [item.cell for item in skipped] == ([one.name] if reason else [])
    assert reason is None or reason in skipped[0].reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"requires": {"backend": ["zswap"]}}, "requires: unknown key 'backend'; did you mean"),
        ({"program": "absent"}, "key 'program' is missing"),
        ({"primery": "m"}, "unknown key 'primery'; did you mean 'primary'"),
        ({"primary": "n"}, "'primary' is 'n', which is no metric of its program"),
    ],
)
def test_a_wrong_description_is_named(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        workload.load("toy", folder=toy(tmp_path, **changes))
    assert message in str(told.value)
    assert "workload.yaml" in str(told.value)


def test_a_size_that_is_none_is_refused_before_anything_runs() -> None:
    with pytest.raises(UserError, match="'size' is 'big'; it must be a size"):
        load(workloads=[{"pressure": {"size": "big"}}])


def test_an_option_that_is_not_given_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("pairs: 7\nworkloads: [fill]\nhead: v6.19\n", encoding="utf-8")
    made = spec.load(path, {"pairs": None, "workloads": None, "head": None, "seed": "4"})
    assert (made.schedule.pairs, made.schedule.seed) == (7, 4)
    assert (made.matrix.workloads, made.kernels.head) == (("fill",), "v6.19")


def test_a_tree_of_the_users_says_its_own_base(tmp_path: Path) -> None:
    for name in ("Makefile", "Kconfig", ".git"):
        (tmp_path / name).touch()
    for patch in (str(tmp_path), f"{tmp_path}:v6.19..", f"{tmp_path}:topic"):
        assert spec.load(None, {"patch": patch}).kernels.base == "auto"
        assert spec.load(None, {"patch": patch, "base": "v6.19"}).kernels.base == "v6.19"
    (tmp_path / "Kconfig").unlink()
    for patch in (str(tmp_path), "vswap-v3", "registry:vswap", "a..b", "x@host"):
        assert spec.load(None, {"patch": patch}).kernels.base == "debian/6.12"

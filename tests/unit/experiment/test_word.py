# SPDX-License-Identifier: GPL-2.0-only
"""Settings of back-ends and workloads on the command line mean what they mean in a spec file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import spec, word
from harness.run import manifest
from harness.studies.nightly import config
from harness.util.errors import UserError
from harness.util.paths import REPO

SAME = [
    ("zram:zstd", [{"zram": {"compressor": "zstd"}}]),
    ("zram:compressor=zstd", [{"zram": {"compressor": "zstd"}}]),
    ("zram,zram:zstd", ["zram", {"zram": {"compressor": "zstd"}}]),
    (
        "zswap:lz4:pool=50:shrinker=yes:name=cold",
        [{"zswap": {"compressor": "lz4", "pool": 50, "shrinker": True, "name": "cold"}}],
    ),
    ("zram:lz4+zstd", [{"zram": {"compressor": ["lz4", "zstd"]}}]),
    ("zram:842:swappiness=60+100", [{"zram": {"compressor": 842, "swappiness": [60, 100]}}]),
]


@pytest.mark.parametrize(("words", "entries"), SAME)
def test_a_word_of_backends_is_the_entry_of_a_spec(
    words: str, entries: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump({"backends": entries}), encoding="utf-8")
    made = spec.load(None, {"backends": words})
    assert made == spec.load(path, {})
    assert made.cells() == spec.load(path, {}).cells()
    # The command that repeats a result says it in words, and they mean the same.
    command = manifest.repeat_command(made)
    assert "SPEC=" not in command
    said = " ".join(str(word.shown(item)) for item in made.matrix.backends)
    assert spec.load(None, {"backends": said}) == made


@pytest.mark.parametrize(
    ("words", "entries"),
    [
        ("pageio:size=64M", [{"pageio": {"size": "64M"}}]),
        ("pageio:standard", [{"pageio": {"preset": "standard"}}]),
        (
            "pageio:content=compressible:50:rounds=4,pressure",
            [{"pageio": {"content": "compressible:50", "rounds": 4}}, "pressure"],
        ),
        ("pressure:memcg=none:name=global", [{"pressure": {"memcg": "none", "name": "global"}}]),
        ("pageio:content=same:ff+random", [{"pageio": {"content": ["same:ff", "random"]}}]),
    ],
)
def test_a_word_of_workloads_is_the_entry_of_a_spec(words: str, entries: list[Any]) -> None:
    made = spec.load(None, {"workloads": words})
    assert made == spec.load(None, {"workloads": entries})
    said = " ".join(str(word.shown(item)) for item in made.matrix.workloads)
    assert spec.load(None, {"workloads": said}) == made
    if "+" not in words:
        assert list(made.matrix.workloads) == entries
        assert said == words.replace(":standard", ":preset=standard").replace(",", " ")


def names(**given: str) -> list[str]:
    return [one.name for one in spec.load(None, {"backends": "zram", **given}).cells()]


def test_each_of_several_values_is_a_cell_named_by_it() -> None:
    assert names(backends="zram:lz4+zstd", workloads="pageio") == [
        "zram-lz4.pageio", "zram-zstd.pageio",
    ]  # fmt: skip
    assert names(workloads="pageio:size=32M+64M") == ["zram.pageio-32M", "zram.pageio-64M"]
    assert names(workloads="pageio:size=32M,pageio:size=64M,pageio") == [
        "zram.pageio-32M", "zram.pageio-64M", "zram.pageio",
    ]  # fmt: skip
    assert names(workloads="pageio:content=same:ff+random:name=c") == [
        "zram.c-same-ff", "zram.c-random",
    ]  # fmt: skip
    assert names(workloads="pageio:quick+standard") == [
        "zram.pageio-quick", "zram.pageio-standard",
    ]  # fmt: skip
    assert names(workloads="pageio:size=64M") == ["zram.pageio"], "alone it needs no other name"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backends": "zrma:zstd"}, "there is no back-end 'zrma'; did you mean 'zram'?"),
        ({"backends": "zram:zsdt"}, "'compressor' is 'zsdt'; it must be one of lzo, "),
        ({"backends": "zram:zstdd"}, "did you mean 'zstd'?"),
        ({"backends": "zram:"}, "'zram:' gives 'compressor' no value"),
        ({"backends": "zram:compressor="}, "gives 'compressor' no value"),
        ({"backends": "zram:lz4+"}, "gives 'compressor' no value"),
        ({"backends": "zram:lz4:compressor=zstd"}, "gives 'compressor' twice"),
        ({"backends": "zram:pol=3"}, "back-end 'zram' has no setting 'pol'"),
        ({"backends": "swapfile:zstd"}, "back-end 'swapfile' has no setting 'compressor'"),
        ({"workloads": "pageio:sise=64M"}, "no parameter 'sise'; did you mean 'size'?"),
        ({"backends": [{"zram": {"compressor": []}}]}, "is a list with nothing in it"),
        ({"workloads": [{"pageio": {1: 2, "size": ["32M"]}}]}, "no parameter '1'"),
        ({"workloads": [{"pageio": {"name": ["a", "b"]}}]}, "may have letters, digits"),
        ({"backends": [{"zram": {1: 2, "size": "32M"}}]}, "has no setting '1'"),
        ({"workloads": "pageio:64M"}, "workload 'pageio' has no preset '64M'"),
        ({"workloads": "pageio:order=sideways"}, "'order' is 'sideways'; it must be one of"),
    ],
)
def test_a_wrong_word_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as told:
        spec.load(None, given)
    assert message in str(told.value)
    assert str(told.value).startswith("the command line: ")


def test_a_night_measures_each_value_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(
        "series: [{series: vswap}]\nbackends: zram:lz4+zstd\n"
        "workloads: [{pageio: {size: [32M, 64M]}}]\n"
    )
    units = config.load(path, registry_folder=REPO / "kernels" / "series").units
    assert [cell.name for _, one in units for cell in one.cells()] == [
        "zram-lz4.pageio-32M", "zram-zstd.pageio-32M",
        "zram-lz4.pageio-64M", "zram-zstd.pageio-64M",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "item", [{"a": {"x": "b c"}}, {"a": {"x": "b+c"}}, {"a": {"x": None}}, {"a": {}, "b": {}}]
)
def test_what_no_word_can_say_has_none(item: Any) -> None:
    assert word.shown(item) is None

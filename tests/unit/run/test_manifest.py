# SPDX-License-Identifier: GPL-2.0-only
"""A results folder belongs to one comparison, and says how to repeat it."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.build.image import Image
from harness.build.kbuild import BuildRequest
from harness.build.pair import Arm
from harness.cli import main as cli
from harness.experiment import spec
from harness.experiment.cell import Skipped
from harness.experiment.spec import Experiment
from harness.run import manifest
from harness.run.manifest import Setting
from harness.source.sources import Source
from harness.studies import compare, methods
from harness.studies.overhead import measure
from harness.util.errors import UserError
from harness.vm.accel import Accelerator
from tests.fakes.things import kernel


def experiment(**overrides: Any) -> Experiment:
    return spec.load(None, overrides)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    arms = {}
    for name in ("base", "patch"):
        source = Source("debian/6.12", "debian", "6.12.0", "c" * 40, "t" * 40, (("url", "x"),))
        request = BuildRequest(name, "c" * 40, "t" * 40, "6.12.0", (), "w")
        arms[name] = Arm(source, None, request, kernel(tmp_path / name, key=name))
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "packages.txt").write_text("a 1\n", encoding="utf-8")
    return Setting(
        experiment=experiment(),
        cells=experiment().cells(),
        skipped=(Skipped("zram.x", "because"),),
        arms=arms,
        config_diff=(),
        accelerator=Accelerator("tcg", "because"),
        clock="insn",
        disk="sim",
        image=Image("imagekey", folder),
        tools=tmp_path / "toolskey",
    )


def test_a_folder_is_one_comparisons_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "x"
    with (
        manifest.locked(folder),
        pytest.raises(UserError, match="another comparison is writing"),
        manifest.locked(folder),
    ):
        pass
    with manifest.locked(folder):
        pass


def test_the_manifest_is_plain_data_about_both_arms(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.vm.accel.qemu_version", lambda: "QEMU 7.2")
    data = json.loads(json.dumps(manifest.describe(setting).as_data()))
    assert (data["schema"], data["kind"]) == (2, "compare")
    assert data["arms"]["base"]["kernel"] == "base"
    assert set(data["backends"]) == {"swapfile", "zswap", "zram"}
    assert set(data["workloads"]) == {"pageio", "pressure"}
    assert data["workloads"]["pageio"]["effective"]["size"]
    assert (data["clock"], data["accel"]) == ("insn", "tcg")
    assert data["cells"][0] == "swapfile.pageio" and len(data["cells"]) == 6
    assert data["skipped"] == [{"cell": "zram.x", "reason": "because"}]
    assert data["debug"] == []


def test_the_manifest_names_debug_options_of_either_kernel(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.vm.accel.qemu_version", lambda: "QEMU 7.2")
    config = setting.arms["patch"].kernel.path / "config"
    config.write_text("CONFIG_KASAN=y\nCONFIG_DEBUG_VM=y\nCONFIG_SWAP=y\n", encoding="utf-8")
    assert manifest.describe(setting).debug == ("CONFIG_DEBUG_VM", "CONFIG_KASAN")


OTHERS: list[dict[str, Any]] = [
    {},
    {"head": "v6.19"},
    {"base": "/a b/tree", "patch": "it's mine"},
    {"backends": "zram", "workloads": "fill"},
    {"memory": "1G", "swap": "2G", "cpus": 2, "clock": "wall"},
    {"config": "NUMA=y LOCKDEP=y"},
    {"timeout": 60, "preset": "full", "pairs": 10, "seed": 4},
    {"suite": "vswap"},
    {"suite": "standard", "preset": "quick", "debug": "y"},
    {"disk": "host"},
]


def test_the_command_has_only_what_its_target_takes() -> None:
    """A walk measures memory, too, over workloads that are none of overhead's."""
    one = experiment(workloads="fill", aa=False, disk="host", pairs=3, memory="1G")
    assert {"WORKLOADS=fill", "AA=no", "DISK=host"} <= set(manifest.repeat_command(one).split())
    command = manifest.repeat_command(one, "overhead").split()
    assert command[:2] == ["make", "overhead"]
    assert not [word for word in command if word.startswith(("WORKLOADS=", "AA=", "DISK="))]
    assert {"PAIRS=3", "MEMORY=1G"} <= set(command)


@pytest.mark.parametrize("given", OTHERS)
def test_the_command_repeats_the_same_experiment(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = experiment(**{"pairs": 3, **given})
    words = shlex.split(manifest.repeat_command(original))
    assert words[:2] == ["make", "compare"]
    pairs = [word.split("=", 1) for word in words[2:]]
    options = [f"--{name.lower().replace('_', '-')}={value}" for name, value in pairs]
    seen: list[Experiment] = []

    def stop(wanted: Experiment, _: object, **__: object) -> None:
        seen.append(wanted)
        raise UserError("enough")

    monkeypatch.setattr(compare, "compare", stop)
    cli.main(["compare", *options])
    assert [item.cells() for item in seen] == [original.cells()]
    for free in ("parallel", "name"):
        seen = [item.changed(**{free: original.value(free)}) for item in seen]
    left, right = seen[0].as_data(), original.as_data()
    assert {key: str(left[key]) for key in left} == {key: str(right[key]) for key in right}


def test_the_command_repeats_a_measurement_of_overhead(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.vm.accel.qemu_version", lambda: "QEMU 7.2")
    original = experiment(head="v6.19", backends="zram")
    options = measure.OverheadOptions(sizes=("2G", "4G"), fill="64M", steps=3)
    seen: list[tuple[Experiment, measure.OverheadOptions]] = []

    def stop(wanted: Experiment, given: measure.OverheadOptions, _: object) -> None:
        seen.append((wanted, given))
        raise UserError("enough")

    run = replace(
        setting,
        experiment=measure.planned(original, options),
        request=measure.request(original, options),
    )
    words = shlex.split(manifest.describe(run).command)
    assert words[:2] == ["make", "overhead"]
    pairs = [word.split("=", 1) for word in words[2:]]
    monkeypatch.setattr(measure, "overhead", stop)
    cli.main(["overhead", *(f"--{name.lower()}={value}" for name, value in pairs)])
    ((wanted, given),) = seen
    assert replace(given, sizes=tuple(given.sizes)) == options and wanted.matrix.backends == (
        "zram",
    )
    assert measure.planned(wanted, given).cells() == measure.planned(original, options).cells()


@pytest.mark.parametrize(
    ("wanted", "accelerator", "clock"),
    [
        ({}, "kvm", "wall"),
        ({}, "tcg", "insn"),
        ({"clock": "wall"}, "tcg", "wall"),
        ({"cpus": 16}, "tcg", "insn"),
    ],
)
def test_the_clock(wanted: dict[str, Any], accelerator: str, clock: str) -> None:
    assert methods.choose_clock(experiment(**wanted), accelerator) == clock


@pytest.mark.parametrize(
    ("wanted", "accelerator", "words"),
    [
        ({"clock": "insn"}, "kvm", "needs TCG"),
        ({"clock": "insn", "cpus": 17}, "tcg", "timers for 16 CPUs, not for 17"),
        ({"cpus": 32}, "tcg", "use CPUS=16 or fewer"),
    ],
)
def test_a_clock_that_cannot_be_had(wanted: dict[str, Any], accelerator: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        methods.choose_clock(experiment(**wanted), accelerator)


@pytest.mark.parametrize(
    ("clock", "given", "pairs"), [("insn", 0, 3), ("wall", 0, 10), ("wall", 4, 4)]
)
def test_the_clock_says_how_many_pairs_unless_somebody_does(
    clock: str, given: int, pairs: int
) -> None:
    wanted = experiment(**({"pairs": given} if given else {}))
    assert methods.resolved(wanted, clock).schedule.pairs == pairs

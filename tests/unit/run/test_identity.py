# SPDX-License-Identifier: GPL-2.0-only
"""A result belongs to one comparison, is named after it, and may get more cells and pairs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.results.manifest import ResultKind
from harness.run import identity
from harness.run.identity import BootMethod
from harness.util.errors import UserError
from harness.vm import accel
from harness.vm.accel import Accelerator

KERNELS = {"base": "b" * 16, "patch": "p" * 16}
METHOD = BootMethod(Accelerator("tcg", "because"), "insn", "sim", Path("tools"), "image")


@pytest.fixture(autouse=True)
def _qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "qemu_version", lambda: "QEMU 7.2")


def experiment(**overrides: Any) -> Experiment:
    return spec.load(None, overrides)


def of(one: Experiment | None = None, kind: ResultKind = ResultKind.COMPARE) -> dict[str, Any]:
    return identity.of(one or experiment(), METHOD, KERNELS, kind=kind)


def title(data: dict[str, Any], *, grows: bool = True) -> str:
    return identity.named(experiment(), "words", data, grows=grows).title


def finished(folder: Path, one: Experiment, pairs: int = 3) -> Path:
    """A comparison that was run."""
    (folder / "boots").mkdir(parents=True)
    identity.keep(folder, of(one))
    cells = [cell.name for cell in one.cells()]
    made = {"kind": "compare", "schema": 2, "cells": cells, "pairs": pairs}
    (folder / "manifest.json").write_text(json.dumps(made))
    return folder


def test_the_same_comparison_goes_on(tmp_path: Path) -> None:
    identity.require(tmp_path, of(), grows=True)
    identity.keep(tmp_path, of())
    before = (tmp_path / identity.NAME).read_bytes()
    identity.require(tmp_path, of(), grows=True)
    identity.keep(tmp_path, of())
    assert (tmp_path / identity.NAME).read_bytes() == before


@pytest.mark.parametrize(
    "free",
    [
        {"at": "2"}, {"bytes": "yes"}, {"sizes": "1G"}, {"fill": "8M"}, {"steps": 2},
        {"metric": "swapin"}, {"most_pairs": 90}, {"only": "v3"}, {"jobs": 1}, {"sandbox": "no"},
        {"scheduler": "tcp://there:1"}, {"kernel_git": "/x"}, {"mirror": "/x"}, {"trailers": "yes"},
        {"lore": "https://lists.example/"},
    ],
)  # fmt: skip
def test_what_a_command_or_a_host_adds_is_no_part_of_it(free: dict[str, Any]) -> None:
    for kind in (ResultKind.COMPARE, ResultKind.WALK, ResultKind.OVERHEAD):
        one = experiment().changed(**free)
        assert one != experiment() and of(one, kind) == of(kind=kind)
        assert title(of(one, kind), grows=False) == title(of(kind=kind), grows=False)


@pytest.mark.parametrize(
    "free",
    [
        {"pairs": 9}, {"parallel": 2}, {"timeout": 7}, {"name": "other"}, {"accel": "tcg"},
        # The kernels' keys say what these come to.
        {"patch": "/tmp/x/calibration"},
        # Cells may come and go.
        {"backends": "zram"}, {"workloads": "pageio,fill"}, {"preset": "quick"},
    ],
)  # fmt: skip
def test_what_changes_no_figure_may_change(tmp_path: Path, free: dict[str, Any]) -> None:
    identity.keep(tmp_path, of())
    identity.require(tmp_path, of(experiment(**free)), grows=True)
    if "preset" not in free:
        assert title(of(experiment(**free))) == title(of()), "nor does the name"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"memory": "1G"}, "MEMORY (768M before, 1G now)"),
        ({"swap": "2G"}, "SWAP (1G before, 2G now)"),
        ({"seed": 2}, "SEED (1 before, 2 now)"),
        ({"preset": "full"}, "cell swapfile.pageio ("),
        ({"guest": {"swappiness": 10}}, "(swappiness unset before, 10 now)"),
    ],
)
def test_another_experiment_is_not_mixed_in_and_has_another_name(
    tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    identity.keep(tmp_path, of())
    before = (tmp_path / identity.NAME).read_bytes()
    with pytest.raises(UserError) as told:
        identity.require(tmp_path, of(experiment(**changes)), grows=True)
    assert word in str(told.value) and str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value) and "results rm" in str(told.value)
    assert (tmp_path / identity.NAME).read_bytes() == before
    assert title(of(experiment(**changes))) != title(of())


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("kernels", {**KERNELS, "patch": "x" * 16}, "the patched kernel (pppppppppppppppp before"),
        ("kernels", {**KERNELS, "base": "x" * 16}, "the base kernel"),
        ("tools", "other", "the guest programs"),
        ("image", "other", "the guest's image"),
        ("qemu", "QEMU 9", "QEMU (QEMU 7.2 before, QEMU 9 now)"),
        ("clock", "wall", "clock"),
    ],
)
def test_other_kernels_tools_image_or_clock_are_not_mixed_in(
    tmp_path: Path, key: str, value: Any, word: str
) -> None:
    identity.keep(tmp_path, of())
    other = {**of(), key: value}
    with pytest.raises(UserError) as told:
        identity.require(tmp_path, other, grows=True)
    assert word in str(told.value)
    assert title(other) != title(of())


def test_all_differences_are_named_at_once(tmp_path: Path) -> None:
    identity.keep(tmp_path, of())
    other = {**of(experiment(memory="1G", seed=2)), "qemu": "QEMU 9"}
    with pytest.raises(UserError) as told:
        identity.require(tmp_path, other, grows=True)
    assert all(word in str(told.value) for word in ("QEMU 9 now", "MEMORY (", "SEED ("))


def test_a_measurement_of_overhead_has_the_cells_that_it_was_begun_with(tmp_path: Path) -> None:
    kind = ResultKind.OVERHEAD
    identity.keep(tmp_path, of(kind=kind))
    fewer = of(experiment(backends="zram"), kind)
    with pytest.raises(UserError, match=r"cell swapfile\.pageio \(only there\)"):
        identity.require(tmp_path, fewer, grows=False)
    assert title(fewer, grows=False) != title(of(kind=kind), grows=False)
    with pytest.raises(UserError, match="a result of 'make overhead', and this is 'make compare'"):
        identity.require(tmp_path, of(), grows=True)


def test_a_name_of_the_users_is_kept() -> None:
    assert identity.named(experiment(name="mine"), "words", of(), grows=True).title == "mine"
    assert title(of()).startswith("words-") and len(title(of())) == len("words-") + 7


def test_an_older_result_goes_on(tmp_path: Path) -> None:
    """One without a kind and without cells, which had only what they were asked for by."""
    former = {key: value for key, value in of().items() if key not in ("kind", "cells")}
    (tmp_path / identity.NAME).write_text(json.dumps({**former, "selftests": {"base": "x"}}))
    identity.require(tmp_path, of(), grows=True)
    with pytest.raises(UserError, match=r"cell swapfile\.pageio \("):
        identity.require(tmp_path, of(experiment(preset="full")), grows=True)


# Cells and pairs


def names(one: Experiment) -> list[str]:
    return [cell.name for cell in one.cells()]


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        (("zram", "pageio"), ("zram zswap", "pageio"), ["zram.pageio", "zswap.pageio"]),
        (("zram", "pageio"), ("zswap", "pageio"), ["zram.pageio", "zswap.pageio"]),
        (("zram", "pageio"), ("zram", "fill"), ["zram.pageio", "zram.fill"]),
        (("zram zswap", "pageio"), ("zswap", "pageio"), ["zram.pageio", "zswap.pageio"]),
        (("zram", "pageio"), ("zram", "pageio"), ["zram.pageio"]),
    ],
)
def test_cells_are_added_to_those_that_are_there(
    tmp_path: Path, there: tuple[str, str], asked: tuple[str, str], found: list[str]
) -> None:
    folder = finished(tmp_path / "r", experiment(backends=there[0], workloads=there[1]), pairs=4)
    one = experiment(backends=asked[0], workloads=asked[1])
    on = identity.continued(one, folder)
    assert names(on) == found
    assert on.schedule.pairs == 4, "those of the result"
    more = replace(one, schedule=replace(one.schedule, pairs=2))
    assert identity.continued(more, folder).schedule.pairs == 2


def test_cells_that_are_no_matrix_together_are_refused(tmp_path: Path) -> None:
    folder = finished(tmp_path / "r", experiment(backends="zram", workloads="pageio"))
    with pytest.raises(UserError, match=r"also has zram\.pageio: ask for those, too"):
        identity.continued(experiment(backends="zswap", workloads="fill"), folder)
    folder = finished(tmp_path / "s", experiment(backends="zram", workloads="churn"))
    with pytest.raises(UserError, match=r"also has zram\.churn: ask for those, too"):
        identity.continued(experiment(suite="quick"), folder)


def test_more_pairs_are_for_all_cells(tmp_path: Path) -> None:
    folder = finished(tmp_path / "r", experiment(backends="zram zswap", workloads="pageio"))
    fewer = experiment(backends="zram", workloads="pageio", pairs=6)
    with pytest.raises(UserError, match=r"also has zswap\.pageio, with 3 pairs"):
        identity.continued(fewer, folder)
    every = experiment(backends="zram zswap", workloads="pageio", pairs=6)
    assert identity.continued(every, folder).schedule.pairs == 6


def test_what_was_never_finished_has_the_cells_of_this_run(tmp_path: Path) -> None:
    folder = finished(tmp_path / "r", experiment())
    (folder / "manifest.json").unlink()
    one = experiment(backends="zram", workloads="pageio")
    assert identity.continued(one, folder) == one

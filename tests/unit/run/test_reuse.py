# SPDX-License-Identifier: GPL-2.0-only
"""A boot of the base serves other comparisons only if it is the very boot that they ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.kbuild import Kernel
from harness.results import checksums
from harness.run import plan, reuse
from harness.run.plan import Block
from harness.util import atomic
from tests.fakes.things import cells

KERNELS = {arm: Kernel(arm, Path(arm), "6.12", "gcc", 1.0, ()) for arm in ("base", "patch")}
KERNELS["control"] = KERNELS["base"]


def planned(arms: tuple[str, ...] = plan.ARMS, seed: int = 1) -> list[Block]:
    kernels = {arm: KERNELS[arm] for arm in arms}
    return list(plan.blocks(cells("zram"), kernels, pairs=2, seed=seed))


def results(folder: Path, **identity: object) -> Path:
    """A results folder that has an identity and no boot."""
    data = {
        "experiment": {"base": "a", "patch": folder.name, "upto": 3, "seed": 1},
        "kernels": {"base": "base", "patch": folder.name},
        "clock": "insn",
        "qemu": "7.2",
    }
    folder.mkdir(parents=True)
    (folder / "experiment.json").write_text(atomic.json_text({**data, **identity}))
    return folder


def booted(folder: Path, blocks: list[Block]) -> Path:
    """All boots of a plan, sealed."""
    for block in blocks:
        for request in block:
            boot = folder / "boots" / request.folder
            boot.mkdir(parents=True)
            facts = {
                "cell": request.cell.name, "arm": request.arm, "pair": request.pair,
                "position": request.position, "seed": request.seed, "kernel": request.kernel.key,
                "observed": "full", "profiled": False,
                "backend_kind": request.cell.backend.kind,
                "backend_settings": dict(request.cell.backend.settings),
                "params": dict(request.cell.workload.parameters),
                "memory_max": request.cell.workload.memory_max,
            }  # fmt: skip
            (boot / "boot.json").write_text(json.dumps(facts))
            checksums.boot(boot)
    return folder


def test_boots_of_the_base_are_shared_and_those_of_the_patch_are_not(tmp_path: Path) -> None:
    donor = booted(results(tmp_path / "one"), planned())
    mine = results(tmp_path / "two")
    assert reuse.boots(planned(), mine, [mine, donor]) == 4
    there = sorted(path.name for path in (mine / "boots" / "zram.pageio").iterdir())
    assert there == ["00-base", "00-control", "01-base", "01-control"]
    assert set(reuse.read(mine).values()) == {"../one"}
    boot = mine / "boots" / "zram.pageio" / "00-base"
    assert checksums.read(boot) == checksums.read(donor / "boots" / "zram.pageio" / "00-base")
    assert reuse.boots(planned(), mine, [donor]) == 0, "it has them already"
    # Removing one to run it again leaves the donor's alone.
    (boot / "boot.json").unlink()
    assert (donor / "boots" / "zram.pageio" / "00-base" / "boot.json").is_file()


@pytest.mark.parametrize(
    "other",
    [
        {"clock": "wall"},
        {"qemu": "9.0"},
        {"kernels": {"base": "x", "patch": "two"}},
        {"experiment": {"base": "a", "patch": "two", "seed": 2}},
    ],
)
def test_nothing_is_shared_between_different_measurements(
    tmp_path: Path, other: dict[str, object]
) -> None:
    donor = booted(results(tmp_path / "one"), planned())
    assert reuse.boots(planned(), results(tmp_path / "two", **other), [donor]) == 0


def test_nothing_is_shared_under_wall_time(tmp_path: Path) -> None:
    donor = booted(results(tmp_path / "one", clock="wall"), planned())
    assert reuse.boots(planned(), results(tmp_path / "two", clock="wall"), [donor]) == 0


@pytest.mark.parametrize("what", ["seed", "place", "arms", "damage", "no hashes", "profiled"])
def test_a_boot_that_is_not_the_one_asked_for_is_not_taken(tmp_path: Path, what: str) -> None:
    donor, mine = booted(results(tmp_path / "one"), planned()), results(tmp_path / "two")
    blocks = planned(seed=9) if what == "seed" else planned()
    if what == "arms":
        blocks = planned(("base", "patch"))
    if what in ("place", "profiled"):
        change = {"position": 7} if what == "place" else {"profiled": True}
        blocks = [tuple(replace(t, **change) for t in b) for b in blocks]
    for boot in donor.glob("boots/*/*"):
        if what == "damage":
            (boot / "boot.json").write_text((boot / "boot.json").read_text() + " ")
        if what == "no hashes":
            (boot / "SHA256SUMS").unlink()
    # Another set of arms draws another order and other guest seeds.
    assert reuse.boots(blocks, mine, [donor]) == 0


def test_a_folder_that_is_no_result_gives_nothing(tmp_path: Path) -> None:
    mine = results(tmp_path / "two")
    (tmp_path / "three").mkdir()
    assert reuse.boots(planned(), mine, [tmp_path / "three", tmp_path / "four"]) == 0
    assert reuse.read(mine) == {}

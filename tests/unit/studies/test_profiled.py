# SPDX-License-Identifier: GPL-2.0-only
"""Known weights in profiles: found at their line or lock to the unit, and nowhere else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from harness.build import symbols as builder
from harness.report import table
from harness.results import places
from harness.results.frames import Frames
from harness.results.places import Places, SourceLine
from harness.results.profile import USER, Root
from harness.studies.calibrate import profiled, report, text
from harness.util.sandbox import Sandbox
from tests.fakes import profiles

READ = 0xFFFFFFFF81000000
BURN, CHAIN, CALL = READ + 0x10, READ + 0x20, READ + 0x30
HEADER = "mm/swap_calibration.h"
PAGES = 100
DATA = 0xFFFFFFFF81A00000
MAP = (
    f"{READ:016x} T swap_read_folio\n{READ + 0x100:016x} T etext\n"
    f"{DATA:016x} d swap_calibration_lock\n{DATA + 64:016x} b swap_calibration_chain\n"
)
MANIFEST: Any = SimpleNamespace(clock="insn", primary=lambda *_: "swapin")


def measured(cells: tuple[str, ...] = ("zram.pageio",)) -> Any:
    table = pd.DataFrame({"cell": [], "name": [], "pair": [], "arm": [], "value": []})
    empty = pd.DataFrame()
    return SimpleNamespace(
        data=Frames(empty, table, *[empty] * 10), manifest=MANIFEST, cells=list(cells)
    )


def counts(folder: Path, arm: str, burnt: int, *, line: int = 30) -> None:
    """A profile boot that executes ``burnt`` instructions for 100 pages at a line."""
    work: dict[Any, tuple[int, int]] = {
        (Root.WORK, (USER,)): (1000, 0),
        (Root.WORK, (USER, READ)): (500 + burnt, PAGES),
    }
    blocks = {(READ, READ): 100, (READ, BURN): burnt // 5}
    profiles.boot(folder, arm, [(work, blocks)], [("swapin", PAGES)])
    own = SourceLine("swap_read_folio", "mm/page_io.c", 600)
    stacks = [
        (own,),
        (SourceLine("swap_calibration_burn", HEADER, line), own),
        (SourceLine("swap_calibration_miss", HEADER, 26), own),
        (own,),
    ]
    named = {READ: ("swap_read_folio", "mm/page_io.c")}
    places.write(folder, arm, Places(named, [READ, BURN, CHAIN, CALL], stacks))


def plugin(folder: Path, arm: str, name: str, said: str) -> None:
    home = folder / f"boots/zram.pageio/00-{arm}.{name}"
    home.mkdir(parents=True)
    whole = f"put 1 0\nexecuted 10000\n{said}end\n"
    (home / f"{name}.gz").write_bytes(gzip.compress(whole.encode(), mtime=0))
    (home / "boot.json").write_text('{"outcome": "ok"}', encoding="utf-8")
    metric = {
        "type": "metric", "name": "swapin", "counted": 1, "per": PAGES, "unit": "insn/page",
    }  # fmt: skip
    (home / "workload.jsonl").write_text(json.dumps(metric), encoding="utf-8")
    kernel: Any = SimpleNamespace(path=folder / "kernel")
    kernel.path.mkdir(exist_ok=True)
    (kernel.path / "System.map").write_text(MAP, encoding="utf-8")
    assert builder.record(folder, {arm: (kernel, [home])}, Sandbox(on=False)) == ()


def found(folder: Path, series: str, cells: tuple[str, ...] = ("zram.pageio",)) -> Any:
    return profiled.find(folder, series, measured(cells), report.REGISTRY)


@pytest.mark.parametrize(
    ("burnt", "line", "holds", "said"),
    [
        (100_000, 30, True, ""),
        (100_045, 30, True, ""),  # 1000.45: another page of somebody else's
        (100_055, 30, False, "found 1000.550"),
        (99_900, 30, False, "found 999.000"),
        (100_000, 31, False, "found 0.000"),
    ],
)
def test_instructions_are_found_at_their_line_to_the_instruction(
    tmp_path: Path, burnt: int, line: int, holds: bool, said: str
) -> None:
    counts(tmp_path, "base", 0)
    counts(tmp_path, "patch", burnt, line=line)
    (one,) = result = found(tmp_path, "calibration-in1000")
    assert one.holds is holds
    assert (one.what, one.place) == ("insns", "swap_calibration.h:30")
    assert list(profiled.failures(result)) == (
        ["calibration-in1000 on zram.pageio, insns at swap_calibration.h:30: known 1000, " + said]
        if said
        else []
    )


@pytest.mark.parametrize(
    ("held", "holds"), [(49_900, False), (50_000, True), (50_700, True), (51_700, False)]
)
def test_a_lock_is_held_for_the_known_and_what_the_compiler_adds(
    tmp_path: Path, held: int, holds: bool
) -> None:
    row = (
        f"named image:{DATA:x} 0 {{0:x}} spin 100 {{1}} 600 1\n"
        "object 1000 {0:x} spin 100 {1} 600\nsite {0:x} spin 100 {1} 600 1\n"
    )
    for arm, mine in (("base", 0), ("patch", held)):
        counts(tmp_path, arm, 0 if arm == "base" else 50_000)
        plugin(tmp_path, arm, "locks", f"{row.format(CALL, mine)}lost 0\nunmatched 0\n")
    line, lock, variable = found(tmp_path, "calibration-lock500")
    assert line.holds and line.found == 500
    assert (lock.what, lock.place, lock.found) == ("held", "swap_read_folio", held / PAGES)
    assert lock.holds is holds
    assert (variable.what, variable.place) == ("held", "swap_calibration_lock")
    assert (variable.found, variable.holds) == (lock.found, holds)


@pytest.mark.parametrize(("missed", "holds"), [(100, True), (99, False), (0, False)])
def test_a_miss_is_found_at_its_line_at_each_level(
    tmp_path: Path, missed: int, holds: bool
) -> None:
    """On one of two CPUs it is not as it should be: that one is told."""
    for arm, mine in (("base", 0), ("patch", missed)):
        counts(tmp_path, arm, 0)
        rows = (
            f"{CHAIN:x} image image:{DATA + 64:x} 0 {{0}} {{0}} {{0}} 0 0 0\n"
            f"{CALL:x} image code 0 7 7 7 0 0 0\n"
        )
        good = 0 if arm == "base" else 100
        plugin(
            tmp_path, arm, "caches",
            f"operations 100\nlines 200\nmodel sapphire-rapids\n{rows.format(good)}"
            f"model neoverse-n1\n{rows.format(mine)}",
        )  # fmt: skip
    result = found(tmp_path, "calibration-miss1")
    assert [one.what for one in result] == ["L1D", "L2", "LLC"] * 2
    assert [one.place for one in result[2:4]] == ["swap_calibration.h:26", "swap_calibration_chain"]
    assert {one.found for one in result} == {missed / 100}
    assert {one.holds for one in result} == {holds}


def test_a_boot_that_is_lacking_fails_the_check(tmp_path: Path) -> None:
    counts(tmp_path, "base", 0)
    counts(tmp_path, "patch", 100_000)
    here, lacking = found(tmp_path, "calibration-in1000", ("zram.pageio", "zswap.pageio"))
    assert here.holds and not lacking.holds and lacking.found is None
    (said,) = profiled.failures((here, lacking))
    assert said.startswith("calibration-in1000 on zswap.pageio") and "no profile" in said
    shown = "\n".join(table.text(text.places((here, lacking))))
    assert "1000.000" in shown and max(map(len, shown.splitlines())) <= 72
    assert [row.split()[0] for row in shown.splitlines() if row.endswith(" NO")] == ["in1000"]


def test_both_kernels_are_needed(tmp_path: Path) -> None:
    counts(tmp_path, "patch", 100_000)
    (one,) = found(tmp_path, "calibration-in1000")
    assert one.found is None and not one.holds

# SPDX-License-Identifier: GPL-2.0-only
"""What ran beside a workload's program, in phases where all instructions are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report import analysis, background, table, tables
from harness.results import manifest, pairing
from harness.results.frames import load
from tests.fakes import results as fake_results
from tests.fakes.results import PAGES, PHASES, Fake

CELL = "disk.pageio"
BUSY = {"out": 90_000_000, "in": 33_000_000}


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """Every boot's phases are counted, as if QEMU had had the plugin."""
    results = fake_results.write(tmp_path, Fake(pairs=3, cells=(CELL, "zram-lz4.pageio")))
    for boot in results.glob(f"boots/{CELL}/*"):
        path = boot / "workload.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for number, line in enumerate([one for one in lines if one["type"] == "phase"], 1):
            line["counted"] = number
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        (boot / "counts").write_text(
            "".join(f"{n} {BUSY[name]}\n" for n, (name, _, _) in enumerate(PHASES, 1))
        )
    return results


def test_what_is_not_the_programs_is_beside_it(counted: Path) -> None:
    data = load(counted)
    loads = background.gather(data, pairing.counted(data.boots), "pageio")
    assert [(one.cell, one.phase, one.arm) for one in loads] == [
        (CELL, phase, arm) for phase in ("in", "out") for arm in ("base", "patch")
    ]
    for one in loads:
        begin, end = next((b, e) for name, b, e in PHASES if name == one.phase)
        assert one.busy == BUSY[one.phase]
        assert one.program == end - begin
        assert one.beside == BUSY[one.phase] - (end - begin)
        # A sample each 10 ms that takes 50 us; those at the edges are marks, and lie outside.
        assert one.sampler == 50_000 * ((end - begin) // 10_000_000 - 1)
    spent = {one.phase: dict(one.threads) for one in loads}
    assert spent["out"] == {"kswapd0": PAGES * 50}


def test_the_report_shows_it_and_where_nothing_is_counted_there_is_none(counted: Path) -> None:
    report = analysis.analyse(load(counted), manifest.load(counted), counted)
    (part,) = report.parts
    said = " ".join(" ".join(table.text(tables.background(part))).split())
    assert said.startswith("Instructions of the whole guest in each phase, in millions ")
    assert "cell and phase arm whole guest workload rest sampler" in said
    assert f"{CELL} out base 90.00 40.00 50.00 0.15" in said and "zram" not in said
    assert (
        "CPU time of kernel threads from the mark before a phase to the mark behind it, in mi"
        in said
    )
    assert f"{CELL} out, base: kswapd0 0.82. {CELL} out, patch: kswapd0 0.82." in said
    assert "Rest: all else, which is the idle task with the interrupts" in said
    for boot in counted.glob("boots/*/*/counts"):
        boot.unlink()
    plain = analysis.analyse(load(counted), manifest.load(counted), counted)
    assert not plain.parts[0].background
    assert not [*table.text(tables.background(plain.parts[0]))]

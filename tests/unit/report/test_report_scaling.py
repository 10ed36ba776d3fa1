# SPDX-License-Identifier: GPL-2.0-only
"""The section by number of processes: which cells make it, and what grows by how much."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.report import analysis, files, formats, scaling, sweep, text
from harness.report.model import Report
from harness.results import frames, manifest
from harness.results.manifest import Manifest
from harness.studies import verify
from tests.fakes.results import WORKLOAD, Fake, write

COUNTS = (1, 2, 4)
CELLS = tuple(f"zram.pageio-{count}" for count in COUNTS)


def _workload(count: int, **changes: Any) -> dict[str, Any]:
    effective = {"procs": str(count), "size": "64M"}
    return {**WORKLOAD, "effective": effective, "memory_max": "1000", **changes}


def _results(root: Path, clock: str = "insn") -> Path:
    """Each number of processes makes a swap-in 10 % dearer, the patch 5 % on top."""
    workloads = {f"pageio-{count}": _workload(count) for count in COUNTS}
    manifest_has = {"workloads": workloads}
    return write(root, Fake(pairs=4, effect=1.05, cells=CELLS, clock=clock, manifest=manifest_has))


def _emitted(results: Path, name: str, values: Mapping[int, float], unit: str) -> None:
    """Have every boot of a cell give one more metric; the patch's is half of the base's."""
    for count, value in values.items():
        for path in (results / "boots" / f"zram.pageio-{count}").glob("*/workload.jsonl"):
            scale = 0.5 if path.parent.name.endswith("-patch") else 1.0
            line = {"type": "metric", "name": name, "value": value * scale, "unit": unit}
            path.write_text(json.dumps(line) + "\n" + path.read_text("utf-8"), "utf-8")


def _report(results: Path) -> Report:
    return analysis.analyse(frames.load(results), manifest.load(results), results)


def _section(shown: str) -> list[str]:
    lines = shown.split("\n")
    begin = lines.index(scaling.TITLE)
    return lines[begin : begin + 22]


def test_a_cost_is_held_against_the_smallest_number(tmp_path: Path) -> None:
    report = _report(_results(tmp_path))
    (curve,) = scaling.curves(report)
    assert (curve.backend, curve.name) == ("zram", "swapin")
    assert [point.processes for point in curve.points] == [1, 2, 4]
    growth = [(point.base_growth, point.patch_growth) for point in curve.points]
    for (base, patch), wanted in zip(growth, (1.0, 1.1, 1.2), strict=True):
        assert base == pytest.approx(wanted, rel=0.002)
        assert patch == pytest.approx(wanted, rel=0.002)
    shown = text.render(report)
    section = _section(shown)
    assert "zram.pageio: swapin (primary), insn/page; less is better" in section
    assert any(line.startswith("4 ") and "+5.00%" in line for line in section)
    assert "waiting for each other is not in it" in " ".join(shown.split())
    assert all(len(line) <= 72 for line in shown.split("\n"))


def test_throughput_has_a_speed_up_and_processes_have_none(tmp_path: Path) -> None:
    results = _results(tmp_path, clock="wall")
    _emitted(results, "throughput", {1: 100.0, 2: 180.0, 4: 300.0}, "pages/s")
    _emitted(results, "slowest", {2: 9e6, 4: 12e6}, "ns")
    _emitted(results, "fairness", {2: 98.0, 4: 75.0}, "%")
    report = _report(results)
    found = {curve.name: curve for curve in scaling.curves(report)}
    assert list(found) == ["swapin", "throughput", "slowest", "fairness"]
    assert [one.base_growth for one in found["throughput"].points] == [1.0, 1.8, 3.0]
    assert [one.patch_growth for one in found["throughput"].points] == [1.0, 1.8, 3.0]
    assert [one.processes for one in found["slowest"].points] == [2, 4]
    assert {one.base_growth for one in found["fairness"].points} == {None}
    shown = " ".join(text.render(report).split())
    assert "Of throughput that is the speed-up" in shown
    assert "waiting for each other" not in shown
    (drawn,) = scaling.draw(report)
    assert "throughput" in drawn.title and "1, 2, 4 processes" in drawn.alt


def test_every_format_has_it_and_verify_covers_it(tmp_path: Path) -> None:
    results = _results(tmp_path)
    written = files.make(results)
    rows = list(csv.DictReader(io.StringIO((written.folder / "processes.csv").read_text("utf-8"))))
    assert [(row["cell"], row["processes"]) for row in rows] == [*zip(CELLS, "124", strict=True)]
    assert float(rows[2]["base_growth"]) == pytest.approx(1.2, rel=0.002)
    assert "<h2>By number of processes</h2>" in (written.folder / "report.html").read_text("utf-8")
    assert (written.folder / "plots" / "scaling-zram-pageio-1.svg").is_file()
    data = json.loads(formats.comparison(written.report, "json"))
    assert [point["processes"] for point in data["processes"][0]["points"]] == [1, 2, 4]
    assert "### By number of processes" in formats.comparison(written.report, "markdown")
    kept = written.folder / "processes.csv"
    kept.write_text(kept.read_text("utf-8").replace("pageio", "pagexx"), "utf-8")
    with verify.derived(results) as fresh:
        found = verify.compare(results, fresh)
    assert found and {one.place.split()[0] for one in found} == {"report/processes.csv"}


def test_without_such_cells_there_is_no_section(tmp_path: Path) -> None:
    report = _report(write(tmp_path, Fake(pairs=3)))
    assert not report.sweeps and not scaling.of(report).rows
    assert scaling.TITLE not in text.render(report)
    assert not (files.make(tmp_path / "demo").folder / "processes.csv").exists()


@pytest.mark.parametrize(
    ("changes", "is_sweep"),
    [
        ({}, True),
        ({"effective": {"procs": "2", "size": "32M"}}, False),
        ({"effective": {"size": "64M"}}, False),
        ({"effective": {"procs": "many", "size": "64M"}}, False),
        ({"name": "other"}, False),
        ({"memory_max": "2000"}, True),  # as much for each process
        ({"memory_max": "1500"}, False),
        ({"memory_max": "max"}, False),
    ],
)
def test_only_the_number_of_processes_may_differ(changes: dict[str, Any], is_sweep: bool) -> None:
    workloads = {"a": _workload(1), "b": _workload(2, **changes)}
    found = sweep.gather(Manifest.tolerant({"workloads": workloads}))
    wanted = (sweep.Sweep("pageio", "procs", ((1, "a"), (2, "b"))),)
    assert found == (wanted if is_sweep else ())

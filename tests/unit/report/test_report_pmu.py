# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's PMU counted: for each unit of work, beside the verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report import analysis, formats, page, tables, text
from harness.results import frames, manifest, telemetry
from harness.results.frames import Frames
from tests.fakes.results import PHASES, Fake, write

_CELL = "zram-lz4.pageio"
_PAGES = 1000
_EVENTS = ("cycles", "instructions", "cache-misses")


def _workload() -> str:
    """As a program prints it: "swapin" is the phase "in", and "run" is none of the phases."""
    elapsed = PHASES[1][2] - PHASES[1][1]
    items = [
        {"type": "phase", "name": name, "begin_ns": begin, "end_ns": end, "cpu_ns": 1, "counted": 1}
        for name, begin, end in PHASES
    ]
    for name, per, value in (("swapin", _PAGES, elapsed / _PAGES), ("run", 1, 7.0)):
        unit = "ns/page" if name == "swapin" else "ns"
        items.append({"type": "metric", "name": name, "value": round(value, 3), "unit": unit})
        items.append(
            {"type": "metric", "name": f"{name}_busy", "counted": 9, "per": per, "unit": unit}
        )
    items.append({"type": "done"})
    return "".join(json.dumps(item) + "\n" for item in items)


def _samples(scale: float, events: tuple[str, ...] = _EVENTS) -> bytes:
    """In the phase "in" a page takes 4000 cycles, 3000 instructions and 20 misses, times scale."""
    spent = dict(zip(_EVENTS, (4000, 3000, 20), strict=True))
    stream = b""
    marks = [(f"{name}:{edge}", at) for name, *ends in PHASES for edge, at in _edges(ends)]
    for seq, (mark, at) in enumerate(marks):
        in_end = mark == "in:end"
        values = {name: 5 + in_end * round(spent[name] * _PAGES * scale) for name in events}
        body = "".join(f"{name} {value}\n" for name, value in values.items())
        found = f"@file pmu {len(body)}\n{body}\n" if events else "@miss pmu ENODATA\n"
        stream += f"@sample {seq} {at} mark:{mark}\n{found}@end {seq} {at + 9} {seq}\n".encode()
    return stream


def _edges(ends: list[int]) -> list[tuple[str, int]]:
    return [*zip(("begin", "end"), ends, strict=True)]


def _results(root: Path, events: tuple[str, ...] = _EVENTS) -> Path:
    results = write(root, Fake(pairs=3, cells=(_CELL,), clock="wall"))
    for folder in (results / "boots" / _CELL).iterdir():
        (folder / "workload.jsonl").write_text(_workload(), "utf-8")
        scale = 1.25 if folder.name.endswith("-patch") else 1.0
        (folder / "samples.raw.gz").write_bytes(telemetry.pack(_samples(scale, events)))
    return results


def _value(data: Frames, name: str, arm: str) -> float:
    rows = data.metrics[(data.metrics["name"] == name) & (data.metrics["arm"] == arm)]
    return float(rows["value"].iloc[0])


def test_events_are_of_each_page_of_the_metric_s_phase(tmp_path: Path) -> None:
    data = frames.load(_results(tmp_path))
    assert not len(data.defects)
    for name, wanted in (("cycles", 4000), ("instructions", 3000), ("misses", 20)):
        assert _value(data, f"swapin_{name}", "base") == pytest.approx(wanted)
        assert _value(data, f"swapin_{name}", "patch") == pytest.approx(1.25 * wanted)
    units = dict(zip(data.metrics["name"], data.metrics["unit"], strict=True))
    assert units["swapin_cycles"] == "cycles/page"
    assert not {name for name in units if str(name).startswith("run_")}


def test_they_stand_beside_the_verdicts(tmp_path: Path) -> None:
    results = _results(tmp_path)
    report = analysis.analyse(frames.load(results), manifest.load(results), results)
    shown = text.render(report)
    line = next(one for one in shown.split("\n") if one.startswith(f"{_CELL} cycles"))
    assert line.split()[2:5] == ["4000.00", "5000.00", "+25.00%"]
    assert shown.index("Counted by the guests' PMU") < shown.index("Report: demo")
    assert all(len(one) <= 72 for one in shown.split("\n"))
    assert f"{_CELL} misses" in page.render(report, [])
    assert f"{_CELL} instructions" in formats.comparison(report, "markdown")


def test_without_a_pmu_nothing_is_said(tmp_path: Path) -> None:
    results = _results(tmp_path, events=())
    data = frames.load(results)
    assert not [name for name in data.metrics["name"] if str(name).startswith("swapin_")]
    report = analysis.analyse(data, manifest.load(results), results)
    assert not tables.pmu(report).rows and "PMU" not in text.render(report)

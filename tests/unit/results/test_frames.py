# SPDX-License-Identifier: GPL-2.0-only
"""A results folder as data frames: known numbers, and every kind of damage."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.results import frames, telemetry
from harness.results.deltas import CounterSeries, SampleMark, of_boot
from harness.util.errors import UserError
from tests.fakes.results import EVENTS, PAGES, SWAPIN, Fake, factor, write

CELL = "zram-lz4.pageio"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> frames.Frames:
    outcomes = {(CELL, 1, "patch"): "panic", (CELL, 2, "base"): "missing"}
    root = tmp_path_factory.mktemp("results")
    return frames.load(write(root, Fake(pairs=3, outcomes=outcomes)))


def test_every_boot_has_a_row_whatever_became_of_it(loaded: frames.Frames) -> None:
    boots = loaded.boots
    assert len(boots) == 2 * 3 * 2
    here = boots[boots["cell"] == CELL].set_index(["pair", "arm"])["outcome"].to_dict()
    assert here == {
        (0, "base"): "ok", (0, "patch"): "ok", (1, "base"): "ok",
        (1, "patch"): "panic", (2, "base"): "missing", (2, "patch"): "ok",
    }  # fmt: skip
    assert list(boots["usable"]) == [outcome == "ok" for outcome in boots["outcome"]]
    assert set(boots["backend"]) == {"zram-lz4", "zswap-lz4"}


def test_rounds_are_averaged_and_kept(loaded: frames.Frames) -> None:
    def values(frame: pd.DataFrame, name: str) -> list[float]:
        rows = frame[(frame["cell"] == CELL) & (frame["pair"] == 0) & (frame["arm"] == "patch")]
        return list(rows[rows["name"] == name]["value"])

    expected = SWAPIN * factor(Fake(), 0, 0, "patch")
    assert values(loaded.metrics, "swapin") == [pytest.approx(expected)]
    assert values(loaded.raw_metrics, "swapin") == pytest.approx([expected * 0.99, expected * 1.01])


def test_what_a_crash_left_behind_is_kept(loaded: frames.Frames) -> None:
    boots = loaded.boots.set_index(["cell", "pair", "arm"])
    crashed = boots.xs((CELL, 1, "patch"))
    assert bool(crashed["torn"])
    assert crashed["samples"] == 6
    metrics = loaded.metrics
    assert len(metrics[(metrics["pair"] == 1) & (metrics["arm"] == "patch")]) > 0


def test_deltas_by_phase(loaded: frames.Frames) -> None:
    deltas = loaded.deltas
    here = deltas[(deltas["cell"] == CELL) & (deltas["pair"] == 0) & (deltas["arm"] == "base")]
    by_name = here.set_index(["phase", "probe", "field"])["value"]
    assert by_name["out", "vmstat", "pswpout"] == PAGES
    assert by_name["out", "vmstat", "pswpin"] == 0
    assert by_name["in", "vmstat", "pswpin"] == PAGES
    assert by_name["out", "kthreads", "cpu_ns"] == PAGES * 50
    assert by_name["out", "zram", "compr_data_size"] == PAGES * 1200


def test_samples_are_long_and_typed(loaded: frames.Frames) -> None:
    samples = loaded.samples
    rows = samples[(samples["cell"] == CELL) & (samples["pair"] == 0) & (samples["arm"] == "base")]
    swapouts = rows[rows["field"] == "pswpout"]
    assert len(swapouts) == 13
    assert swapouts["value"].is_monotonic_increasing
    assert set(swapouts["unit"]) == {"pages"}
    assert set(loaded.misses["path"]) == {"/proc/allocinfo"}


def test_hists_phases_and_params(loaded: frames.Frames) -> None:
    assert {hist.total for hist in loaded.hists["hist"]} == {EVENTS}
    assert set(loaded.phases["name"]) == {"out", "in"}
    assert {"param", "readback"} == set(loaded.params["source"])


def _rewrite(results: Path, name: str, content: str) -> frames.Frames:
    data = content.encode()
    packed = telemetry.pack(data) if name.endswith(".gz") else data
    (results / "boots" / CELL / "00-base" / name).write_bytes(packed)
    return frames.load(results)


def _first(loaded: frames.Frames) -> tuple[str, str]:
    row = loaded.boots.set_index(["cell", "pair", "arm"]).xs((CELL, 0, "base"))
    return str(row["outcome"]), str(row["detail"])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path, Fake(pairs=1, cells=(CELL,)))


COUNTED = """{"type":"phase","name":"in","round":1,"begin_ns":5,"end_ns":9,"cpu_ns":3,"counted":1}
{"type":"metric","name":"swapin_busy","round":1,"counted":2,"per":4,"unit":"ns/page"}
{"type":"metric","name":"swapin_busy","round":2,"counted":3,"per":4,"unit":"ns/page"}
{"type":"done"}
"""


def test_what_the_plugin_counted_is_the_value(small: Path) -> None:
    boot = next(small.glob("boots/*/00-base"))
    (boot / "counts").write_text("1 70\n2 4000\n3 6000\n")
    loaded = _rewrite(small, "workload.jsonl", COUNTED)
    mine = loaded.raw_metrics[loaded.raw_metrics["name"] == "swapin_busy"]
    assert mine["value"].tolist() == [1000.0, 1500.0]
    phases = loaded.phases
    assert phases[(phases["pair"] == 0) & (phases["arm"] == "base")]["busy_ns"].tolist() == [70]
    assert loaded.defects.empty


def test_without_a_count_there_is_no_value(small: Path) -> None:
    loaded = _rewrite(small, "workload.jsonl", COUNTED)
    assert "swapin_busy" not in set(loaded.raw_metrics["name"])
    assert loaded.defects.empty


@pytest.mark.parametrize("counts", ["1 70\n2 4000\n", "1 70\n2 4000\n3 60", "1 70\n\x00\n3 6000\n"])
def test_a_count_that_is_lost_is_a_defect(small: Path, counts: str) -> None:
    boot = next(small.glob("boots/*/00-base"))
    (boot / "counts").write_text(counts)
    loaded = _rewrite(small, "workload.jsonl", COUNTED)
    assert len(loaded.raw_metrics[loaded.raw_metrics["name"] == "swapin_busy"]) == 1
    assert len(loaded.defects) == 1


def test_wrong_content_overrules_an_ok(small: Path) -> None:
    loaded = _rewrite(
        small, "workload.jsonl", '{"type":"verify","pages":9,"bad":2}\n{"type":"done"}\n'
    )
    assert _first(loaded) == ("corrupt", "2 of 9 pages came back with wrong content")


def test_an_unfinished_workload_does_not_count(small: Path) -> None:
    loaded = _rewrite(small, "workload.jsonl", '{"type":"verify","pages":9,"bad":0}\n')
    assert _first(loaded)[0] == "incomplete"
    assert not loaded.boots["usable"].all()


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "7",
        "{}",
        '{"type":"metric","name":"x"}',
        '{"type":"metric","name":"x","value":"fast"}',
        '{"type":"metric","name":"x","value":1' + "0" * 400 + "}",
        '{"type":"hist","name":"x","sub_bits":5,"counts":[[1]]}',
        '{"type":"tune","name":"x"}',
        "[" * 100_000,
    ],
)
def test_a_bad_line_is_a_defect_and_the_rest_is_read(small: Path, line: str) -> None:
    loaded = _rewrite(small, "workload.jsonl", line + '\n{"type":"done"}\n')
    assert _first(loaded)[0] == "ok"
    (text,) = loaded.defects["text"]
    assert text.startswith("line 1: ")


def test_a_damaged_boot_json_is_an_outcome(small: Path) -> None:
    assert _first(_rewrite(small, "boot.json", "{"))[0] == "unreadable"


def test_a_line_no_probe_can_read_is_a_defect(small: Path) -> None:
    loaded = _rewrite(
        small,
        "samples.raw.gz",
        "@sample 0 1 interval\n@file /proc/vmstat 7\npswpin\n\n@file /proc/x y 2\na!\n@end 0 2 0\n",
    )
    mine = loaded.defects[loaded.defects["arm"] == "base"]
    assert list(mine["text"]) == ["sample 0: /proc/vmstat: vmstat: line 1 does not parse: 'pswpin'"]
    assert list(loaded.raw["text"]) == ["a!"]


def test_unfinished_boot_folders_are_not_looked_at(small: Path) -> None:
    (small / "boots" / CELL / ".01-base.x7").mkdir()
    assert len(frames.load(small).boots) == 2


def test_planned_cells_without_any_folder_are_missing(small: Path) -> None:
    manifest = json.loads((small / "manifest.json").read_text())
    manifest |= {"pairs": 2, "cells": [CELL, "disk.pageio"]}
    (small / "manifest.json").write_text(json.dumps(manifest))
    outcomes = frames.load(small).boots["outcome"]
    assert list(outcomes).count("missing") == 6


def test_no_results_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder 'boots'"):
        frames.load(tmp_path)
    (tmp_path / "boots").mkdir()
    with pytest.raises(UserError, match="no boot has finished"):
        frames.load(tmp_path)


SERIES = [
    CounterSeries("/proc/vmstat", "vmstat", "", "pswpin", "pages"),
    CounterSeries("kthreads", "kthreads", "kswapd0", "cpu_ns", "ns"),
    CounterSeries("/proc/slabinfo", "slabinfo", "zspage", "num_objs", "count"),
]
PATHS = frozenset(series.path for series in SERIES)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("in:begin", "in:end"),
        ("in:3:begin", "in:3:end"),
        ("in.begin", "in.end"),
        ("in.3.begin", "in.3.end"),
        ("in.begin.3", "in.end.3"),
        ("in.begin#3", "in.end#3"),
        ("in-r3.begin", "in-r3.end"),
    ],
)
def test_marks_with_and_without_a_round(begin: str, end: str) -> None:
    found, complaints = of_boot(
        [SampleMark(begin, PATHS, {0: 5.0}), SampleMark(end, PATHS, {0: 12.0})], SERIES
    )
    assert [(d.phase, d.begin, d.end) for d in found] == [("in", 5, 12)]
    assert found[0].round == (3 if "3" in begin else 0)
    assert complaints == []


def test_unnamed_rounds_count_up_and_phases_nest() -> None:
    texts = ["all.begin", "in.begin", "in.end", "in.begin", "in.end", "all.end"]
    marks = [SampleMark(text, PATHS, {0: float(i)}) for i, text in enumerate(texts)]
    found, _ = of_boot(marks, SERIES)
    assert [(d.phase, d.round, d.end - d.begin) for d in found] == [
        ("in", 0, 1), ("in", 1, 1), ("all", 0, 5),
    ]  # fmt: skip


def test_what_appears_began_at_zero_and_what_goes_is_zero_only_for_gauges() -> None:
    begin, end = (
        SampleMark("in.begin", PATHS, {2: 4.0, 1: 9.0}),
        SampleMark("in.end", PATHS, {0: 3.0}),
    )
    found, _ = of_boot([begin, end], SERIES)
    assert {d.series: d.end - d.begin for d in found} == {0: 3.0, 2: -4.0}
    unread = SampleMark("in.begin", frozenset(), {})
    assert of_boot([unread, end], SERIES)[0] == []


def test_a_mark_without_its_counterpart_is_said() -> None:
    _, complaints = of_boot(
        [SampleMark("in.end", PATHS, {}), SampleMark("out.begin", PATHS, {})], SERIES
    )
    assert complaints == ["mark in.end has no begin", "mark out.begin has no end"]


def test_without_counters_the_metrics_are_the_same(tmp_path: Path) -> None:
    results = write(tmp_path)
    whole, light = frames.load(results), frames.load(results, counters=False)
    assert light.samples.empty and light.deltas.empty and not whole.samples.empty
    pd.testing.assert_frame_equal(light.metrics, whole.metrics)
    kept = ["cell", "arm", "pair", "outcome", "usable"]
    pd.testing.assert_frame_equal(light.boots[kept], whole.boots[kept])

# SPDX-License-Identifier: GPL-2.0-only
"""The report's numbers and words, against results folders whose effects are known."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.report import analysis, counters, formats, model, numbers, page, tables, text
from harness.report import files as reports
from harness.results import frames, manifest
from harness.util import escape
from harness.util.errors import UserError
from tests.fakes.results import SWAPIN, Fake, write

ZRAM, ZSWAP = "zram-lz4.pageio", "zswap-lz4.pageio"


def _report(root: Path, fake: Fake | None = None) -> model.Report:
    results = write(root, fake)
    return analysis.analyse(frames.load(results), manifest.load(results), results)


def _text(root: Path, fake: Fake | None = None) -> str:
    return text.render(_report(root, fake))


def _joined(report: str) -> str:
    return " ".join(report.split())


def test_ten_per_cent_is_reported_as_ten_per_cent(tmp_path: Path) -> None:
    report = _report(tmp_path, Fake(effect=1.10))
    assert {row.cell for row in report.primary} == {ZRAM, ZSWAP}
    for row in report.primary:
        assert row.change.estimate_pct == pytest.approx(10)
        assert (row.change.low_pct, row.change.high_pct) == pytest.approx((10, 10))
        assert row.change.n == 6
    shown = text.render(report)
    assert "All 24 boots finished; no failure.\n" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith(f"{ZRAM} ")]
    assert line.split()[3:] == ["+10.00%", "[+10.00,", "+10.00]", "6", "none"]
    assert math.isclose(float(line.split()[1]), SWAPIN, rel_tol=2e-3)


def test_a_base_that_does_not_fit_and_a_tree_with_holes_are_told(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(cells=(ZRAM,)))
    path = results / "manifest.json"
    data = json.loads(path.read_text())
    assert "WARNING" not in text.render(
        analysis.analyse(frames.load(results), manifest.load(results), results)
    )
    warning = "vswap-v3 was made on base-commit 05f7, not on v6.12 (1234)"
    data["arms"]["patch"]["series"]["basis"] = {"warning": warning}
    data["arms"]["base"]["origin"]["missing_files"] = "drivers/a.h\ndrivers/b.h"
    path.write_text(json.dumps(data))
    report = analysis.analyse(frames.load(results), manifest.load(results), results)
    shown = _joined(text.render(report))
    assert f"WARNING: {warning}" in shown
    assert "its tree lacks 2 files, listed in manifest.json" in shown


def test_a_gain_is_better_and_a_ratio_is_never_called_per_cent(tmp_path: Path) -> None:
    shown = _text(tmp_path, Fake(effect=1 / 2.43, cells=(ZRAM,)))
    assert "-58.85% [-58.85, -58.85] 6 " in shown
    shown = _text(tmp_path / "b", Fake(effect=2.43, cells=(ZRAM,)))
    assert "+143.0%" in shown
    assert "243" not in shown.split("Counters by phase")[0]


def test_failures_come_first_and_their_pairs_do_not_count(tmp_path: Path) -> None:
    outcomes = {
        (ZRAM, 1, "patch"): "panic",
        (ZRAM, 2, "patch"): "panic",
        (ZSWAP, 0, "base"): "hang",
        (ZSWAP, 3, "base"): "missing",
    }
    report = _report(tmp_path, Fake(pairs=8, outcomes=outcomes))
    shown = text.render(report)
    assert _joined(shown).startswith(
        "3 of 32 boots failed: hang in zswap-lz4.pageio, 1 base; panic in zram-lz4.pageio, "
        "2 patch. 1 of 32 boots not run yet."
    )
    assert {row.change.n for row in report.primary} == {6}
    assert "zram-lz4.pageio 01-patch: panic. Oops" in shown


def test_one_pair_has_no_interval(tmp_path: Path) -> None:
    shown = _text(tmp_path, Fake(pairs=1, cells=(ZRAM,)))
    assert "+10.00%          none 1 " in shown
    assert "One pair: no interval." in shown


def test_instruction_clock_and_wall_time_have_their_own_units(tmp_path: Path) -> None:
    shown = _text(tmp_path / "a", Fake(cells=(ZRAM,)))
    assert "\nswapin, insn/page; less is better\n" in shown
    assert "Clock: instruction clock (QEMU TCG -icount, 1 vCPU)" in shown
    assert "no cost of cache misses" in _joined(shown)
    shown = _text(tmp_path / "b", Fake(cells=(ZRAM,), clock="wall"))
    assert "\nswapin, ns/page; less is better\n" in shown
    assert "Clock: wall time under QEMU tcg" in shown
    assert "insn" not in shown


def test_back_ends_that_wait_for_io_are_judged_by_cpu_under_the_instruction_clock(
    tmp_path: Path,
) -> None:
    cells = ("disk.pageio", ZRAM)
    primary = {row.backend: row.name for row in _report(tmp_path / "a", Fake(cells=cells)).primary}
    assert primary == {"disk": "swapin_cpu", "zram-lz4": "swapin"}
    wall = _report(tmp_path / "b", Fake(cells=cells, clock="wall")).primary
    assert {row.name for row in wall} == {"swapin"}


def test_several_cpus_in_turn_have_no_figure_of_a_single_task(tmp_path: Path) -> None:
    """Their clock has the instructions of all CPUs in it: a CPU time would count others' work."""
    guest = {"guest": {"memory": "512M", "cpus": 4}}
    results = write(tmp_path / "a", Fake(cells=(ZRAM,), manifest=guest))
    loaded = frames.load(results)
    assert "swapin" in set(loaded.metrics["name"])
    assert "swapin_cpu" not in set(loaded.metrics["name"]) | set(loaded.raw_metrics["name"])
    assert loaded.hists.empty and loaded.phases["cpu_ns"].isna().all()
    shown = _joined(text.render(analysis.analyse(loaded, manifest.load(results), results)))
    assert "(QEMU TCG -icount, 4 vCPUs in turn)" in shown
    assert "waiting for locks is not seen" in shown and "One vCPU" not in shown
    one = frames.load(write(tmp_path / "b", Fake(cells=(ZRAM,))))
    wall = frames.load(write(tmp_path / "c", Fake(cells=(ZRAM,), clock="wall", manifest=guest)))
    for data in (one, wall):
        assert "swapin_cpu" in set(data.metrics["name"]) and not data.hists.empty


def test_all_that_the_cpus_execute_is_primary_where_they_run_in_turn() -> None:
    found = manifest.Manifest.model_validate(
        {"guest": {"cpus": 2}, "workloads": {"w": {"primary": "a", "primary_waiting_io": "a_busy"}}}
    )
    assert found.primary("w", "zram", "insn") == "a_busy"
    assert found.primary("w", "zram", "wall") == "a"


def test_the_same_kernel_twice_is_said_to_be_an_a_a_run(tmp_path: Path) -> None:
    arm = {"name": "v6.19", "artefact_sha256": {"bzImage": "a" * 64}}
    fake = Fake(effect=1.0, cells=(ZRAM,), manifest={"arms": {"base": arm, "patch": arm}})
    shown = _text(tmp_path, fake)
    assert "an A/A run, every change is noise" in _joined(shown)
    assert "0.00%  [0.00, 0.00] 6 " in shown


def test_an_absent_manifest_is_unknown_not_an_error(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(cells=(ZRAM,)))
    (results / "manifest.json").unlink()
    report = analysis.analyse(frames.load(results), manifest.load(results), results)
    shown = text.render(report)
    assert report.clock == "insn"
    assert "Command: unknown" in shown
    assert "declares no primary metric" in _joined(shown)
    assert "Secondary metrics\n" in shown and "\nswapin, insn/page\n" in shown


def test_a_broken_manifest_of_any_shape_is_survived(tmp_path: Path) -> None:
    odd = {"arms": 3, "workloads": {"pageio": []}, "backends": [1], "stages": ["x"], "pairs": "6",
           "config_diff": {"a": 1}, "guest": None, "image": "x"}  # fmt: skip
    assert "unknown" in _text(tmp_path, Fake(cells=(ZRAM,), manifest=odd))


def test_clocks_are_never_mixed(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=1, cells=(ZRAM,)))
    path = results / "boots" / ZRAM / "00-base" / "boot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clock": "wall"}))
    with pytest.raises(UserError, match="different clocks"):
        analysis.analyse(frames.load(results), manifest.load(results), results)


@pytest.mark.parametrize("clock", ["insn", "wall"])
def test_the_text_is_narrow_ascii_without_tabs(tmp_path: Path, clock: str) -> None:
    cells = ("zram-lz4-with-a-very-long-name-and-writeback-to-a-disk.pageio", "z\u00fcrich.pageio")
    outcomes = {(cells[0], 0, "patch"): "panic"}
    odd = {"command": "make compare " + "x" * 100, "name": "n" * 90, "accel_reason": "a\tb\x1b[1m"}
    fake = Fake(pairs=7, cells=cells, clock=clock, outcomes=outcomes, manifest=odd, scatter=0.05)
    shown = _text(tmp_path, fake)
    assert shown.isascii()
    assert all(len(line) <= 72 for line in shown.splitlines())
    assert all(" " <= c <= "~" or c == "\n" for c in shown)
    assert cells[0].removesuffix(".pageio") in _joined(shown)


def test_nothing_usable_still_gives_a_report(tmp_path: Path) -> None:
    outcomes = {(ZRAM, pair, arm): "panic" for pair in range(2) for arm in frames.ARMS}
    report = _report(tmp_path, Fake(pairs=2, cells=(ZRAM,), outcomes=outcomes))
    shown = text.render(report)
    assert shown.startswith("4 of 4 boots failed")
    assert report.primary == ()
    assert "no complete pair of boots has the primary metric swapin" in _joined(shown)


def test_boots_without_samples_and_histograms_are_compared_all_the_same(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(cells=(ZRAM,)))
    for boot in (results / "boots" / ZRAM).iterdir():
        (boot / "samples.raw.gz").unlink()
        lines = (boot / "workload.jsonl").read_text().splitlines(keepends=True)
        (boot / "workload.jsonl").write_text("".join(x for x in lines if '"hist"' not in x))
    report = analysis.analyse(frames.load(results), manifest.load(results), results)
    assert report.primary[0].change.estimate_pct == pytest.approx(10)
    assert report.parts[0].percentiles == report.parts[0].counters == ()


def test_percentiles_are_paired_and_thin_tails_left_out(tmp_path: Path) -> None:
    (part,) = _report(tmp_path, Fake(cells=(ZRAM,))).parts
    changes = {row.name: row.change.estimate_pct for row in part.percentiles}
    assert set(changes) == {"swapin p50", "swapin p90", "swapin p99"}
    # 4,000 events have 4 beyond p99.9; buckets are up to 3.1 % wide.
    assert list(changes.values()) == pytest.approx([10] * 3, abs=3.2)
    assert "p99.9 of swapin" in " ".join(part.notes)
    assert "up to 3.1 % wide" in " ".join(part.notes)


def test_counters_that_moved_and_those_that_one_kernel_lacks(tmp_path: Path) -> None:
    (part,) = _report(tmp_path, Fake(cells=(ZRAM,), pairs=10)).parts
    appeared, row = part.counters
    assert (appeared.name, appeared.phase) == ("vmstat thp_swpout", "out")
    assert (appeared.base.median, appeared.patch.median) == (0, 512)
    assert appeared.change.estimate_pct is None
    assert (row.name, row.phase) == ("vmstat pgfault", "in")
    assert row.change.estimate_pct == pytest.approx(10, abs=0.1)
    assert row.q is not None
    assert row.change.p is not None
    # These two have the same p, and all other counters are identical in all pairs: p = 1.
    assert row.q == pytest.approx(row.change.p * part.tested / 2)
    assert appeared.q == pytest.approx(row.q)
    assert part.only_one == ("patch: vmstat swpin_zero",)


def test_what_no_boot_changes_is_one_line(tmp_path: Path) -> None:
    """Swap-out costs the same in every boot, swap-in does not."""
    results = write(tmp_path, Fake(scatter=0.01, aa=True))
    shown = text.render(reports.read(results))
    assert "\nUnchanged in all pairs: swapout.\n" in shown
    assert shown.count("swapout") == 1 and "swapin_cpu, insn/page" in shown
    html = page.render(reports.read(results), [])
    assert "Unchanged in all pairs: swapout." in html and html.count("swapout") == 1
    path = results / "boots" / ZRAM / "03-patch" / "workload.jsonl"
    path.write_text(path.read_text().replace("21548.0", "21548.1"))
    shown = text.render(reports.read(results))
    assert "Unchanged" not in shown and shown.count("swapout, insn/page") == 1
    assert shown.count("21548") == 4, "a row for each back-end, once one of them changes"


def test_counters_and_percentiles_are_told_from_a_share_on(tmp_path: Path) -> None:
    much = _report(tmp_path / "much", Fake(cells=(ZRAM,), effect=1.05))
    little = _report(tmp_path / "little", Fake(cells=(ZRAM,), effect=1.005))
    assert "vmstat pgfault" in {row.name for row in little.parts[0].counters}
    shown = text.render(much)
    assert "2 of swap, reclaim and memory changed by more than 1 % beyond" in _joined(shown)
    assert "vmstat pgfault" in shown and "vmstat thp_swpout" in shown
    assert "Latency percentiles that changed by more than 1 %" in shown
    shown = text.render(little)
    assert "1 of swap, reclaim and memory changed by more than 1 % beyond" in _joined(shown)
    assert "vmstat pgfault" not in shown and "vmstat thp_swpout" in shown
    assert "Latency percentiles" not in shown
    whole = formats.comparison(little, "markdown")
    assert r"vmstat pgfault" not in whole and "### Latency percentiles" in whole


@pytest.mark.parametrize(
    ("name", "told"),
    [("vmstat pswpin", True), ("vmstat zswpout", True), ("vmstat pgscan_anon", True),
     ("vmstat pgsteal_kswapd", True), ("vmstat allocstall_movable", True),
     ("vmstat workingset_refault_anon", True), ("vmstat swap_ra_hit", True),
     ("vmstat pgmajfault", True), ("memcg harness memory.swap.current", True),
     ("memcg harness memory.zswap.current", True), ("zram zram0 mem_used_total", True),
     ("kthreads kswapd0 cpu_ns", True), ("vmstat pgalloc_dma32", False),
     ("vmstat pgfree", False), ("memcg / memory.stat.pgscan", False),
     ("stat intr total", False), ("psi cpu some.total", False),
     ("kthreads kworker/0:1 cpu_ns", False), ("blockstat nullb0 read_ticks", False)],
)  # fmt: skip
def test_which_counters_are_of_swap_reclaim_and_memory(
    tmp_path: Path, name: str, told: bool
) -> None:
    (part,) = _report(tmp_path, Fake(cells=(ZRAM,))).parts
    row = next(row for row in part.counters if row.name == "vmstat pgfault")
    assert bool(counters.relevant([replace(row, name=name)])) is told


def test_the_text_says_verdicts_then_kernels_then_details_then_method_once(tmp_path: Path) -> None:
    shown = text.render(_report(tmp_path, Fake(aa=True, scatter=0.001)))
    order = ["worse: 2", "cell ", "Report: demo", "Workload pageio", "Noise floor",
             "Secondary metrics", "How to read this", "minimum detectable effect (MDE)",
             "What this clock cannot see", "How to repeat it"]  # fmt: skip
    places = [shown.index(said) for said in order]
    assert places == sorted(places)
    for once in ("(MDE)", "t intervals, from", "Instruction clock: blind", "Clock: "):
        assert _joined(shown).count(once) == 1, once


def test_a_single_pair_moves_no_counter(tmp_path: Path) -> None:
    (part,) = _report(tmp_path, Fake(cells=(ZRAM,), pairs=1)).parts
    assert part.tested > 0
    assert part.counters == ()


def test_csv_files_hold_the_same_numbers(tmp_path: Path) -> None:
    outcomes = {(ZRAM, 0, "patch"): "panic"}
    results = write(tmp_path, Fake(pairs=7, cells=(ZRAM,), outcomes=outcomes))
    data = frames.load(results)
    report = analysis.analyse(data, manifest.load(results), results)
    values = list(csv.DictReader(io.StringIO("".join(tables.metrics(data)))))
    assert len(values) == 7 * 2 * 3
    assert {row["used"] for row in values if row["pair"] == "0"} == {"0"}
    assert {row["outcome"] for row in values} == {"ok", "panic"}
    estimates = list(csv.DictReader(io.StringIO(tables.estimates(report))))
    (primary,) = [row for row in estimates if row["role"] == "primary"]
    assert float(primary["change_pct"]) == pytest.approx(10)
    assert primary["n"] == "6"
    assert float(primary["coverage"]) == pytest.approx(0.96875)
    base = [float(r["value"]) for r in values
            if r["used"] == "1" and r["arm"] == "base" and r["name"] == "swapin"]  # fmt: skip
    assert min(base) <= float(primary["base_median"]) <= max(base)


def test_a_corrupt_boot_is_a_failure_in_the_first_line(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(cells=(ZRAM,)))
    path = results / "boots" / ZRAM / "00-patch" / "workload.jsonl"
    path.write_text(path.read_text().replace('"bad": 0', '"bad": 1'))
    report = analysis.analyse(frames.load(results), manifest.load(results), results)
    assert "corrupt in zram-lz4.pageio, 1 patch" in model.outcome_line(report)
    shutil.rmtree(results)


@given(st.floats(allow_nan=True, allow_infinity=True))
@example(0.001953125)
def test_printed_numbers_fit_their_column(value: float) -> None:
    shown = numbers.number(value)
    assert len(shown) <= 9 or abs(value) >= 1e15 or abs(value) < 1e-4
    if 1e-4 <= abs(value) < 1e12:
        scale = {"M": 1e6, "G": 1e9, "T": 1e12}.get(shown[-1], 1)
        # Half of the last of four digits; of three, for what is below a thousandth.
        part = 5e-4 if abs(value) >= 1e-3 else 5e-3
        assert float(shown.rstrip("MGT")) * scale == pytest.approx(value, rel=part)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(10, "+10.00"), (-0.031, "-0.031"), (143.04, "+143.0"), (-0.0000001, "0.00"), (0, "0.00"),
     (None, "-"), (math.inf, "inf"), (99.96, "+100.0")],
)  # fmt: skip
def test_per_cent(value: float | None, shown: str) -> None:
    assert numbers.percent(value) == shown


@given(st.text())
def test_guest_text_cannot_steer_a_terminal_or_a_page(text: str) -> None:
    assert all(" " <= c <= "~" for c in escape.visible(text))
    assert all(c == "\n" or c.isprintable() for c in escape.harmless(text))


def test_configurations_that_differ_are_told_by_reason(tmp_path: Path) -> None:
    rows = [
        {"symbol": "CONFIG_A", "base": "n", "patch": "y", "reason": "only one tree has it"},
        {"symbol": "CONFIG_B", "base": "n", "patch": "y", "reason": "only one tree has it"},
        {"symbol": "CONFIG_C", "base": "y", "patch": "n", "reason": "default differs"},
        {"symbol": "CONFIG_PREEMPT_COUNT", "base": "n", "patch": "y", "reason": "only one has it"},
    ]
    shown = _text(tmp_path, Fake(cells=(ZRAM,), manifest={"config_diff": rows}))
    assert "- default differs: C y -> n\n" in shown
    assert "PREEMPT_COUNT is n in one kernel and y in the other" in " ".join(shown.split())
    assert "- only one tree has it: 2 symbols, in manifest.json" in shown


def test_a_run_in_which_every_boot_crashed_at_once_has_a_report(tmp_path: Path) -> None:
    """No output, no histogram, no phase: only outcomes."""
    failed = {(ZRAM, 0, arm): "panic" for arm in ("base", "patch")}
    results = write(tmp_path, Fake(cells=(ZRAM,), pairs=1, outcomes=failed))
    for path in (results / "boots").glob("*/*/workload.jsonl"):
        path.unlink()
    folder = reports.make(results).folder
    shown = (folder / "report.txt").read_text(encoding="ascii")
    assert shown.startswith("2 of 2 boots failed")


def test_an_interval_that_says_nothing_still_fits_a_line() -> None:
    assert numbers.percent(4.16e29) == "+4e+29"
    assert numbers.percent(-1234567.0) == "-1e+06"
    assert numbers.percent(99999.0) == "+99999"

# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts and noise in the report, and what a report does with results that lack A/A boots."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report import (
    analysis,
    files,
    formats,
    latency,
    model,
    numbers,
    phrases,
    summary,
    tables,
    text,
)
from harness.results import frames, histogram, manifest, pairing
from harness.results.frames import CONTROL
from harness.stats import paired
from harness.stats.verdict import Kind
from harness.studies.reply import parts
from harness.studies.reply.parts import Answer
from harness.util.errors import Exit
from tests.fakes.results import EVENTS, Fake, write

ZRAM, ZSWAP = "zram-lz4.pageio", "zswap-lz4.pageio"


def _report(results: Path) -> model.Report:
    return analysis.analyse(frames.load(results), manifest.load(results), results)


def _text(results: Path) -> str:
    return text.render(_report(results))


def _joined(shown: str) -> str:
    return " ".join(shown.split())


@pytest.mark.parametrize(
    ("effect", "kind", "status"),
    [
        (1.10, Kind.WORSE, Exit.WORSE),
        (0.90, Kind.BETTER, Exit.OK),
        (1.0005, Kind.EQUIVALENT, Exit.OK),
        (1.0, Kind.EQUIVALENT, Exit.OK),
    ],
)
def test_a_known_effect_gets_its_verdict(
    tmp_path: Path, effect: float, kind: Kind, status: Exit
) -> None:
    fake = Fake(pairs=8, effect=effect, scatter=0.001, aa=True, cells=(ZRAM,))
    results = write(tmp_path, fake)
    (row,) = _report(results).primary
    assert row.verdict is not None
    assert row.verdict.kind is kind
    shown = _text(results)
    counts = {k: int(k is kind) for k in (Kind.WORSE, Kind.BETTER, Kind.EQUIVALENT)}
    counted = ", ".join(f"{k}: {n}" for k, n in counts.items())
    assert shown.startswith(f"{counted}, undecided: 0.\nAll 24 boots finished; no failure.\n")
    (line,) = [x for x in shown.splitlines() if x.startswith(f"{ZRAM} ") and x.endswith(kind)]
    assert line.split()[-2] == "8"
    assert files.make(results).status is status


def test_writing_a_report_says_what_the_verdicts_come_to(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=3, scatter=0.0001, aa=True, cells=(ZRAM,)))
    written = files.make(results)
    assert (written.status, written.folder) == (Exit.WORSE, results / "report")
    assert [one.kind for one in written.report.verdicts] == [Kind.WORSE]
    page = (written.folder / "report.html").read_text()
    assert "<b>worse</b>" in page
    assert 'scope="col">A/A 95 % interval' in page
    assert page.index("worse: 1, better: 0") < page.index("All 9 boots finished")


def test_a_loud_machine_is_undecided_and_says_what_is_needed(tmp_path: Path) -> None:
    fake = Fake(pairs=4, effect=1.04, scatter=0.1, aa=True, cells=(ZRAM,))
    results = write(tmp_path, fake)
    (row,) = _report(results).primary
    assert row.verdict is not None
    assert row.verdict.kind is Kind.UNDECIDED
    assert f"about {row.verdict.more} more pairs" in _joined(_text(results))
    assert files.make(results).status is Exit.UNDECIDED


def test_an_a_a_that_differs_gives_no_verdict(tmp_path: Path) -> None:
    fake = Fake(pairs=8, scatter=0.001, aa=True, drift_control=1.02, cells=(ZRAM,))
    results = write(tmp_path, fake)
    shown = _joined(_text(results))
    assert shown.startswith("No verdict: A/A itself differs: [+1.9")
    assert "None: A/A itself differs: [+1.9" in shown
    assert files.make(results).status is Exit.UNDECIDED


def test_results_without_a_a_boots_have_numbers_but_no_verdict(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(cells=(ZRAM,)))
    made, shown = _report(results), _joined(_text(results))
    assert not made.has_control
    assert made.planned == 12
    assert shown.startswith("No verdict: no A/A boots: the noise is unknown.")
    assert "So there are no verdicts, only numbers." in shown
    assert "None: no A/A boots: the noise is unknown." in shown
    assert "Noise floor" not in shown
    assert "Boots run in blocks of base and patch, in random order" in shown
    # Nothing is said of what there is none of: A/A, verdicts.
    page = (files.make(results).folder / "report.html").read_text()
    for made_of in (shown, " ".join(page.split())):
        method = made_of[made_of.index("How to read this") :]
        assert "The boot is the sample" in method and "Below 6 pairs" in method
        assert not {"A/A", "control", "equivalent:"} & set(re.split(r"[ .,;]", method))
    assert "control against base" not in page
    assert "+10.00% [+10.00, +10.00]" in shown
    assert files.make(results).status is Exit.UNDECIDED


def test_the_method_tells_of_the_tables_that_there_are(tmp_path: Path) -> None:
    whole = _report(write(tmp_path, Fake(pairs=3, cells=(ZRAM,))))
    (part,) = whole.parts
    assert part.counts and part.percentiles
    for parts_made, there in (
        ((part,), True),
        ((replace(part, tested=0),), True),
        ((replace(part, tested=0, counts=(), percentiles=()),), False),
    ):
        method = " ".join(phrases.method(replace(whole, parts=parts_made)))
        assert ("Counters are what the kernel counted in one phase" in method) is there
        assert ("A percentile is a nearest-rank percentile" in method) is there


def test_the_noise_floor_stands_beside_the_verdict(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=8, scatter=0.001, aa=True, cells=(ZRAM,)))
    (row,) = _report(results).primary
    assert row.noise is not None
    aa = row.noise.change
    # By hand, from the raw values.
    data = frames.load(results).metrics
    mine = data[(data["name"] == "swapin")].set_index(["arm", "pair"])["value"]
    differences = [math.log(mine[CONTROL, i] / mine["base", i]) for i in range(8)]
    assert aa.differences == pytest.approx(tuple(differences))
    assert aa.n == 8
    lines = _text(results).splitlines()
    at = next(
        i for i, line in enumerate(lines) if line.startswith("Noise floor: control against base")
    )
    assert lines[at + 1].split()[:3] == ["back-end", "A/A", "change"]
    assert lines[at + 1].endswith("min. detectable")
    said = _joined(_text(results))
    assert "blocks of base, patch and control (base again), in random order" in said
    assert "A/A is control against base" in said and "base again against" not in said
    heading = "swapin (primary), insn/page; less is better; declared margin 1%"
    assert lines[at + 3] == heading
    assert lines[at + 4].split() == [
        "zram-lz4",
        numbers.fine(aa.estimate_pct, sign=True),
        *numbers.fine_interval(aa).split(),
        "8",
        numbers.fine(row.noise.cv_pct),
        numbers.fine(row.noise.detectable_pct),
    ]


def test_a_change_that_differs_from_seed_to_seed_is_said_to_do_so(tmp_path: Path) -> None:
    """A/A repeats exactly, as the instruction clock may; A/B does not."""
    results = write(tmp_path, Fake(pairs=6, scatter=0.01, aa=True, cells=(ZRAM,)))
    said = "they differ from seed to seed"
    assert said not in _joined(_text(results))
    for base in (results / "boots" / ZRAM).glob("*-base"):
        again = base.with_name(base.name.replace("base", CONTROL))
        (again / "workload.jsonl").write_text((base / "workload.jsonl").read_text())
    shown = _joined(_text(results))
    assert f"scatter and A/A does not at all: {said}" in shown
    (row,) = _report(results).primary
    assert row.noise is not None
    assert row.noise.detectable_pct == 0
    assert row.verdict is not None
    assert row.verdict.kind is Kind.WORSE


def test_the_base_shown_is_that_of_the_pairs_not_of_the_repeat(tmp_path: Path) -> None:
    plain = _report(write(tmp_path / "a", Fake(pairs=7, scatter=0.01, cells=(ZRAM,))))
    third = _report(write(tmp_path / "b", Fake(pairs=7, scatter=0.01, cells=(ZRAM,), aa=True)))
    for one, two in zip(plain.rows, third.rows, strict=True):
        assert (one.name, one.base, one.base_values) == (two.name, two.base, two.base_values)
        assert one.change == two.change
    assert third.planned == 21


def test_a_failed_boot_takes_out_only_its_own_pairs(tmp_path: Path) -> None:
    outcomes = {(ZRAM, 0, "patch"): "panic", (ZRAM, 1, CONTROL): "hang", (ZRAM, 2, "base"): "hang"}
    fake = Fake(pairs=9, scatter=0.001, aa=True, cells=(ZRAM,), outcomes=outcomes)
    results = write(tmp_path, fake)
    (row,) = _report(results).primary
    assert row.pairs == (1, 3, 4, 5, 6, 7, 8)
    assert row.noise is not None
    assert (row.change.n, row.noise.change.n) == (7, 7)
    shown = _text(results)
    assert shown.startswith("3 of 27 boots failed: hang in zram-lz4.pageio, 1 base; ")
    data = frames.load(results)
    used = {
        (r["pair"], r["arm"]): r["used"]
        for r in csv.DictReader(io.StringIO("".join(tables.metrics(data))))
    }
    assert [used[key] for key in (("0", "base"), ("0", CONTROL), ("0", "patch"))] == ["1", "1", "0"]
    assert [used[key] for key in (("1", "base"), ("1", CONTROL), ("1", "patch"))] == ["1", "0", "1"]
    assert {used["2", arm] for arm in ("base", "patch", CONTROL)} == {"0"}


def test_a_cell_that_could_not_be_measured_has_no_verdict(tmp_path: Path) -> None:
    outcomes = {(ZSWAP, pair, "patch"): "panic" for pair in range(6)}
    results = write(tmp_path, Fake(aa=True, outcomes=outcomes, scatter=0.0001, effect=1.0))
    found = [one.kind for one in _report(results).verdicts]
    assert found == [Kind.EQUIVALENT, Kind.NONE]
    assert "zswap-lz4: no complete pair of boots has the primary metric" in _joined(_text(results))
    assert files.make(results).status is Exit.UNDECIDED


@pytest.mark.parametrize(
    ("margin", "expected"),
    [("1%", 1.0), ("0.05 %", 0.05), ("1", None), ("", None), ("-1%", None), ("x%", None),
     (0.01, None), ("nan%", None), ("inf%", None), (None, None)],
)  # fmt: skip
def test_the_margin_is_what_the_workload_declares(
    tmp_path: Path, margin: object, expected: float | None
) -> None:
    declared = manifest.Manifest.tolerant({"workloads": {"w": {"margin": margin}}})
    assert declared.margin("w") == expected


def test_no_margin_no_verdict(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(aa=True, cells=(ZRAM,)))
    path = results / "manifest.json"
    data = json.loads(path.read_text())
    del data["workloads"]["pageio"]["margin"]
    path.write_text(json.dumps(data))
    assert "None: no margin was declared." in _text(results)


def test_a_planned_repeat_that_never_ran_is_missing(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=3, cells=(ZRAM,), manifest={"aa": True}))
    boots = frames.load(results).boots
    assert list(boots[boots["arm"] == CONTROL]["outcome"]) == ["missing"] * 3


def test_estimates_hold_the_verdict_and_the_noise(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=8, scatter=0.001, aa=True, cells=(ZRAM,)))
    made = _report(results)
    rows = list(csv.DictReader(io.StringIO(tables.estimates(made))))
    (primary,) = [row for row in rows if row["role"] == "primary"]
    (shown,) = made.primary
    assert shown.verdict is not None
    assert shown.noise is not None
    assert (primary["verdict"], primary["margin_pct"]) == ("worse", "1")
    assert primary["reason"] == shown.verdict.reason
    assert float(primary["aa_cv_pct"]) == pytest.approx(shown.noise.cv_pct)
    assert float(primary["detectable_pct"]) == pytest.approx(shown.noise.detectable_pct)
    assert float(primary["narrow_low_pct"]) == pytest.approx(shown.verdict.narrow.low_pct)
    assert {row["verdict"] for row in rows if row["role"] != "primary"} == {""}
    assert all(row["aa_n"] == "8" for row in rows if row["role"] in ("secondary", "percentile"))


@pytest.mark.parametrize("clock", ["insn", "wall"])
def test_what_the_clock_cannot_see_stands_under_the_tables(tmp_path: Path, clock: str) -> None:
    shown = _text(write(tmp_path, Fake(aa=True, clock=clock, scatter=0.02, pairs=9)))
    said = "Instruction clock: blind to caches, TLBs, lock contention, device time."
    assert (said in _joined(shown)) == (clock == "insn")
    assert shown.isascii()
    assert all(len(line) <= 72 for line in shown.splitlines())


def test_a_long_back_end_and_every_verdict_stay_narrow(tmp_path: Path) -> None:
    cells = ("zswap-with-writeback-to-a-disk-and-shrinker.pageio", "z.pageio")
    for pairs, scatter in ((6, 0.5), (3, 1e-7), (2, 0.1)):
        fake = Fake(pairs=pairs, scatter=scatter, aa=True, cells=cells)
        shown = _text(write(tmp_path / f"{pairs}-{scatter}", fake))
        assert all(len(line) <= 72 for line in shown.splitlines())


def test_a_metric_of_one_kernel_only_is_listed(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(aa=True, cells=(ZRAM,)))
    for boot in (results / "boots" / ZRAM).glob("*-patch"):
        with (boot / "workload.jsonl").open("a") as out:
            out.write('{"type":"metric","name":"vswap_used","value":3,"unit":"slots"}\n')
    (part,) = _report(results).parts
    assert part.only_one == ("patch: metric vswap_used", "patch: vmstat swpin_zero")
    assert all(row.name != "vswap_used" for row in (*part.primary, *part.secondary))
    assert "patch: metric vswap_used" in _joined(_text(results))


def test_counters_come_by_evidence_not_by_size(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=8, scatter=0.05, effect=1.3, cells=(ZRAM,), aa=True))
    (part,) = _report(results).parts
    q_values = [row.q for row in part.counters]
    assert q_values == sorted(q_values, key=lambda q: q or 0.0)
    assert "exploratory" in _text(results)


def test_histograms_of_rounds_and_processes_merge_without_loss(tmp_path: Path) -> None:
    """Parts of a boot, whether rounds or processes, count as if they had been one histogram."""
    results = write(tmp_path, Fake(pairs=3, cells=(ZRAM,), aa=True))
    extra = histogram.from_values([100, 5_000, 5_000, 9_000_000], unit="ns")
    line = {"type": "hist", "name": "swapin", "phase": "in", "unit": "ns", "sub_bits": 5}
    part = json.dumps(line | {"counts": [list(c) for c in extra.counts]}) + "\n"
    other = json.dumps(line | {"phase": "out", "counts": [[3, 7]]}) + "\n"
    for boot in (results / "boots" / ZRAM).iterdir():
        with (boot / "workload.jsonl").open("a") as out:
            out.write(part * 2 + other)
    data = frames.load(results)
    whole = latency.merged(data).set_index(["pair", "arm", "phase"])["hist"]
    assert len(whole) == 3 * 3 * 2
    for place, hist in zip(whole.index.to_list(), whole, strict=True):
        columns = [data.hists[name] for name in ("pair", "arm", "phase")]
        mine = [
            one
            for *where, one in zip(*columns, data.hists["hist"], strict=True)
            if tuple(where) == place
        ]
        events = EVENTS + 8 if place[2] == "in" else 7
        assert hist.total == sum(one.total for one in mine) == events
        values = [
            histogram.bucket(index, 5)[0]
            for one in mine
            for index, count in one.counts
            for _ in range(count)
        ]
        assert hist == histogram.from_values(values, unit="ns")


def test_percentiles_go_up_to_three_nines_where_events_suffice(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=6, cells=(ZRAM,), aa=True, scatter=0.001))
    for boot in (results / "boots" / ZRAM).iterdir():
        lines = (boot / "workload.jsonl").read_text().splitlines(keepends=True)
        hist = next(line for line in lines if '"hist"' in line)
        with (boot / "workload.jsonl").open("a") as out:
            out.write(hist * 2)
    (part,) = _report(results).parts
    # 12,000 events: 12 lie beyond p99.9.
    assert [row.name for row in part.percentiles] == [
        "swapin p50", "swapin p90", "swapin p99", "swapin p99.9",
    ]  # fmt: skip
    assert all(row.change.n == 6 and row.noise is not None for row in part.percentiles)


def test_a_crashed_boots_short_histogram_costs_the_others_nothing(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=7, cells=(ZRAM,), outcomes={(ZRAM, 0, "patch"): "oops"}))
    path = results / "boots" / ZRAM / "00-patch" / "workload.jsonl"
    kept = [line for line in path.read_text().splitlines(keepends=True) if '"hist"' not in line]
    short = {"type": "hist", "name": "swapin", "phase": "in", "unit": "ns", "sub_bits": 5}
    path.write_text("".join(kept) + json.dumps(short | {"counts": [[3, 1]]}) + "\n")
    (part,) = _report(results).parts
    assert [row.change.n for row in part.percentiles] == [6, 6, 6]


def test_parts_with_other_buckets_are_left_out_and_said(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=3, cells=(ZRAM,)))
    line = {"type": "hist", "name": "swapin", "phase": "in", "unit": "ns", "sub_bits": 4}
    with (results / "boots" / ZRAM / "01-base" / "workload.jsonl").open("a") as out:
        out.write(json.dumps(line | {"counts": [[3, 1]]}) + "\n")
    (part,) = _report(results).parts
    assert "Left out: 1 histograms of swapin" in " ".join(part.notes)
    assert {row.change.n for row in part.percentiles} == {2}


def test_pairs_that_count() -> None:
    used = pairing.Counted(ab=frozenset({("c", 0)}), aa=frozenset({("c", 1)}))
    assert [used.holds(("c", 0, arm)) for arm in ("base", "patch", CONTROL)] == [True, True, False]
    assert [used.holds(("c", 1, arm)) for arm in ("base", "patch", CONTROL)] == [True, False, True]
    assert not used.holds(("c", 2, "base"))


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (1, "One pair gives no verdict; 3 are the fewest that do."),
        (2, "2 pairs give no verdict; 3 are the fewest that do."),
    ],
)
def test_too_few_pairs_are_not_zero_worse(tmp_path: Path, pairs: int, said: str) -> None:
    results = write(tmp_path, Fake(pairs=pairs, effect=1.17, aa=True))
    report = _report(results)
    for shown in (
        text.render(report),
        files.make(results).folder.joinpath("report.html").read_text(),
        "\n".join(summary.text(report, results)),
        formats.comparison(report, "markdown"),
        "\n".join(parts.outcome(Answer(report))),
    ):
        assert said in _joined(shown) and "worse: 0" not in shown


def test_several_reasons_for_no_verdict(tmp_path: Path) -> None:
    fake = Fake(pairs=8, scatter=0.01, aa=True, drift_control=1.02, cells=(ZRAM, ZSWAP))
    shown = _text(write(tmp_path, fake))
    assert shown.startswith("No verdict, for several reasons: see the report.")


def test_a_percentile_whose_pairs_agree_gives_the_width_of_its_bucket(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=3, aa=True, cells=(ZRAM,)))
    (part,) = _report(results).parts
    row = next(row for row in part.percentiles if row.name.endswith(" p50"))
    index = histogram.index_of(int(row.base.median or 0), 5)
    low, width = histogram.bucket(index, 5)
    assert low <= (row.base.median or 0) < low + width
    assert row.bucket_pct == pytest.approx(100 * width / (row.base.median or 0))
    assert 100 / 64 < (row.bucket_pct or 0) <= 100 / 32
    agree = replace(row, change=paired.paired([100.0] * 3, [103.0] * 3))
    differ = replace(row, change=paired.paired([100.0] * 3, [103.0, 104.0, 103.0]))
    for one, said in ((agree, f"bucket {row.bucket_pct:.2f}%"), (differ, "[+")):
        cell = tables.percentiles(replace(part, percentiles=(one,))).rows[1][5]
        assert cell.startswith(said)
    # A number that is no percentile keeps its interval, however narrow.
    (primary,) = part.primary
    plain = replace(primary, change=agree.change)
    assert tables.primary(replace(part, primary=(plain,)), aa=False).rows[1][5].startswith("[+")

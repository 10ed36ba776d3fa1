# SPDX-License-Identifier: GPL-2.0-only
"""The end of a run on a terminal: one screen, failures first, a line for each verdict."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

from harness.cli import main as cli
from harness.report import files, model, summary
from harness.report.model import Regression, Report
from harness.studies import compare
from harness.studies.result import StudyResult
from harness.util.errors import Exit
from tests.fakes.results import WORKLOAD, Fake, write

CELLS = tuple(f"{b}.{w}" for b in ("disk", "zram", "zswap") for w in ("pageio", "pressure"))
TWO = {"workloads": {name: WORKLOAD | {"name": name} for name in ("pageio", "pressure")}}
FAKE = Fake(pairs=6, scatter=0.001, aa=True, cells=CELLS, manifest=TWO)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return files.read(write(tmp_path_factory.mktemp("six"), FAKE), counters=False)


def lines(report: Report) -> list[str]:
    return summary.text(report, Path("results/demo/report"))


def test_six_cells_are_one_screen(six: Report) -> None:
    shown = lines(six)
    assert len(shown) <= 24 and max(map(len, shown)) <= 80
    assert shown[:2] == [
        "worse: 6, better: 0, equivalent: 0, undecided: 0.",
        "All 108 boots finished; no failure.",
    ]
    for row in six.primary:
        (line,) = [line for line in shown if line.startswith(f"{row.cell} ")]
        assert line.split()[-2:] == ["6", "worse"] and f"{row.change.estimate_pct:+.2f}%" in line
    heads = next(line for line in shown if line.startswith("cell "))
    ends = {len(line) for line in shown if line.split(" ")[0] in CELLS}
    assert ends == {len(heads)}, "aligned"
    assert shown[-1] == "Full report: results/demo/report/report.html, report.txt beside it"
    assert shown[-2].startswith("Instruction clock: blind to caches")


def test_what_it_says_is_what_the_report_says(six: Report, tmp_path: Path) -> None:
    whole = (files.make(write(tmp_path, FAKE)).folder / "report.txt").read_text().splitlines()
    assert [line for line in lines(six) if line.split(" ")[0] in CELLS] == [
        line for line in whole if line.split(" ")[0] in CELLS
    ]


def test_failures_and_broken_tests_come_first_and_skipped_cells_are_counted(
    tmp_path: Path,
) -> None:
    outcomes = {(CELLS[0], pair, "patch"): "panic" for pair in range(40)}
    skipped = [{"cell": "pmem.pageio", "reason": "no"}, {"cell": "a.b", "reason": "no"}]
    fake = replace(
        FAKE, pairs=40, cells=CELLS[:2], outcomes=outcomes, manifest=TWO | {"skipped": skipped}
    )
    found = files.read(write(tmp_path, fake), counters=False)
    broken = Regression(CELLS[0], "mm: x", 3, 3, 3, "", "00-patch", ())
    found = replace(found, tested=(model.Tested(broken.cell, (), (broken,), (), ()),))
    shown = lines(found)
    assert len(shown) <= 24
    assert shown[0].startswith("REGRESSION: 1 test")
    text = " ".join(shown)
    assert "2 cells were skipped." in text and "pmem" not in text
    assert text.index("REGRESSION") < text.index("40 of 240 boots failed") < text.index("worse: 1")
    named = [line for line in shown if "-patch: " in line]
    assert named[0].startswith(f"First of patch: {CELLS[0]} 00-patch: panic: Oops: 0000")
    del named[0]
    assert named[0].startswith(f"  {CELLS[0]} 00-patch: Oops: 0000") and len(named) > 3
    assert f"  and {40 - len(named)} boots more that failed" in shown
    lost = next(line for line in reversed(shown) if line.startswith(f"{CELLS[0]} "))
    assert lost.split()[1:] == ["-", "-", "-", "none", "0", "none"]


def test_each_primary_metric_of_a_cell_has_a_line(six: Report) -> None:
    part = six.parts[0]
    second = tuple(replace(row, name="other_ns") for row in part.primary)
    both = replace(part, primary=part.primary + second)
    shown = lines(replace(six, parts=(both,)))
    assert sum(line.startswith(f"{CELLS[2]} ") for line in shown) == 2
    assert "other_ns, insn/page; less is better" in shown


def test_a_terminal_has_colours_and_a_pipe_has_none(six: Report) -> None:
    for terminal in (True, False):
        out = io.StringIO()
        system: Literal["standard", "auto"] = "standard" if terminal else "auto"
        console = Console(
            file=out, force_terminal=terminal, color_system=system, width=60, no_color=False
        )
        summary.show("\n".join(summary.text(six, Path("x"))), console)
        said = out.getvalue()
        assert ("\x1b[31m" + CELLS[0] in said) == terminal
        if not terminal:
            assert said.splitlines() == summary.text(six, Path("x"))


def test_without_any_primary_metric_there_is_no_table(tmp_path: Path) -> None:
    plain = {key: value for key, value in WORKLOAD.items() if not key.startswith("primary")}
    fake = replace(FAKE, cells=CELLS[:1], manifest={"workloads": {"pageio": plain}})
    shown = lines(files.read(write(tmp_path, fake)))
    assert shown[0] == "No verdicts: no primary metric was declared."
    assert not any(line.startswith("cell") for line in shown)


def test_the_command_prints_the_screen_and_not_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write(tmp_path, FAKE)
    done = compare.report(results)
    folder = results / "report"
    assert isinstance(done, StudyResult) and done.status is Exit.WORSE
    monkeypatch.setattr(compare, "compare", lambda *_, **__: done)
    argv = ["compare", "--base", "v6.19", "--patch", "x", "--results", str(tmp_path)]
    assert cli.main(argv) == Exit.WORSE
    out = capsys.readouterr().out
    assert out.splitlines()[:3] == lines(files.read(results))[:3]
    assert len(out.splitlines()) <= 24 and "How to read this" not in out
    assert str(folder / "report.html") in out

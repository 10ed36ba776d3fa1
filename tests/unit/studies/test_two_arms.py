# SPDX-License-Identifier: GPL-2.0-only
"""A comparison that was written before there were arms has the figures that it had.

tests/golden/two-arms.json is such a result, file by file: six pairs of fake guests, with the
estimates.csv that was written then.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.results import record
from harness.results.manifest import ResultKind
from harness.studies import compare
from harness.studies.arms import analysis
from harness.util.paths import REPO

FILES = json.loads((REPO / "tests/golden/two-arms.json").read_text(encoding="utf-8"))
ESTIMATES = "report/estimates.csv"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "study" / "patch"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / ESTIMATES).unlink()
    return folder


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_result_of_before_gives_the_same_numbers(result: Path) -> None:
    made = compare.report(result)
    assert (result / ESTIMATES).read_text() == FILES[ESTIMATES]
    assert made.text.startswith("worse: 1, better: 0, equivalent: 0, undecided: 0.\n")


def test_one_arm_of_a_study_has_the_figures_of_the_comparison(result: Path) -> None:
    arm = {"name": "patch", "what": "a series", "folder": "patch", "failure": ""}
    record.write(
        result.parent,
        ResultKind.ARMS,
        {"name": "study", "command": "make", "reference": "base", "arms": [arm]},
    )
    (line,) = analysis.analyse(result.parent).primary
    control, patch = sorted(line.effects, key=lambda one: one.arm)
    row = next(one for one in rows(FILES[ESTIMATES]) if one["role"] == "primary")
    for effect, ends in (
        (patch, ("change_pct", "low_pct", "high_pct")),
        (control, ("aa_change_pct", "aa_low_pct", "aa_high_pct")),
    ):
        own = effect.verdict.change
        found = (own.estimate_pct, own.low_pct, own.high_pct)
        assert found == pytest.approx([float(row[name]) for name in ends])
    assert patch.said == row["verdict"] and control.said == "A/A"
    assert patch.median == pytest.approx(float(row["patch_median"]))

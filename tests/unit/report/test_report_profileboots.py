# SPDX-License-Identifier: GPL-2.0-only
"""Boots of a profile are counted beside those that are timed, whether they end well or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report import files, formats, model, profileboots
from harness.report.model import Report
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"
PLUGINS = ("profile", "caches", "locks")


def result(root: Path, fake: Fake, bad: dict[tuple[str, str], str]) -> Report:
    """A result with six profile boots; ``bad`` are those that failed, by arm and plugin."""
    results = write(root, fake)
    for plugin in PLUGINS:
        for arm in ("base", "patch"):
            folder = results / "boots" / CELL / f"00-{arm}.{plugin}"
            folder.mkdir()
            outcome = bad.get((arm, plugin), "ok")
            facts = {"outcome": outcome, "detail": "" if outcome == "ok" else "it said <so>"}
            (folder / "boot.json").write_text(json.dumps(facts), encoding="utf-8")
    return files.make(results).report


@pytest.mark.parametrize(
    ("timed", "bad", "said"),
    [
        ({}, {}, "All 2 timing boots and 6 profile boots finished; no failure."),
        (
            {},
            {("patch", "caches"): "oops"},
            "All 2 timing boots finished. 1 of 6 profile boots failed: oops in zram-lz4.pageio, "
            "1 patch.",
        ),
        (
            {},
            {("patch", "caches"): "oops", ("patch", "locks"): "oops", ("base", "locks"): "hang"},
            "All 2 timing boots finished. 3 of 6 profile boots failed: hang in zram-lz4.pageio, "
            "1 base; oops in zram-lz4.pageio, 2 patch.",
        ),
        (
            {(CELL, 0, "patch"): "panic"},
            {},
            "1 of 2 timing boots failed: panic in zram-lz4.pageio, 1 patch. All 6 profile boots "
            "finished.",
        ),
        (
            {(CELL, 0, "patch"): "panic"},
            {("patch", "profile"): "panic"},
            "1 of 2 timing boots failed: panic in zram-lz4.pageio, 1 patch. 1 of 6 profile boots "
            "failed: panic in zram-lz4.pageio, 1 patch.",
        ),
        (
            {(CELL, 0, "patch"): "missing"},
            {},
            "1 of 2 timing boots not run yet. All 6 profile boots finished.",
        ),
    ],
)
def test_the_outcome_counts_both(
    tmp_path: Path,
    timed: dict[tuple[str, int, str], str],
    bad: dict[tuple[str, str], str],
    said: str,
) -> None:
    report = result(tmp_path, Fake(pairs=1, cells=(CELL,), outcomes=timed), bad)
    assert model.outcome_line(report) == said
    assert (report.planned, len(report.profiled)) == (2, 6)
    # A failure goes first, of whichever boots.
    assert (model.opening(report)[0] == said) is bool(timed or bad)


def test_a_profile_boot_that_failed_is_named(tmp_path: Path) -> None:
    report = result(tmp_path, Fake(pairs=1, cells=(CELL,)), {("patch", "caches"): "oops"})
    page = (tmp_path / "demo" / "report" / "report.html").read_text(encoding="utf-8")
    assert "None: all 2 timing boots finished." in page
    assert f"Profile boot {CELL}/00-patch.caches: oops. it said &lt;so&gt;" in page
    junit = formats.comparison(report, "junit")
    assert 'name="profile boot 00-patch.caches"' in junit and "oops: it said &lt;so&gt;" in junit


def test_what_is_no_profile_boot_is_not_counted(tmp_path: Path) -> None:
    boots = tmp_path / "boots" / CELL
    for name in ("00-base", "00-control", ".00-base.profile", "00-control.profile"):
        (boots / name).mkdir(parents=True)
    (boots / "01-patch.locks").mkdir()
    (one,) = profileboots.gather(tmp_path)
    assert (one.pair, one.arm, one.plugin, one.outcome) == (1, "patch", "locks", "unreadable")
    assert one.failed

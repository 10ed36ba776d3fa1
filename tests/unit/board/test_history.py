# SPDX-License-Identifier: GPL-2.0-only
"""The nights of a series on its page and on the front page."""

from __future__ import annotations

import json
from pathlib import Path

from harness.board import build
from harness.studies.nightly import store
from harness.studies.nightly.store import Night, NightlyComparison, StoredEstimate
from tests.longrun import board as made_up


def night(path: Path, number: int, change: float) -> None:
    """A night that measured one revision of made-up-00 in one cell."""
    with store.opened(path) as history:
        when = f"2026-01-{number:02d}T01:00:00+00:00"
        made = Night(0, when, when, "", 3600.0, 60.0, 1, 0, store.WHOLE, 0)
        found, key = history.begin(made), f"key-{number}"
        history.add(
            NightlyComparison(
                found, key, "made-up-00", "series", f"v{number}", when, "v6.0", "", "zram.pageio",
                f"folder-{number}", 3, 1, 60.0, 0,
            ),
            [StoredEstimate(
                found, key, "zram.pageio", "swapin", "primary", "zram", "pageio", "insn/page",
                "lower", 1.0, 100.0, 100.0, 3, change, change - 0.1, change + 0.1, "undecided", "",
                None, None,
            )],
            [],
        )  # fmt: skip


def test_a_move_stands_on_the_page_of_the_series(tmp_path: Path) -> None:
    results = tmp_path / "results"
    made_up.write(results, 0, change=0.0)
    (results / "nightly").mkdir()
    noise = (0.1, -0.1, 0.05, -0.05, 0.0, 0.1)
    levels = [*noise, *(5 + one for one in noise)]
    for number, change in enumerate(levels, 1):
        night(results / "nightly" / store.NAME, number, change)
    build.make(results)
    page = results / "board" / "series" / "made-up-00"
    text = (page / "index.html").read_text()
    assert "At v7 the level moved here from" in text
    assert text.count("<rect") == 1
    (line,) = json.loads((page / "index.json").read_text())["nights"]
    assert [point[2] for point in line[2]] == levels


def test_a_new_night_writes_the_page_of_its_series_again(tmp_path: Path) -> None:
    results = tmp_path / "results"
    made_up.write(results, 0, change=0.0)
    made_up.write(results, 1, change=0.0)
    (results / "nightly").mkdir()
    night(results / "nightly" / store.NAME, 1, 0.1)
    build.make(results)
    series = results / "board" / "series"
    other = (series / "made-up-01" / "index.html").stat().st_mtime_ns
    mine = (series / "made-up-00" / "index.html").stat().st_mtime_ns
    night(results / "nightly" / store.NAME, 2, 0.2)
    build.make(results)
    assert (series / "made-up-01" / "index.html").stat().st_mtime_ns == other
    assert (series / "made-up-00" / "index.html").stat().st_mtime_ns != mine

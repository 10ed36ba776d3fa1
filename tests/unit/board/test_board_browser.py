# SPDX-License-Identifier: GPL-2.0-only
"""The board in a real browser, at the width of a phone and of a desk: nothing beside the page."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from harness.board import build
from tests.fakes.nights import night
from tests.longrun import board as made_up
from tests.unit.report.test_report_browser import BROWSER, WIDTHS, seen

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")


def test_every_kind_of_page_fits_and_complains_of_nothing(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for number in range(7):
        made_up.write(results, number * 40)
    made = made_up.write(results / "nightly", 0, change=5.0)
    for number, change in enumerate((5.0, 0.0, 9.0), 1):
        night(results / "nightly", number, change, subject="made-up-00", folder=made.name)
    now = datetime.datetime(2026, 1, 4, tzinfo=datetime.UTC)
    build.make(results, now=now)
    board = results / "board"
    kinds = ("index.html", "triage/index.html", "series/made-up-00/index.html", "base/*/index.html",
             "cell/*/index.html", "comparison/*/index.html", "comparison/index.html",
             "compare/index.html")  # fmt: skip
    for kind in kinds:
        page = min(board.glob(kind))
        frames, complaints = seen(page, tmp_path)
        assert not complaints, page
        assert [frame["width"] for frame in frames] == list(WIDTHS), "no scroll bar takes room"
        for frame in frames:
            assert frame["content"] <= frame["width"] and not frame["wide"], (page, frame["wide"])
            assert frame["text"] > 100
            for link in frame["links"]:
                target = Path(link.removeprefix("file://").split("#")[0])
                assert target.exists(), (page, link)

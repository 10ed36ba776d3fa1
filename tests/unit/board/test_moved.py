# SPDX-License-Identifier: GPL-2.0-only
"""What moved at night on the front page, on its own page, in the feed and beside its series."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.board import build
from harness.studies.nightly import triage, words
from tests.fakes.nights import COMMAND, night
from tests.longrun import board as made_up

ATOM = "{http://www.w3.org/2005/Atom}"
AFTER = datetime.datetime(2026, 1, 3, tzinfo=datetime.UTC)
WEEK = AFTER + datetime.timedelta(days=7)
STALE = "not explained for more than a week"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A night whose comparison is on the board, and in which a line moved."""
    root = tmp_path / "results"
    made = made_up.write(root / "nightly", 0, change=5.0)
    night(root / "nightly", 1, 5.0, subject="made-up-00", folder=made.name)
    return root


def front(results: Path) -> str:
    return (results / "board" / "index.html").read_text()


def test_a_move_is_on_the_front_page_in_its_week_and_after_it_until_it_is_explained(
    results: Path,
) -> None:
    build.make(results, now=AFTER)
    assert "Moved in the last week" in front(results) and STALE not in front(results)
    build.make(results, now=WEEK)
    assert STALE in front(results) and "Moved in the last week" not in front(results)
    found = triage.read(results / "nightly")
    (one,) = found.moves
    path = results / "nightly" / words.COPY
    triage.say(found, path, move=one.id, word="noise", by="A Reader", note="", day="2026-01-09")
    build.make(results, now=WEEK)
    assert STALE not in front(results)
    page = (results / "board/triage/index.html").read_text()
    assert "noise, says A Reader, 2026-01-09" in page


def test_the_page_of_moves_has_the_command_and_leads_to_the_comparison(results: Path) -> None:
    build.make(results, now=AFTER)
    page = (results / "board/triage/index.html").read_text()
    assert f"{COMMAND} METRIC=swapin" in page and "not explained" in page
    (data,) = json.loads((results / "board/triage/index.json").read_text())
    assert data["verdict"] == "worse" and (results / "board" / data["comparison"]).is_dir()
    series = (results / "board/series/made-up-00/index.html").read_text()
    assert "moved at v1: worse +5.00%, not explained." in series


def test_the_feed_has_a_move_and_again_when_it_is_explained(results: Path) -> None:
    def entry() -> tuple[str | None, ...]:
        feed = ElementTree.parse(results / "board" / "feed.xml").getroot()
        (one,) = [e for e in feed.findall(f"{ATOM}entry") if "moved at" in str(e[0].text)]
        return tuple(one.findtext(f"{ATOM}{name}") for name in ("id", "updated", "title"))

    build.make(results, now=AFTER)
    first = entry()
    assert first[2] is not None and first[2].endswith("not explained")
    found = triage.read(results / "nightly")
    path = results / "nightly" / words.COPY
    triage.say(found, path, move=found.moves[0].id, word="culprit", by="Me", note="patch 2",
               day="2026-01-05")  # fmt: skip
    build.make(results, now=AFTER)
    again = entry()
    assert again[0] == first[0] and (again[1] or "") > (first[1] or "")
    assert again[2] is not None and again[2].endswith("culprit found")


def test_nothing_new_with_moves_writes_nothing(results: Path) -> None:
    build.make(results, now=AFTER)
    assert build.make(results, now=AFTER + datetime.timedelta(hours=1)).written == 0


def test_a_damaged_file_of_words_does_not_stop_the_board(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (results / "nightly" / words.COPY).write_text("moves: 3")
    build.make(results, now=AFTER)
    assert "the words on what moved are left out" in caplog.text
    assert "not explained" in (results / "board/triage/index.html").read_text()


def test_a_thinned_result_keeps_its_page_and_its_bundle(results: Path) -> None:
    build.make(results, now=AFTER)
    (folder,) = (one for one in (results / "nightly").iterdir() if one.is_dir())
    folder.with_name(f"{folder.name}.tar.zst").write_bytes(b"packed")
    shutil.rmtree(folder)
    build.make(results, now=AFTER)
    (page,) = (results / "board/comparison").glob("nightly*")
    assert (page / f"{folder.name}.tar.zst").read_bytes() == b"packed"
    assert f"{folder.name}.tar.zst" in (page / "index.html").read_text()

# SPDX-License-Identifier: GPL-2.0-only
"""The board: what is written, what is written again, and that its addresses stay."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.board import build, chunks, record, series
from harness.results import address
from harness.util.errors import UserError
from tests.longrun import board as made_up

ATOM = "{http://www.w3.org/2005/Atom}"
LIMIT = 300_000


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three comparisons of three series."""
    for number in range(3):
        made_up.write(tmp_path / "results", number, change=5.0)
    return tmp_path / "results"


def stamps(folder: Path) -> dict[Path, int]:
    """When each file of the board was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def page_of(results: Path, name: str) -> Path:
    """The folder of a comparison's page."""
    (found,) = (results / "board" / "comparison").glob(f"{name}-*")
    return found


def test_every_link_leads_to_a_file(results: Path) -> None:
    build.make(results)
    pages = [*(results / "board").rglob("*.html")]
    assert len(pages) > 20
    for page in pages:
        for link in re.findall(r'(?:href|src)="(?!data:)([^"#]+)"', page.read_text("utf-8")):
            target = page.parent / link
            is_there = (target / "index.html").is_file() if link.endswith("/") else target.is_file()
            assert is_there, f"{page}: {link}"


def test_nothing_new_writes_no_page(results: Path) -> None:
    build.make(results)
    before = stamps(results / "board")
    again = build.make(results)
    assert (again.read, again.written, again.removed) == (0, 0, 0)
    after = stamps(results / "board")
    state, lines = (results / "board" / name for name in (build.STATE, build.LINES))
    assert {path for path in before if before[path] != after[path]} <= {state, lines}


def test_one_more_leaves_the_pages_of_others(results: Path) -> None:
    build.make(results)
    before = stamps(results / "board" / "comparison")
    made_up.write(results, 3, change=5.0)
    made = build.make(results)
    assert made.read == 1
    after = stamps(results / "board" / "comparison")
    changed = {path.relative_to(results / "board" / "comparison") for path in before
               if before[path] != after[path]}  # fmt: skip
    assert changed == {Path("index.html"), Path("index.json")}


def test_a_changed_result_is_read_again_at_the_same_address(results: Path) -> None:
    folder = made_up.write(results, 7, change=5.0)
    build.make(results)
    page = page_of(results, folder.name)
    assert "equivalent" not in (page / "index.html").read_text()
    shutil.rmtree(folder)
    made_up.write(results, 7, change=0.0)
    build.make(results)
    assert page_of(results, folder.name) == page
    assert "equivalent" in (page / "index.html").read_text()


def test_a_removed_result_keeps_its_page(results: Path) -> None:
    folder = made_up.write(results, 7, change=5.0)
    build.make(results)
    page = page_of(results, folder.name)
    shutil.rmtree(folder)
    assert build.make(results).comparisons == 4
    assert "was removed" in (page / "index.html").read_text()
    assert (page / "report.html").is_file()


def test_a_build_that_was_killed_is_written_again(results: Path) -> None:
    build.make(results)
    board = results / "board"
    (board / "index.html").write_text("half")
    (board / build.OPEN).touch()
    build.make(results)
    assert "New verdicts" in (board / "index.html").read_text()
    assert not (board / build.OPEN).exists()


def test_what_is_not_as_recorded_is_left_out(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = made_up.write(results, 7, change=5.0)
    sheet = folder / "report" / "estimates.csv"
    sheet.write_text(sheet.read_text().replace("5.0", "1.0"))
    caplog.set_level("WARNING")
    assert build.make(results).comparisons == 3
    assert f"{folder.name}: left out, report/estimates.csv is not as" in caplog.text


def test_the_folder_of_something_else_is_refused(results: Path) -> None:
    mine = results / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("keep")
    with pytest.raises(UserError, match="is not empty and no board"):
        build.make(results, mine)
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]


def test_text_from_outside_is_escaped(results: Path) -> None:
    folder = made_up.write(results, 9)
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("mm: made up", "</li><script>alert(1)</script>"))
    made_up.seal(folder, tuple(name for name in ("manifest.json", "experiment.json",
                 "report/estimates.csv", "report/report.html", "report/report.txt")))  # fmt: skip
    build.make(results)
    text = (page_of(results, folder.name) / "index.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_a_report_loses_only_the_links_to_what_is_not_there() -> None:
    text = '<a href="x.csv">x</a> <a href="y.csv" class="bad">y</a> <a href="#a">a</a>'
    assert build.unlinked(text, ["x.csv"]) == '<a href="x.csv">x</a> y <a href="#a">a</a>'


def test_the_feed_names_each_comparison_once(results: Path) -> None:
    build.make(results)
    feed = ElementTree.parse(results / "board" / "feed.xml").getroot()
    entries = feed.findall(f"{ATOM}entry")
    ids = [one.findtext(f"{ATOM}id") for one in entries]
    assert len(set(ids)) == 3
    made_up.write(results, 3)
    build.make(results)
    more = ElementTree.parse(results / "board" / "feed.xml").getroot()
    assert {*ids} < {one.findtext(f"{ATOM}id") for one in more.findall(f"{ATOM}entry")}
    for link in feed.iter(f"{ATOM}link"):
        assert (results / "board" / link.attrib["href"]).exists()


def test_json_lies_beside_each_page_of_our_own(results: Path) -> None:
    build.make(results)
    board = results / "board"
    for page in board.rglob("index.html"):
        if page.parent.name not in ("compare", "series", "base", "cell"):
            assert isinstance(json.loads(page.with_suffix(".json").read_text()), dict | list)


def test_pages_of_a_long_list_stay_small_and_do_not_change(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for number in range(chunks.SIZE + 1):
        made_up.write(results, number * 40, change=5.0)  # all of one series
    build.make(results)
    board = results / "board"
    pages = {path: path.stat().st_size for path in board.rglob("*.html")}
    assert max(pages.values()) < LIMIT, max(pages, key=lambda path: pages[path])
    older = [path for path in pages if path.name == "page-1.html"]
    assert {path.parent.parent.name for path in older} >= {"cell", "series", "base"}
    before = stamps(board)
    made_up.write(results, (chunks.SIZE + 1) * 40, change=5.0)
    build.make(results)
    assert all(path.stat().st_mtime_ns == before[path] for path in older)


def test_a_figure_with_a_verdict_stands_before_a_newer_one_without(results: Path) -> None:
    folder = next(one for one in sorted(results.iterdir()) if one.is_dir())
    one, _ = record.read(folder, folder.name, "", record.Known(frozenset(), {}))
    newer = replace(one, name="newer", rows=tuple(replace(row, verdict="none") for row in one.rows))
    assert one.is_judged and not newer.is_judged
    assert {made.name for made, _ in series.newest([one, newer])} == {one.name}
    assert {made.name for made, _ in series.newest([newer])} == {"newer"}


def test_chunks_count_from_the_oldest() -> None:
    items = list(range(2 * chunks.SIZE + 3))
    found = {one.name: one.items for one in chunks.chunks(items)}
    assert list(found) == ["index", "page-1", "page-2"]
    assert found["index"][0] == items[-1]
    assert found["page-1"] == tuple(reversed(items[: chunks.SIZE]))
    names = [name for name, _ in chunks.links(len(items))]
    assert names == ["./", "page-2.html", "page-1.html"]


def test_an_address_stays_with_more_pairs_and_cells_and_goes_with_other_kernels() -> None:
    one = {"kernels": {"base": "a", "patch": "b"}, "clock": "insn", "cells": {"zram.pageio": {}}}
    place = address.comparison("run", one)
    assert address.comparison("run", {**one, "cells": {}, "images": {"fio": "c"}}) == place
    assert address.comparison("run", {**one, "kernels": {"base": "a", "patch": "c"}}) != place
    assert address.comparison("other", one) != place


def test_a_cell_has_another_address_with_other_settings_or_another_clock() -> None:
    method = {"clock": "insn", "experiment": {"cpus": 1}}
    place = address.cell("zram.pageio", {"size": "32M"}, method)
    assert address.cell("zram.pageio", {"size": "64M"}, method) != place
    assert address.cell("zram.pageio", {"size": "32M"}, {**method, "clock": "wall"}) != place
    assert address.cell("zram.pageio", {"size": "32M"}, {**method, "tools": "new"}) == place


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "<b>", "", "é" * 200])
def test_a_slug_is_one_plain_part_of_a_path(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9+_][A-Za-z0-9.+_-]{0,79}", address.slug(name))


def test_a_setting_of_the_guest_is_another_method_and_its_default_is_none() -> None:
    given = {"clock": "insn", "experiment": {"memory": 1, "base": "v6.1", "pairs": 3}}
    other = {"clock": "insn", "experiment": {"memory": 1, "base": "v6.2", "set": []}}
    same = address.method_hash(address.method(given))
    assert address.method_hash(address.method(other)) == same
    other["experiment"] = {"memory": 1, "cmdline": ["mitigations=off"]}
    assert address.method_hash(address.method(other)) != same


def test_a_board_of_version_1_keeps_its_removed_results(results: Path) -> None:
    folder = made_up.write(results, 7, change=5.0)
    build.make(results)
    board = results / "board"
    state = json.loads((board / build.STATE).read_text())
    lines = (board / build.LINES).read_text().splitlines()
    state |= {"schema": 1}
    state["collected"]["comparisons"] = list(map(json.loads, lines))
    (board / build.STATE).write_text(json.dumps(state))
    (board / build.LINES).unlink()
    shutil.rmtree(folder)
    made = build.make(results)
    assert (made.comparisons, made.read) == (4, 0)
    assert "was removed" in (page_of(results, folder.name) / "index.html").read_text()


def test_damaged_lines_are_one_sentence(results: Path) -> None:
    build.make(results)
    (results / "board" / build.LINES).write_text("{")
    with pytest.raises(UserError, match=r"board\.lines' is damaged"):
        build.make(results)

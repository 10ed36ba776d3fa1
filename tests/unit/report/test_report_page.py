# SPDX-License-Identifier: GPL-2.0-only
"""The written report folder: its page, its figures, and that the same input gives one output."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.report import files
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"
FAKE = Fake(
    pairs=7,
    scatter=0.01,
    aa=True,
    cells=(CELL,),
    outcomes={(CELL, 0, "patch"): "panic"},
    manifest={"name": "<i>$x_{$"},
)
_VOID = {"meta", "link", "br", "hr", "img", "input"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.make(write(tmp_path_factory.mktemp("results"), FAKE)).folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text()


class _Tags(HTMLParser):
    """Collects tags and attributes; fails on a tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    assert parser.open == []
    return parser.seen


def test_the_page_needs_no_script_and_no_network(
    page: str, tags: list[tuple[str, dict[str, str | None]]]
) -> None:
    assert "script" not in {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not any(name.startswith("on") for name in attributes)
        target = attributes.get("href") or attributes.get("src") or ""
        assert not target.startswith(("http", "//", "javascript", "data"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_guest_text_is_shown_and_harmless(page: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "mm/&lt;b&gt;" in page
    assert "\\x1b[31m" in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", page)
    assert "&lt;i&gt;$x_{$" in page


def test_light_dark_and_phone(page: str, tags: list[tuple[str, dict[str, str | None]]]) -> None:
    assert "prefers-color-scheme: dark" in page
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tags
    assert ("html", {"lang": "en"}) in tags


def test_each_figure_has_words_for_those_who_cannot_see_it(
    page: str, tags: list[tuple[str, dict[str, str | None]]]
) -> None:
    drawn = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(drawn) == 5
    assert all(svg["role"] == "img" and len(svg["aria-label"] or "") > 40 for svg in drawn)
    assert page.count("<figcaption>") == len(drawn)


def test_ids_are_unique_and_each_reference_has_its_target(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = re.findall(r"url\(#([^)]+)\)", page) + re.findall(r'xlink:href="#([^"]+)"', page)
    assert used
    assert set(used) <= set(ids)


def test_no_two_boxes_of_a_page_are_called_the_same(tmp_path: Path) -> None:
    """Whoever goes from box to box by ear must know which workload one belongs to."""
    cells = ("zram-lz4.pageio", "zram-lz4.pressure")
    made = files.make(write(tmp_path, replace(FAKE, cells=cells, outcomes={})))
    text = (made.folder / "report.html").read_text()
    called = re.findall(r'role="region" aria-label="([^"]*)"', text)
    assert "pageio: Secondary metrics" in called and "pressure: Secondary metrics" in called
    assert len(called) == len(set(called))


def test_figures_follow_the_pages_colours(page: str) -> None:
    for fixed in ("#0072b2", "#d55e00", "#1b1f23", "#d0d4d8"):
        assert fixed not in page.split("</style>", 1)[1]
    assert "var(--patch)" in page.split("</style>", 1)[1]


def test_the_page_says_what_the_text_says(page: str) -> None:
    assert "1 of 21 boots failed: panic in zram-lz4.pageio, 1 patch." in page
    assert page.index("1 of 21 boots failed") < page.index("What was compared")
    row = rf'<th scope="row">{CELL}</th>.*<td>\+(9|10)\.\d\d%</td><td>\[.*\]</td><td>6</td>'
    found = re.search(row + "<td><b>worse</b></td></tr>", page)
    assert found and found.start() < page.index("What was compared"), "the verdicts come first"


def test_plots_are_whole_files_of_both_kinds(folder: Path) -> None:
    svgs, pngs = sorted(folder.glob("plots/*.svg")), sorted(folder.glob("plots/*.png"))
    assert [p.stem for p in svgs] == [p.stem for p in pngs]
    assert [p.stem for p in svgs] == [
        "change", f"cost-{CELL}", f"latency-{CELL}-swapin-in", f"order-{CELL}",
        f"timeline-{CELL}",
    ]  # fmt: skip
    for svg in svgs:
        ElementTree.parse(svg)
        assert "<dc:date>" not in svg.read_text()
    assert all(png.read_bytes().startswith(b"\x89PNG\r\n") for png in pngs)


def test_figures_name_their_axes_and_units(folder: Path) -> None:
    words = {svg.stem: svg.read_text() for svg in folder.glob("plots/*.svg")}
    assert "swapin, insn/page" in words[f"cost-{CELL}"]
    assert "latency, insn" in words[f"latency-{CELL}-swapin-in"]
    assert "pswpout, pages" in words[f"timeline-{CELL}"]
    assert "million instructions since the first mark" in words[f"timeline-{CELL}"]


def test_the_same_input_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = files.make(write(tmp_path, FAKE)).folder
    first = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    second = {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()}
    assert first == second
    assert {str(path) for path in first if path.parent == Path()} == {
        "report.txt", "report.html", "metrics.csv", "counters.csv", "estimates.csv",
    }  # fmt: skip


def test_writing_again_leaves_no_stale_plot(tmp_path: Path) -> None:
    outcomes = {(CELL, 0, arm): "panic" for arm in ("base", "patch")}
    results = write(tmp_path, Fake(pairs=1, cells=(CELL,), outcomes=outcomes))
    stale = results / "report" / "plots" / "cost-old.svg"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    target = files.make(results).folder
    assert list((target / "plots").iterdir()) == []
    assert "2 of 2 boots failed" in (target / "report.html").read_text()

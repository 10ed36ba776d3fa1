# SPDX-License-Identifier: GPL-2.0-only
"""The board by keyboard alone, and its colours: in a real browser, light and dark."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.board import build
from tests import browser
from tests.fakes.nights import night
from tests.longrun import board as made_up

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="chromium is not installed")

KINDS = ("", "triage/", "series/made-up-00/", "base/*/", "cell/*/", "comparison/*/", "comparison/",
         "compare/")  # fmt: skip
SIZES = ((1280, 900), (420, 900))

# Everything that a Tab must reach, in the order of the page.
_CONTROLS = """
window.controls = [...document.querySelectorAll("a[href], select, input, summary, [tabindex]")]
  .filter((one) => one.checkVisibility()); controls.length"""

# A place in that order; -1: outside of the page; -2: what scrolls gets the focus by itself.
_FOCUS = """(() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const box = one.getBoundingClientRect(), place = controls.indexOf(one);
  const around = parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset);
  const outer = (one.parentElement || one).closest(".scroll");
  const left = outer ? outer.getBoundingClientRect().left : 0;
  return {
    place: one === document.body ? -1 : place < 0 ? -2 : place,
    said: one.tagName + " " + one.textContent.slice(0, 40),
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    whole: box.left - around >= left - 0.5,
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
})()"""

# WCAG 2.2: 4.5 to 1 for text, 3 to 1 for large text, marks and what frames a field.
_FAINT = """(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => value / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, below) => top.slice(0, 3).map((value, place) =>
    value * top[3] + below[place] * (1 - top[3])).concat(1);
  const paper = (one) => {
    if (!one) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(one).backgroundColor);
    return own[3] === 1 ? own : over(own, paper(one.parentElement));
  };
  const ratio = (colour, below) => {
    const [dim, bright] = [light(over(colour, below)), light(below)].sort((a, b) => a - b);
    return (bright + 0.05) / (dim + 0.05);
  };
  let looked = 0;
  const faint = [];
  const ask = (what, one, colour, below, least) => {
    looked += 1;
    const found = ratio(parse(colour), below);
    if (found >= least) return;
    faint.push(`${what} ${one.tagName} ${one.textContent.slice(0, 40)}: ${found.toFixed(2)}`);
  };
  for (const one of document.querySelectorAll("body *")) {
    if (!one.checkVisibility()) continue;
    const style = getComputedStyle(one), below = paper(one);
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const large = size >= 24 || (bold && size >= 18.66);
    if (own && one.tagName !== "OPTION") {
      ask("text", one, one.closest("svg") ? style.fill : style.color, below, large ? 3 : 4.5);
    }
    if (one.matches("input, select")) {
      ask("value", one, style.color, below, 4.5);
      ask("frame", one, style.borderTopColor, paper(one.parentElement), 3);
    }
    if (one.matches("svg.iv circle, svg.trend circle, svg.trend rect")) {
      ask("mark", one, style.fill, below, 3);
    }
  }
  return {looked, faint};
})()"""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[browser.Page, str, Path]]:
    """A browser, the address of a board of each kind of page, and the board's folder."""
    results = tmp_path_factory.mktemp("board")
    for number in range(7):
        made_up.write(results, number * 40)
    made = made_up.write(results / "nightly", 0, change=5.0)
    for number, change in enumerate((5.0, 0.0, 9.0), 1):
        night(results / "nightly", number, change, subject="made-up-00", folder=made.name)
    build.make(results, now=datetime.datetime(2026, 1, 4, tzinfo=datetime.UTC))
    folder = results / "board"
    home = tmp_path_factory.mktemp("browser")
    with browser.served(folder) as address, browser.page(home) as page:
        page.shape(*SIZES[0])
        yield page, address, folder


def _path(folder: Path, kind: str) -> str:
    found = min(folder.glob(f"{kind}index.html"))
    return found.parent.relative_to(folder).as_posix() + "/"


def _ready(page: browser.Page, address: str) -> None:
    """Open a page, and wait until its script has made all that it makes."""
    page.open(address)
    page.until("document.querySelectorAll('#search input').length")
    page.until("!document.querySelector('#two') || document.querySelectorAll('#two input').length")
    page.until("[...document.querySelectorAll('[data-metrics]')].every((one) => "
               "one.querySelectorAll('label').length)")  # fmt: skip


def _tab_to(page: browser.Page, wanted: str) -> None:
    for _ in range(200):
        page.press("Tab")
        if page.run(f"document.activeElement.matches({wanted!r})"):
            return
    raise AssertionError(f"no Tab reaches {wanted}")


@pytest.mark.parametrize("kind", KINDS)
def test_tab_reaches_every_control_in_order(
    board: tuple[browser.Page, str, Path], kind: str
) -> None:
    page, address, folder = board
    _ready(page, f"{address}/{_path(folder, kind)}")
    count = page.run(_CONTROLS)
    assert count > 8
    reached = []
    for _ in range(2 * count):
        page.press("Tab")
        focus = page.run(_FOCUS)
        if focus["place"] == -1:
            break
        assert focus["ring"] and focus["seen"] and focus["whole"], focus
        if focus["place"] >= 0:
            reached.append(focus["place"])
    assert reached == list(range(count))
    page.press("Tab")
    page.press("Tab", shift=True)
    page.press("Tab", shift=True)
    assert page.run(_FOCUS)["place"] == count - 1, "and back again"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_can_be_read(
    board: tuple[browser.Page, str, Path], kind: str, scheme: str
) -> None:
    page, address, folder = board
    try:
        for width, height in SIZES:
            page.shape(width, height, scheme)
            _ready(page, f"{address}/{_path(folder, kind)}")
            page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            found = page.run(_FAINT)
            assert found["looked"] > 15 and not found["faint"]
            root = "document.documentElement"
            assert page.run(f"{root}.scrollWidth <= {root}.clientWidth")
    finally:
        page.shape(*SIZES[0])


@pytest.mark.parametrize(("grey", "ratio"), [("#777777", "4.48"), ("#767676", None)])
def test_contrast_is_that_of_the_standard(
    board: tuple[browser.Page, str, Path], grey: str, ratio: str | None
) -> None:
    page, address, _ = board
    _ready(page, f"{address}/compare/")
    page.run(f"document.querySelector('main p').style = 'background: #fff; color: {grey}'")
    faint = page.run(_FAINT)["faint"]
    assert [one.split(": ")[-1] for one in faint] == ([ratio] if ratio else [])


def test_search_by_keyboard(board: tuple[browser.Page, str, Path]) -> None:
    page, address, _ = board
    _ready(page, f"{address}/cell/")
    _tab_to(page, "#search input")
    page.type("made-up-00")
    first = page.until("(document.querySelector('#search li a') || {}).href")
    page.press("Escape")
    page.until("!document.querySelector('#search li')")
    assert page.run("document.activeElement.value") == ""
    page.type("nothing of that name")
    assert page.until("(document.querySelector('#search li') || {}).textContent") == "nothing found"
    page.press("Escape")
    page.type("made-up-00")
    page.until("document.querySelectorAll('#search li a').length")
    page.press("Tab")
    assert page.run("document.activeElement.href") == first
    page.press("Enter")
    page.until(f"location.href === {first!r} && document.readyState === 'complete'")
    assert not page.complaints


def test_choices_above_a_table_by_keyboard(board: tuple[browser.Page, str, Path]) -> None:
    page, address, folder = board
    _ready(page, f"{address}/series/made-up-00/")
    shown = "[...document.querySelectorAll('.choose tbody tr')].filter((one) => !one.hidden).length"
    rows = page.run(shown)
    _tab_to(page, ".choose select")
    page.press("ArrowDown")
    assert page.run("document.activeElement.value") != ""
    assert 0 < page.run(shown) < rows
    page.press("Home")
    assert page.run(shown) == rows
    _ready(page, f"{address}/{_path(folder, 'cell/*/')}")
    _tab_to(page, "[data-metrics] > label > select")
    page.press("ArrowDown")
    assert page.run("document.querySelector('.choose').hidden")
    assert page.run("document.querySelector('.choose + .scroll tbody tr').checkVisibility()")
    page.press("ArrowUp")
    assert not page.run("document.querySelector('.choose').hidden")
    assert not page.complaints


def test_two_kernels_by_keyboard(board: tuple[browser.Page, str, Path]) -> None:
    page, address, _ = board
    _ready(page, f"{address}/compare/")
    labels = page.run(
        "fetch('../kernels.json').then((one) => one.json()).then((all) => "
        "all.map(([key, label, tree]) => label + ', tree ' + tree + ', ' + key))"
    )
    _tab_to(page, "#two input")
    page.type(labels[0])
    page.press("Escape")  # closes what is offered
    _tab_to(page, "#two input")
    page.type(labels[1])
    assert page.until("(document.querySelector('#two [aria-live] p') || {}).textContent")
    page.press("Escape")
    assert (
        page.run("[...document.querySelectorAll('#two input')].map((one) => one.value)")
        == (labels[:2])
    )
    assert not page.complaints


def test_enter_opens_what_is_folded(board: tuple[browser.Page, str, Path]) -> None:
    page, address, folder = board
    folded = next(
        one for one in sorted(folder.rglob("index.html")) if "<summary>" in one.read_text()
    )
    _ready(page, f"{address}/{folded.parent.relative_to(folder)}/")
    _tab_to(page, "summary")
    page.press("Enter")
    assert page.run("document.querySelector('details').open")
    page.press("Enter")
    assert not page.run("document.querySelector('details').open")

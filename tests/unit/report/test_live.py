# SPDX-License-Identifier: GPL-2.0-only
"""The live view: what it reads off the disk, how it looks, and that it is silent elsewhere."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from harness.report import live
from harness.report.live import State, Survey, View
from harness.report.model import Estimate
from harness.results import manifest
from harness.results.manifest import Manifest
from harness.util import progress
from tests.fakes import results as fake_results
from tests.fakes.results import Fake

LOG = logging.getLogger("harness")
CELLS = ("zram-lz4.pageio", "zswap-lz4.pageio")


def blocks(pairs: int = 4) -> list[list[str]]:
    arms = ("base", "patch", "control")
    return [[f"{cell}/{pair:02d}-{arm}" for arm in arms] for pair in range(pairs) for cell in CELLS]


def shown(state: State, width: int = 100) -> str:
    console = Console(record=True, force_terminal=True, width=width, file=io.StringIO())
    console.print(live.render(state))
    return console.export_text()


def terminal() -> Console:
    return Console(record=True, force_terminal=True, width=100, height=40, file=io.StringIO())


@pytest.fixture
def show_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Console], None]]:
    """Has the lines and the view go to a console."""
    progress.start()
    yield lambda console: monkeypatch.setattr(progress, "console", console)
    LOG.removeHandler(progress._lines)


def test_it_reads_boots_and_guests_off_the_disk(tmp_path: Path) -> None:
    outcomes = {(CELLS[0], 1, "patch"): "panic", (CELLS[1], 2, "base"): "missing"}
    boots = fake_results.write(tmp_path, Fake(pairs=3, aa=True, outcomes=outcomes)) / "boots"
    survey = Survey(blocks(), boots, workers=2)
    (boots / CELLS[1] / ".02-base.x8k2").mkdir()
    state = survey.look("boots", 5.0, now=100.0)
    assert (state.boots, state.planned, state.pairs, state.planned_pairs) == (17, 24, 5, 8)
    assert state.failed == 1 and state.running == ((f"{CELLS[1]}/02-base", 0.0),)
    # Each boot took 9.5 s by its own record; seven are left, two at a time.
    assert state.left == pytest.approx(7 * 9.5 / 2)
    state = survey.look("boots", 9.0, now=104.0)
    assert state.running == ((f"{CELLS[1]}/02-base", 4.0),)
    assert state.left == pytest.approx((7 * 9.5 - 4) / 2)
    (boots / CELLS[1] / ".02-base.x8k2").rename(boots / CELLS[1] / "02-base")
    done = json.dumps({"outcome": "ok", "wall_s": {"boot": 3.0}})
    (boots / CELLS[1] / "02-base" / "boot.json").write_text(done)
    state = survey.look("boots", 10.0, now=105.0)
    assert (state.boots, state.pairs, state.running) == (18, 6, ())


def test_before_the_first_boot_no_time_is_made_up(tmp_path: Path) -> None:
    state = Survey(blocks(), tmp_path / "boots").look("boots", 1.0, now=0.0)
    assert (state.boots, state.left) == (0, None) and "left" not in shown(state)


def test_how_it_looks(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path, Fake(pairs=3, aa=True, effect=1.10))
    facts = manifest.load(results)
    rows = live.estimates(results, facts)
    assert [row.change.n for row in rows] == [3, 3]
    text = shown(
        State("boots", 75, 18, 24, 6, 8, 1, (("zram.pageio/06-base", 12.3),), 754.0, rows, "note")
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == (
        "boots 1 min 15 s | pairs 6 of 8 | boots 18 of 24 | 1 failed | about 12 min 34 s left"
    )
    assert lines[1] == "guests: zram.pageio/06-base 12 s"
    row = next(line for line in lines if line.startswith(CELLS[0]))
    assert "swapin" in row and "+10.00%" in row and row.endswith("worse")
    assert lines[-1] == "note"
    assert max(map(len, shown(State("build", 1.0), 40).splitlines())) <= 40


def test_too_few_pairs_have_no_estimate(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path, Fake(pairs=2, aa=True))
    facts = manifest.load(results)
    assert live.estimates(results, facts) == ()


def test_estimates_are_made_seldom_and_never_beside_wall_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = fake_results.write(tmp_path, Fake(pairs=3, aa=True))
    facts = manifest.load(results)
    made: list[float] = []
    real = live.estimates

    def counted(folder: Path, said: Manifest) -> tuple[Estimate, ...]:
        made.append(1.0)
        return real(folder, said)

    monkeypatch.setattr(live, "estimates", counted)
    view = View()
    view.boots(Survey(blocks(3), results / "boots"), results, facts, "insn")
    for now in (0.0, 1.0, 29.0):
        assert len(view.state(now=now).rows) == 2
    assert len(made) == 1
    view.state(now=10_000.0)
    assert len(made) == 2
    wall = View()
    wall.boots(Survey(blocks(3), results / "boots"), results, facts, "wall")
    state = wall.state(now=0.0)
    assert len(made) == 2 and state.rows == () and "at the end" in state.note


def test_lines_go_on_above_the_view_on_a_terminal(
    tmp_path: Path, show_on: Callable[[Console], None]
) -> None:
    console = terminal()
    show_on(console)
    drawn = threading.Event()
    with live.view() as view, progress.stage("boots"):
        view.boots(Survey(blocks(), tmp_path), tmp_path, Manifest(), "insn")
        LOG.info("boot 1/24 done")
        for _ in range(100):
            if "pairs 0 of 8" in console.export_text(clear=False):
                drawn.set()
                break
            time.sleep(0.1)
    text = console.export_text()
    assert drawn.is_set() and "boot 1/24 done" in text and "boots: done in" in text
    assert not [one for one in threading.enumerate() if one.name == "view"]


def test_a_fault_of_the_view_is_a_line_and_no_more(
    tmp_path: Path, show_on: Callable[[Console], None]
) -> None:
    console = terminal()
    show_on(console)
    with live.view() as view, progress.stage("boots"):
        broken: Any = SimpleNamespace(look=lambda *_, **__: 1 / 0)
        view.boots(broken, tmp_path, Manifest(), "insn")
        for _ in range(100):
            if "the live view ends" in console.export_text(clear=False):
                break
            time.sleep(0.1)
        LOG.info("the boots go on")
    assert "warning: the live view ends: division by zero" in console.export_text()


def test_without_a_terminal_there_are_plain_lines_only(
    tmp_path: Path, show_on: Callable[[Console], None]
) -> None:
    words = io.StringIO()
    show_on(Console(file=words, width=200))
    with live.view() as view, progress.stage("boots"):
        view.boots(Survey(blocks(), tmp_path), tmp_path, Manifest(), "insn")
        time.sleep(1.2)
        assert not [one for one in threading.enumerate() if one.name == "view"]
    lines = words.getvalue().splitlines()
    assert lines[0].endswith("] boots ...") and len(lines) == 2 and "\x1b" not in words.getvalue()

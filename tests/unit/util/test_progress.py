# SPDX-License-Identifier: GPL-2.0-only
"""What is shown of what is logged; stages and their times."""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from harness.util import progress


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that is shown."""
    words = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=words, width=20, soft_wrap=True))
    progress.start()
    yield words
    logging.getLogger("harness").removeHandler(progress._lines)


def test_times_are_those_of_one_comparison_of_many() -> None:
    """A walk makes one after another, and each says what it took itself."""
    earlier = progress.finished()
    for name in ("build", "boots"):
        with progress.stage(name):
            pass
    before = progress.finished()
    for name in ("boots", "report", "boots"):
        with progress.stage(name):
            pass
    assert [one.stage for one in progress.stages(earlier)] == ["build", "boots", "report"]
    assert [one.stage for one in progress.stages(before)] == ["boots", "report"]


def test_stages_side_by_side_are_counted_once() -> None:
    """An image is made while a kernel is built: both together take no longer than either."""
    before, within = progress.finished(), threading.Barrier(2)

    def beside() -> None:
        with progress.stage("image"):
            within.wait(30)
            within.wait(30)

    thread = threading.Thread(target=beside)
    thread.start()
    with progress.stage("build"):
        within.wait(30)
        time.sleep(0.2)
    within.wait(30)
    thread.join()
    each = [one.seconds for one in progress.stages(before)]
    took = progress.elapsed(before)
    assert 0.2 <= took < sum(each) and took >= max(each) - 0.1


def test_the_stage_under_way_is_the_innermost_one() -> None:
    assert progress.current() is None
    with pytest.raises(ZeroDivisionError), progress.stage("boots"):
        with progress.stage("image"):
            assert (progress.current() or ("",))[0] == "image"
        assert (progress.current() or ("",))[0] == "boots"
        raise ZeroDivisionError
    assert progress.current() is None
    assert progress.stages(progress.finished() - 1)[0].stage == "boots"


def test_lines_have_their_time_and_are_never_broken(words: io.StringIO) -> None:
    log = logging.getLogger("harness.run.plan")
    log.info("[bold]boot[/bold] :bug: 100% %s")
    log.warning("a disk is\x1b[2J full")
    progress.command(["make", "-C", "a folder", "all"])
    progress.start()
    with progress.stage("boots", note="24 of them"):
        log.debug("nothing that the user needs")
    assert [line[9:] for line in words.getvalue().splitlines()] == [
        "[bold]boot[/bold] :bug: 100% %s",
        "warning: a disk is\\x1b[2J full",
        "  $ make -C 'a folder' all",
        "boots: 24 of them ...",
        "boots: done in 0.0 s",
    ]
    assert all(re.match(r"\[ *\d+:\d\d\] ", line) for line in words.getvalue().splitlines())


def test_libraries_are_not_shown(words: io.StringIO) -> None:
    for name in ("paramiko", "asyncio", "distributed", "matplotlib.font_manager", "harnesses"):
        logging.getLogger(name).error("no")
    logging.getLogger().error("no")
    assert words.getvalue() == ""


def test_a_silent_stage_says_that_it_goes_on(
    words: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PAUSES", (0.2,))
    with progress.stage("build"), progress.ticking(lambda: "checking out: 45%"):
        time.sleep(0.5)
    with progress.stage("report"):
        time.sleep(0.5)
    lines = [line[9:] for line in words.getvalue().splitlines()]
    before, after = lines.index("report ..."), lines[lines.index("report ...") :]
    assert "checking out: 45%" in lines[:before], "the innermost one speaks"
    assert not [line for line in lines[:before] if "so far" in line]
    assert "report: 0 s so far" in after


def test_what_speaks_is_not_interrupted(
    words: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PAUSES", (0.4,))
    log = logging.getLogger("harness.run.plan")
    with progress.stage("boots"):
        for _ in range(8):
            time.sleep(0.1)
            log.info("boot")
    assert "so far" not in words.getvalue()

# SPDX-License-Identifier: GPL-2.0-only
"""Three nights with two series: cut off, over budget, moved.  Kernels are toys, guests fakes."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.board import build
from harness.build.pair import Context
from harness.studies import compare, verify
from harness.studies.nightly import config, measure, search, store, triage, words
from harness.studies.nightly.config import Config
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import Guests

NIGHTLY = """\
series:
  - {message_id: 1-0@mail.example, name: toy}
  - {message_id: 1-0@other.example, name: other}
kernel_git: GIT
backends: [zram]
workloads: [pageio]
pairs: 3
bisect: auto
"""


def commit(repo: Path, *texts: str) -> None:
    """A patch for each text."""
    for number, text in enumerate(texts):
        file = repo / "mm/page.c"
        file.write_text(f"{file.read_text()}{text}\n")
        inbox.git(repo, "commit", "-q", "-a", "-m", f"mm: more {number} {text}\n\nBecause.")


def mailed(repo: Path, version: int, name: str) -> list[bytes]:
    """A revision of a series of its own: other ids, another title."""
    mails = inbox.mailed(repo, version, cover=f"Some {name}")
    pattern = rb"<(\d+-\d+)@mail\.example>"
    return [re.sub(pattern, rb"<\1@" + name.encode() + rb".example>", raw) for raw in mails]


@pytest.fixture
def repos(tmp_path: Path) -> tuple[Path, Path]:
    """Those of both series, which have nothing in common but the base."""
    found = (inbox.author(tmp_path / "linux", tree.FILES),
             inbox.author(tmp_path / "other", tree.FILES))  # fmt: skip
    inbox.git(found[1], "reset", "-q", "--hard", "v6.12")
    return found


@pytest.fixture
def context(tmp_path: Path, repos: tuple[Path, Path]) -> Context:
    commit(repos[1], "int first;")
    mails = [*mailed(repos[0], 1, "mail"), *mailed(repos[1], 1, "other")]
    mirror = inbox.archive(tmp_path / "list.git", mails)
    made = guests.context(tmp_path, repos[0])
    return replace(made, mails=replace(made.mails, mirrors=(mirror,)))


@pytest.fixture
def asked(tmp_path: Path, repos: tuple[Path, Path], context: Context) -> Config:
    path = tmp_path / "nightly.yaml"
    path.write_text(NIGHTLY.replace("GIT", str(repos[0])))
    return config.load(path, registry_folder=measure.REGISTRY)


def test_three_nights(
    context: Context, asked: Config, fake: Guests, repos: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    root, mirror = context.results / "nightly", tmp_path / "list.git"

    real = compare.compare

    def cut_off(*given: Any, **more: Any) -> Any:
        if fake.ran:
            raise KeyboardInterrupt
        return real(*given, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(compare, "compare", cut_off)
        measure.nightly(asked, context)
    assert len(fake.ran) == 9
    first = measure.nightly(asked, context)
    assert first.status is Exit.OK and "2 of 2" in first.text and triage.read(root).moves == ()
    assert len(fake.ran) == 9 + 3, "boots of before were kept, and the base's serve both series"

    inbox.archive(mirror, mailed(repos[0], 2, "mail"))
    commit(repos[1], "int second;", "int costs_500;", "int third;")
    caplog.set_level("INFO")
    second = measure.nightly(replace(asked, budget=0.05), context)
    assert second.status is Exit.UNDECIDED and "NOT DONE" in second.text
    assert "toy-v2-on-auto: 1 comparison, one of which takes longer" in " ".join(
        second.text.split()
    ) or "toy-v2-on-auto: 1 comparison, done in" in " ".join(second.text.split())
    assert "forecast: toy-v2-on-auto" in caplog.text

    inbox.archive(mirror, mailed(repos[1], 2, "other"))
    third = measure.nightly(asked, context)
    assert third.status is Exit.WORSE
    (move,) = triage.read(root).moves
    assert (move.line.subject, move.at.label, move.verdict) == ("other", "v2", "worse")
    assert move.search is not None and move.search.status == Exit.OK, move.answer
    assert "costs_500" in move.search.culprit and f"bisect-{move.id}" == move.search.folder
    assert "is the first responsible" in " ".join(third.text.split())
    assert move.command.startswith("make bisect BASE=auto PATCH=mail:2-0@other.example")
    assert "METRIC=swapin" in move.command and "BACKENDS=zram" in move.command
    assert verify.verify(root).holds
    booted = len(fake.ran)
    assert measure.nightly(asked, context).done == 0
    assert len(fake.ran) == booted, "what was searched is not searched again"

    now = datetime.datetime.now(datetime.UTC)
    build.make(context.results, now=now)
    board = context.results / "board"
    assert "other on auto: zram.pageio swapin" in (board / "index.html").read_text()
    assert "moved at v2: worse" in (board / "feed.xml").read_text()
    page = (board / "triage" / "index.html").read_text()
    assert "is the first responsible" in page and "bisect-" not in page
    places = {path.name for path in (board / "comparison").iterdir() if path.is_dir()}
    assert len(places) == 4, "the parts of the search are no comparisons"
    build.make(context.results, now=now + datetime.timedelta(days=8))
    assert "not explained for more than a week" in (board / "index.html").read_text()


def test_a_search_ends_with_the_budget_and_goes_on_the_next_night(
    context: Context, asked: Config, fake: Guests, repos: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    commit(repos[1], "int costs_500;", "int third;")
    inbox.archive(tmp_path / "list.git", mailed(repos[1], 2, "other"))
    assert measure.nightly(replace(asked, bisect="no"), context).status is Exit.WORSE

    def over(*_: Any) -> None:
        raise measure.Spent

    with monkeypatch.context() as patch:
        patch.setattr(search, "run", over)
        measure.nightly(asked, context)
    root = context.results / "nightly"
    assert triage.read(root).moves[0].search is None
    measure.nightly(asked, context)
    (move,) = triage.read(root).moves
    assert move.search is not None and "costs_500" in move.search.culprit


def test_what_somebody_explained_is_not_searched(
    context: Context, asked: Config, fake: Guests, repos: tuple[Path, Path], tmp_path: Path
) -> None:
    commit(repos[1], "int costs_500;")
    inbox.archive(tmp_path / "list.git", mailed(repos[1], 2, "other"))
    measure.nightly(replace(asked, bisect="no"), context)
    found = triage.read(context.results / "nightly")
    path = words.beside(asked.path)
    triage.say(found, path, move=found.moves[0].id, word="expected", by="Me", note="",
               day="2026-01-01")  # fmt: skip
    booted = len(fake.ran)
    done = measure.nightly(asked, context)
    assert len(fake.ran) == booted and "expected" in (done.folder / "report/trend.html").read_text()


def test_a_damaged_file_of_words_stops_the_night_before_it_begins(
    context: Context, asked: Config, fake: Guests
) -> None:
    words.beside(asked.path).write_text("moves: {}")
    with pytest.raises(UserError, match=r"triage\.yaml"):
        measure.nightly(asked, context)
    assert not fake.ran and not context.results.exists()


def test_old_results_are_thinned_and_a_changed_verdict_leaves_a_bundle(
    context: Context, asked: Config, fake: Guests, repos: tuple[Path, Path], tmp_path: Path
) -> None:
    asked = replace(asked, bisect="no", keep=2)
    root, mirror = context.results / "nightly", tmp_path / "list.git"
    measure.nightly(asked, context)
    commit(repos[1], "int costs_500;")
    inbox.archive(mirror, mailed(repos[1], 2, "other"))
    measure.nightly(asked, context)  # worse
    commit(repos[1], "int fourth;")
    inbox.archive(mirror, mailed(repos[1], 3, "other"))
    for _ in range(3):
        measure.nightly(asked, context)
    there = {path.name: path for path in root.iterdir() if path.is_dir()}
    packed = {name: [one.name for one in path.iterdir()] for name, path in there.items()}
    assert packed["other-v1-on-auto"] == [], "nothing changed at v1"
    assert packed["other-v2-on-auto"] == ["zram.pageio.tar.zst"], "its verdict was another"
    assert packed["other-v3-on-auto"] == ["zram.pageio"], "the newest of its line"
    assert packed["toy-v1-on-auto"] == ["zram.pageio"], "the newest of its line, however old"
    with store.reading(root / store.NAME) as history:
        assert len(history.comparisons()) == 4, "the history has all"
    assert verify.verify(root).holds

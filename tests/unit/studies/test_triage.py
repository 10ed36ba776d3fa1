# SPDX-License-Identifier: GPL-2.0-only
"""What moved at night, the words on it, and the forecast: the history is written, nothing runs."""

from __future__ import annotations

import datetime
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.studies.nightly import forecast, search, store, triage, words
from harness.studies.nightly.forecast import Pace
from harness.studies.nightly.job import Job, Subject
from harness.studies.nightly.store import NightlyComparison, Search
from harness.studies.nightly.triage import Triage
from harness.util.errors import Exit, UserError
from tests.fakes.nights import COMMAND, night

CONFIG = "series: [vswap]\nbackends: [zram]\nworkloads: [pageio]\n"


def moved(root: Path) -> list[tuple[str, float]]:
    """Revision and size of each move, oldest first."""
    found = triage.read(root).moves
    return [(one.at.label, round(one.change_pct, 2)) for one in reversed(found)]


# What moved


def test_a_first_point_moves_by_its_verdict_and_a_later_one_from_the_point_before(
    tmp_path: Path,
) -> None:
    for number, change in enumerate([5.0, 5.1, 5.05, 0.0], 1):
        night(tmp_path, number, change)
    assert moved(tmp_path) == [("v1", 5.0), ("v4", round(100 * (1 / 1.0505 - 1), 2))]
    kinds = {one.at.label: one.verdict for one in triage.read(tmp_path).moves}
    assert kinds == {"v1": "worse", "v4": "better"}


def test_a_change_below_the_margin_or_within_the_intervals_is_no_move(tmp_path: Path) -> None:
    for number, change in enumerate([0.0, 0.9, 0.0], 1):
        night(tmp_path, number, change)
    assert moved(tmp_path) == [], "0.9 % is below the margin of 1 %"
    night(tmp_path, 4, 3.0, width=4.0, verdict="undecided")
    assert moved(tmp_path) == [], "the intervals meet"


def test_the_higher_bar_of_the_cell_decides_once_it_is_known(tmp_path: Path) -> None:
    # Sizes 1 .. 9 of base against base: Q1 = 3, Q3 = 7, the higher bar is 7 + 3 * 4 = 19.
    for number in range(1, 10):
        night(tmp_path, number, 0.0, aa=float(number))
    night(tmp_path, 10, 15.0)
    assert moved(tmp_path) == []
    night(tmp_path, 11, 40.0)
    assert [name for name, _ in moved(tmp_path)] == ["v11"]
    (found,) = triage.read(tmp_path).moves
    assert found.bar is not None and (found.bar.high, found.bar.n) == (19.0, 9)
    assert found.size == "small"


def test_better_goes_by_the_direction(tmp_path: Path) -> None:
    night(tmp_path, 1, 5.0, direction="higher", verdict="better")
    (found,) = triage.read(tmp_path).moves
    assert found.verdict == "better"


# The words


def test_a_word_is_kept_beside_the_configuration_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, config = tmp_path / "results", tmp_path / "nightly.yaml"
    config.write_text(CONFIG)
    night(results / "nightly", 1, 5.0)
    at = ["--nightly", str(config), "--results", str(results)]
    assert main.main(["triage", *at]) == Exit.OK
    said = capsys.readouterr().out
    assert "1 moved, 1 of them not explained yet." in said
    assert f"{COMMAND} METRIC=swapin" in said
    (one,) = triage.read(results / "nightly").moves
    told = ["--move", one.id, "--word", "culprit", "--by", "A Reader", "--note", "patch 2"]
    assert main.main(["triage", *at, *told]) == Exit.OK
    capsys.readouterr()
    kept = words.read(tmp_path / "triage.yaml")
    assert [(w.word, w.by, w.note, w.at) for w in kept.values()] == [
        (words.CULPRIT, "A Reader", "patch 2", "v1")
    ]
    assert words.read(results / "nightly" / words.COPY) == kept, "the board reads the copy"
    assert main.main(["triage", *at]) == Exit.OK
    listed = capsys.readouterr().out
    assert "0 of them not explained" in listed and "A Reader" in listed and COMMAND not in listed
    trend = (results / "nightly/report/trend.html").read_text()
    assert "culprit found" in trend


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--move", "12345678", "--word", "noise", "--by", "Me"], "there is no move '12345678'"),
        (["--move", "12345678", "--word", "noise"], "BY= is missing"),
        (["--by", "Me"], "MOVE= is missing"),
        (["--note", "why"], "MOVE= is missing"),
    ],
)
def test_a_word_that_cannot_be_kept_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], says: str
) -> None:
    config = tmp_path / "nightly.yaml"
    config.write_text(CONFIG)
    night(tmp_path / "results/nightly", 1, 5.0)
    at = ["--nightly", str(config), "--results", str(tmp_path / "results")]
    assert main.main(["triage", *at, *given]) == Exit.USER
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not (tmp_path / "triage.yaml").exists()


def test_no_history_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "nightly.yaml"
    config.write_text(CONFIG)
    assert main.main(["triage", "--nightly", str(config), "--results", str(tmp_path)]) == Exit.USER
    assert "there is no history" in capsys.readouterr().err


MOVE = {"move": "0a1b2c3d", "line": "l", "at": "v1", "word": "noise", "by": "Me",
        "date": "2026-01-01"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"word": "nois"}, "'word' is 'nois'; it must be one of"),
        ({"move": "x"}, "'move' is 'x'; it must be the eight digits of a move"),
        ({"who": "Me"}, "unknown key 'who'"),
        ({"by": None}, "'by'"),
    ],
)
def test_a_damaged_file_of_words_names_the_key(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = tmp_path / "triage.yaml"
    path.write_text(json.dumps({"moves": [{**MOVE, **change}]}))
    with pytest.raises(UserError) as error:
        words.read(path)
    assert "triage.yaml" in str(error.value) and says in str(error.value)


def test_two_words_on_one_move_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "triage.yaml"
    path.write_text(json.dumps({"moves": [MOVE, MOVE]}))
    with pytest.raises(UserError, match="0a1b2c3d is there twice"):
        words.read(path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "triage.yaml"
    said = words.TriageWord("12345678", "a: b", "v1", words.NOISE, "Ä: #", "2026-01-01", "- 'x'")
    words.write(path, [said])
    assert words.read(path) == {"12345678": said}
    assert path.read_text().startswith("# SPDX")


def test_each_configuration_has_its_own_words() -> None:
    assert words.beside(Path("x/nightly.yaml")) == Path("x/triage.yaml")
    assert words.beside(Path("x/mm.yaml")) == Path("x/mm-triage.yaml")


def test_a_move_is_stale_after_a_week(tmp_path: Path) -> None:
    night(tmp_path, 1, 5.0)
    found = triage.read(tmp_path)
    week = datetime.datetime(2026, 1, 8, 1, tzinfo=datetime.UTC)
    assert found.stale(week) == ()
    assert len(found.stale(week + datetime.timedelta(seconds=1))) == 1
    (one,) = found.moves
    said = words.TriageWord(one.id, "l", "v1", words.NOISE, "Me", "2026-01-02")
    assert Triage(found.moves, {one.id: said}).stale(week) == ()


def test_a_search_stands_in_place_of_the_command(tmp_path: Path) -> None:
    night(tmp_path, 1, 5.0)
    (one,) = triage.read(tmp_path).moves
    with store.opened(tmp_path / store.NAME) as history:
        history.searched(Search(one.id, 1, 0, 2, "mm: slow", "Patch 2 is it.", "b", 9.0))
    text = triage.render(triage.read(tmp_path))
    assert "Patch 2 is it." in text and COMMAND not in text


# The history of version 1


def test_a_history_of_version_1_is_read_as_it_is_and_migrated_by_the_next_night(
    tmp_path: Path,
) -> None:
    path = tmp_path / store.NAME
    with sqlite3.connect(path) as base:
        base.executescript(store._TABLES + "pragma user_version = 1;")
        base.execute("insert into nights values (1, '2026-01-01', '', '', 1, 1, 1, 0, 'whole', 0)")
        base.execute(
            "insert into comparisons values "
            "(1, 'k', 'toy', 'series', 'v1', '2026-01-01', 'b', '', 'n', 'f', 3, 1, 60.5, 3)"
        )
    before = path.read_bytes()
    with store.reading(path) as history:
        (one,) = history.comparisons()
    assert (one.seconds, one.status, one.asked, one.made_s) == (60.5, 3, "", 0.0)
    assert path.read_bytes() == before
    with store.opened(path) as history:
        assert history.comparisons() == [one] and history.searches() == []
        assert history._base.execute("pragma user_version").fetchone()[0] == 2


@pytest.mark.parametrize("how", [store.opened, store.reading])
def test_a_history_of_a_newer_version_is_refused(tmp_path: Path, how: Any) -> None:
    path = tmp_path / store.NAME
    with sqlite3.connect(path) as base:
        base.execute("pragma user_version = 3")
    with pytest.raises(UserError, match="of version 3, this harness writes 2"), how(path):
        pass


# The forecast


POINT = Subject("toy", "series", "v2", "2026-01-02", "toy-v2", "", "v6.12")


def job(name: str, point: Subject = POINT) -> Job:
    return Job(f"{point.revision}-{name}", point, "", name, {}, 3, "")


def pace(**seconds: float) -> Pace:
    return Pace(
        NightlyComparison(1, name, "toy", "series", "v1", "", "b", "", name, "f", 3, 1, each, 0)
        for name, each in seconds.items()
    )


def test_a_forecast_says_when_each_revision_is_done() -> None:
    old = replace(POINT, revision="v1", age=1)
    jobs = [job("a"), job("b"), job("a", old), job("b", old)]
    found = forecast.forecast(jobs, pace(a=600, b=1200), budget_s=2700)
    assert [(one.what, one.jobs, one.nights, one.seconds) for one in found] == [
        ("toy-v2-on-v6.12", 2, 0, 1800),
        # One more of 600 s fits into 2700, and one of 1200 does not.
        ("toy-v1-on-v6.12", 2, 1, 1200),
    ]
    now = datetime.datetime(2026, 1, 1, 23, 45, tzinfo=datetime.UTC)
    assert found[0].said(now) == "toy-v2-on-v6.12: 2 comparisons, done at about 00:15 UTC"
    assert found[1].said(now) == "toy-v1-on-v6.12: 2 comparisons, done in the next night"


def test_kernels_count_once_for_a_revision() -> None:
    past = [NightlyComparison(1, "k", "toy", "series", "v1", "", "b", "", "a", "f", 3, 1, 60.0, 0,
                              "", 300.0)]  # fmt: skip
    (found,) = forecast.forecast([job("a"), job("b")], Pace(past), budget_s=3600)
    assert found.seconds == 300 + 60 + 60


def test_a_forecast_without_a_past_says_so_and_one_too_long_is_named() -> None:
    (found,) = forecast.forecast([job("a")], pace(), budget_s=60)
    assert found.said() == "toy-v2-on-v6.12: 1 comparison, nobody knows how long they take yet"
    (found,) = forecast.forecast([job("a")], pace(a=100), budget_s=60)
    assert "takes longer than the budget" in found.said()


# What the history keeps of a job, to search for what moved it


def asked(point: Subject, past: list[NightlyComparison], **spec: Any) -> dict[str, Any]:
    given = {"backends": ["zram"], "workloads": ["pageio"], **spec}
    return dict(json.loads(search.asked(replace(job("n", point), spec=given), past, "nightly/x")))


def test_a_branch_is_searched_since_the_head_before_it() -> None:
    head = Subject("next", "branch", "b" * 12, "", "", "b" * 40, "v6.12", "/clone")
    first = asked(head, [])
    assert (first["base"], first["patch"]) == ("v6.12", f"v6.12..{'b' * 40}")
    before = NightlyComparison(1, "k", "next", "branch", "a" * 12, "", "v6.12", "", "n", "f", 3, 1,
                               1.0, 0)  # fmt: skip
    later = asked(head, [before])
    assert (later["base"], later["patch"]) == ("a" * 12, f"{'a' * 12}..{'b' * 40}")
    assert later["command"].endswith("KERNEL_GIT=../linux") and "/clone" not in later["command"]
    assert asked(replace(head, base="debian/7.3"), [])["command"] == "", "it has no commits"


def test_settings_that_no_variable_says_are_in_the_spec_of_the_result() -> None:
    found = asked(POINT, [], guest={"swappiness": 10})
    assert found["command"] == "make bisect SPEC=results/nightly/x/spec.yaml"


def test_settings_that_are_wrong_have_no_command() -> None:
    assert asked(POINT, [], workloads=["nothing-of-the-kind"])["command"] == ""

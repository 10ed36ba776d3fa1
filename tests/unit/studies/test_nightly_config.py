# SPDX-License-Identifier: GPL-2.0-only
"""nightly.yaml: what is wrong in it is said in one sentence; what it makes known is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main as cli
from harness.series.mail import lore
from harness.series.mail.lore import MailSource
from harness.studies.nightly import agenda, config, measure, news
from harness.studies.nightly.config import Branch, Config, FollowedSeries
from harness.studies.nightly.job import Subject
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO
from tests.fakes import inbox, tree

GOOD = "series: [vswap]\n"
CHANGE = "20260101-toy-0123456789ab"


def load(folder: Path, text: str) -> Config:
    path = folder / "nightly.yaml"
    path.write_text(text)
    return config.load(path, registry_folder=measure.REGISTRY)


def test_the_example_is_right() -> None:
    found = config.load(REPO / "kernels" / "nightly.yaml", registry_folder=measure.REGISTRY)
    assert (found.name, found.budget, found.units[0][1].schedule.pairs) == ("nightly", 8 * 3600, 6)
    assert found.series == (FollowedSeries("vswap", "vswap", from_="v5", bases=("auto",)),)
    names = [agenda.unit_name(*unit) for unit in found.units]
    assert "quick-zram.pageio" in names and len(set(names)) == len(names)


def test_a_home_in_a_repository_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "kernel_git: ~/linux\nbranches: [{ref: refs/heads/mm, bases: [v6.19], git: ~/mm}]\n"
    found = load(tmp_path, text)
    assert (found.kernel_git, found.branches[0].git) == (f"{tmp_path}/linux", f"{tmp_path}/mm")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("serie: [vswap]\n", "unknown key 'serie'; did you mean 'series'"),
        (GOOD + "pears: 3\n", "unknown key 'pears'; did you mean 'pairs'"),
        (GOOD + "pairs: 0\n", "'pairs' is '0'"),
        (GOOD + "suites: [quik]\n", "no suite 'quik'; did you mean 'quick'"),
        (GOOD + "suites: [quick]\nbackends: [zram]\n", "suites and backends were both given"),
        (GOOD + "backends: [zrm]\n", "'zrm'; did you mean 'zram'"),
        (GOOD + "budget: soon\n", "'budget' is 'soon'; it must be hours"),
        (GOOD + "budget: 0\n", "'budget' is '0'"),
        (GOOD + "most_pairs: many\n", "'most_pairs' is 'many'"),
        (GOOD + "base: v6.19\n", "unknown key 'base'; did you mean 'bases'"),
        (GOOD + "bases: v6.19\n", "'bases' is 'v6.19'; it must be a list"),
        (GOOD + "bases: [6.19]\n", "put it in quotes"),
        (GOOD + "name: a/b\n", "'name' is 'a/b'"),
        (GOOD + "keep: 0\n", "'keep' is '0'; it must be at least 1"),
        (GOOD + "bisect: atuo\n", "'bisect' is 'atuo'; it must be one of"),
        (GOOD + "board: board.example\n", "it must be a URL like https://"),
        ("{}\n", "follows nothing"),
        ("series: [vswp]\n", "no series is called vswp; did you mean 'vswap'?"),
        ("series: [vswap, vswap]\n", "two things are called 'vswap'"),
        ("series: [{change-id: x, serie: vswap}]\n", "unknown key 'serie'; did you mean 'series'"),
        ("series: [{series: vswap, change_id: x}]\n", "give one of series, message_id"),
        ("series: [{series: vswap, from: 3}]\n", "put it in quotes"),
        ("series: [{series: vswap, from: three}]\n", "must be a revision like v3"),
        ("series: ['a b@c']\n", "must be a message-id or the URL of a mail"),
        ("branches: [{ref: next, bases: [v6.19]}]\n", "give 'git' (or 'kernel_git'"),
        ("branches: [{ref: a..b, git: x, bases: [v6.19]}]\n", "is not the name of a git"),
        ("branches: [{ref: next, git: x}]\n", "a branch is not made on a base"),
        ("- 1\n", "is a list; it must be a mapping"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, text)
    said = str(error.value)
    assert words in said and "\n" not in said
    assert "nightly.yaml" in said or "series is called" in said or "there is no" in said


def test_what_is_left_out_changes_nothing_and_a_bare_no_is_no(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert (found.keep, found.bisect, found.board) == (None, "no", "")
    found = load(tmp_path, GOOD + "keep: 30\nbisect: no\nboard: https://b.example/x\n")
    assert (found.keep, found.bisect, found.board) == (30, "no", "https://b.example/x/")


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["nightly", "--config", str(tmp_path / "gone.yaml")]) == Exit.USER
    err = capsys.readouterr().err
    assert "gone.yaml' cannot be read" in err and "kernels/nightly.yaml is an example" in err
    assert len(err.splitlines()) == 1


# What is new


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return inbox.author(tmp_path / "linux", tree.FILES)


def posted(repo: Path, version: int, title: str, *, change: str = "") -> list[bytes]:
    mails = inbox.mailed(repo, version, cover=title)
    footer = f"\nchange-id: {change}\n".encode() if change else b""
    return [mails[0].replace(b"\n-- \n", footer + b"-- \n", 1), *mails[1:]]


def mail_source(folder: Path, *mails: bytes) -> MailSource:
    mirror = inbox.archive(folder / "list.git", mails)
    return MailSource(folder / "cache", "http://127.0.0.1:9/list", (mirror,))


def test_revisions_are_found_by_title_patches_and_change_id(repo: Path, tmp_path: Path) -> None:
    mails = [*posted(repo, 1, "More", change=CHANGE), *posted(repo, 2, "More")]
    mails += posted(repo, 3, "Much more", change=CHANGE)
    forged = [
        raw.replace(b"3-", b"4-").replace(b"[PATCH v3", b"[PATCH v4").replace(b"dev@", b"evil@")
        for raw in mails[6:]
    ]
    again = mails[0].replace(b"<1-0@", b"<1-0again@")
    quoting = inbox.answer("1-0@mail.example", "Re: [PATCH 0/2] More", f"change-id: {CHANGE}")
    at = mail_source(tmp_path, *mails, *forged, again, quoting)
    found = lore.postings(lore.Address("1-2@mail.example", None, None), at)
    assert [one.label for one in found] == ["v1", "v2", "v3"]
    assert [one.message_id for one in found] == [f"{n}-0@mail.example" for n in (1, 2, 3)]
    assert found[2].date == "2026-01-03T00:00:00+00:00" and found[2].title == "Much more"
    assert lore.by_change_id(CHANGE, at).message_id == "1-0@mail.example"
    # The second one has no change-id: its title leads to the first, its patches to the third.
    by_patches = lore.postings(lore.Address("2-0@mail.example", None, None), at)
    assert [one.label for one in by_patches] == ["v1", "v2", "v3"]


def test_a_change_id_needs_a_mirror_and_a_posting(repo: Path, tmp_path: Path) -> None:
    at = mail_source(tmp_path, *inbox.mailed(repo))
    with pytest.raises(UserError, match="no posting with the change-id 2026"):
        lore.by_change_id(CHANGE, at)
    with pytest.raises(UserError, match="in a local mirror only"):
        lore.by_change_id(CHANGE, replace(at, mirrors=()))


def test_an_rfc_and_a_patch_of_one_number_are_two_revisions(repo: Path, tmp_path: Path) -> None:
    rfc = [raw.replace(b"[PATCH v1", b"[RFC PATCH v1") for raw in inbox.mailed(repo, 1)]
    real = [
        raw.replace(b"2-", b"1b-").replace(b"[PATCH v2", b"[PATCH v1")
        for raw in inbox.mailed(repo, 2)
    ]
    found = lore.postings(
        lore.Address("1-0@mail.example", None, None), mail_source(tmp_path, *rfc, *real)
    )
    assert [one.label for one in found] == ["RFC-v1", "v1"]


def test_news_of_all_kinds(repo: Path, tmp_path: Path) -> None:
    registry = tmp_path / "series"
    registry.mkdir()
    (registry / "toy.yaml").write_text(
        "title: Toy\nrevisions:\n"
        '  v1: {message_id: 1-0@mail.example, date: "2026-01-01"}\n'
        '  v2: {message_id: 2-0@mail.example, date: "2026-01-02"}\n'
    )
    (registry / "fixed.yaml").write_text("title: Fixed\nfolder: fixed\n")
    at = mail_source(
        tmp_path, *inbox.mailed(repo, 1), *inbox.mailed(repo, 2), *inbox.mailed(repo, 3)
    )
    series = (
        FollowedSeries("toy", "toy", from_="v2", bases=("auto",)),
        FollowedSeries("fixed", "fixed", bases=("debian/6.12",)),
        FollowedSeries("mail", message_id="2-0@mail.example", bases=("auto",)),
        FollowedSeries("gone", message_id="9-9@mail.example", bases=("auto",)),
    )
    branches = (
        Branch("next", "main", str(repo), ("v6.12", "v6.11")),
        Branch("lost", "nowhere", str(repo), ("v6.12",)),
    )
    made = replace(load(tmp_path, GOOD), series=series, branches=branches)
    found = news.look(made, at, registry_folder=registry, now="2026-02-02T00:00:00+00:00")
    shown = [(one.subject, one.revision, one.patch, one.age) for one in found.points]
    assert shown[:3] == [
        ("toy", "v3", "mail:3-0@mail.example", 0),
        ("toy", "v2", "toy-v2", 1),
        ("fixed", "", "fixed", 0),
    ]
    assert [one[1] for one in shown[3:6]] == ["v3", "v2", "v1"]
    head = inbox.git(repo, "rev-parse", "main").strip()
    assert [(one.head, one.base) for one in found.points[6:]] == [(head, "v6.12"), (head, "v6.11")]
    assert [one.place for one in found.troubles] == ["gone", "lost"]
    assert "has no branch nowhere" in str(found.troubles[1].error)
    assert found.points[0].folder == "toy-v3-on-auto"
    assert found.points[2].folder == "fixed-on-debian-6.12"


def test_a_posting_that_the_registry_learns_of_is_the_same_one(tmp_path: Path) -> None:
    made = load(tmp_path, GOOD)
    known = Subject("toy", "series", "v3", "2026-01-03", "toy-v3", "", "auto")
    by_mail = replace(known, patch="mail:3-0@mail.example", date="2026-01-03T00:00:00+00:00")
    keys = [{job.key for job in agenda.plan(made, [one], [], [])} for one in (known, by_mail)]
    assert keys[0] == keys[1]


def test_a_night_measures_each_arm_of_each_cell(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(
        "series: [vswap]\nbackends: [zram]\nworkloads: [pageio, pressure]\narms: [off, on, clang]\n"
    )
    units = config.load(path, registry_folder=measure.REGISTRY).units
    assert [agenda.unit_name(*one) for one in units] == [
        f"zram.{workload}-{arm}"
        for workload in ("pageio", "pressure")
        for arm in ("off", "on", "clang")
    ]
    assert [agenda.unit_data(one)["arms"] for _, one in units[:2]] == [{"off": None}, {"on": None}]


OWN = GOOD + "backends: [zram]\nworkloads: [./repro.c]\n"


def keys(made: Config) -> set[str]:
    point = Subject("toy", "series", "v3", "2026-01-03", "toy-v3", "", "auto")
    return {job.key for job in agenda.plan(made, [point], [], [])}


def test_a_program_lies_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/repro.c").write_text("int main(void) { return 0; }\n")
    found = load(tmp_path / "mine", OWN)
    assert found.units[0][1].matrix.workloads == (str(tmp_path / "mine/repro.c"),)
    assert agenda.unit_name(*found.units[0]) == "zram.repro"
    monkeypatch.chdir(tmp_path)
    again = config.load(Path("mine/nightly.yaml"), registry_folder=measure.REGISTRY)
    assert again.units == found.units
    with pytest.raises(UserError, match="there is no program"):
        load(tmp_path, OWN)


def test_a_program_is_measured_again_when_it_changes_not_when_it_moves(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "repro.c").write_text("int main(void) { return 0; }\n")
    before = keys(load(here, OWN))
    assert keys(load(there, OWN)) == before
    (here / "repro.c").write_text("int main(void) { return 0 * 1; }\n")
    assert keys(load(here, OWN)).isdisjoint(before)
    # What is said beside it counts like what is said of it.
    (there / "repro.yaml").write_text("timeout: 7\n")
    assert keys(load(there, OWN)).isdisjoint(before)

# SPDX-License-Identifier: GPL-2.0-only
"""All revisions of a series: each on its own base, side by side, with what changed between."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from harness.build import pair
from harness.build.pair import Context
from harness.experiment import spec
from harness.run import reuse
from harness.series import rangediff
from harness.series.mail.lore import MailSource
from harness.series.rangediff import CommitRange, PatchChange
from harness.stats.verdict import Kind
from harness.studies import bundle, verify
from harness.studies.revisions import measure, table
from harness.util.errors import Exit, InfraError, UserError
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import SWAPIN, Guests
from tests.fakes.results import contents

ENTRY = """\
title: "Toy"
revisions:
  v1: {{message_id: 1-0@mail.example, date: "2026-01-01", base: {base}}}
  v2: {{message_id: 2-0@mail.example, date: "2026-01-02", base: {base}}}
  v3: {{message_id: 3-0@mail.example, date: "2026-01-03", base: {base}}}
"""


def posted(folder: Path) -> tuple[Path, Path]:
    """A repository, and a mirror of three revisions: cheap, dearer with a patch more, broken."""
    repo = inbox.author(folder / "linux", tree.FILES)
    mails = [*inbox.mailed(repo, 1)]
    for version, more in ((2, "int costs_500;\n"), (3, "int broken(\n")):
        file = repo / "mm/page.c"
        file.write_text(file.read_text() + more)
        inbox.git(repo, "commit", "-q", "-a", "-m", f"mm: more of v{version}\n\nBecause.")
        mails += inbox.mailed(repo, version)
    return repo, inbox.archive(folder / "list.git", mails)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    repo, mirror = posted(tmp_path)
    base = inbox.git(repo, "rev-parse", "v6.12^{commit}").strip()
    registry = tmp_path / "series"
    registry.mkdir()
    (registry / "toy.yaml").write_text(ENTRY.format(base=base))
    (registry / "fixed.yaml").write_text("title: Fixed\nfolder: fixed\n")
    monkeypatch.setattr(pair, "_REGISTRY", registry)
    monkeypatch.setattr(measure, "REGISTRY", registry)
    made = guests.context(tmp_path, repo)
    mail_source = MailSource(cache=made.cache.mails, mirrors=(mirror,))
    return Context(
        **{name: getattr(made, name) for name in made.__slots__} | {"mails": mail_source}
    )


def experiment(**more: str) -> spec.Experiment:
    return spec.load(None, {"patch": "toy", "backends": "zram", "workloads": "pageio", **more})


def test_each_revision_on_its_own_base(context: Context, fake: Guests) -> None:
    done = measure.revisions(experiment(), [], context)
    rows = list(csv.DictReader(io.StringIO((done.folder / "revisions.csv").read_text())))
    assert [row["revision"] for row in rows] == ["v1", "v2", "v3"]
    assert [row["patches"] for row in rows] == ["2", "3", "4"]
    changes = [row["change_pct"] and float(row["change_pct"]) for row in rows]
    assert changes[0] == pytest.approx(0, abs=0.1)
    assert changes[1] == pytest.approx(100 * 500 / SWAPIN, abs=0.1)
    assert [row["verdict"] for row in rows] == ["equivalent", "worse", ""]
    assert "does not compile" in rows[2]["failure"]
    assert done.status is Exit.KERNEL
    words = " ".join(done.text.split())
    assert "since v1: 2 same, 0 changed, 0 dropped, 1 new" in words
    assert "since v2: 3 same" in words and "mm: more of v3" in words
    assert "v3: NOT COMPARED: " in words
    assert max(map(len, done.text.splitlines())) <= 72 and done.text.isascii()
    # They have one base: one run of three arms, and no boot of the base twice.
    (study,) = context.results.glob("auto-vs-toy-arms-*")
    first, second = study / "v1", study / "v2"
    assert (second / "report" / "report.txt").is_file()
    assert len(reuse.read(second)) == 6 and not reuse.read(first)
    assert len(fake.ran) == 3 * (2 + 2)
    (row,) = table.steps(done.folder)
    assert (row.old, row.new, row.change.kind) == ("v1", "v2", Kind.WORSE)
    assert row.change.change.estimate_pct == pytest.approx(100 * 500 / SWAPIN, abs=0.1)
    assert "From revision to revision on one base, pair by pair" in words
    # Its text follows from its record and the results beside it, which a bundle has, too.
    assert table.make(done.folder).text == done.text
    made = bundle.make([done.folder])
    with bundle.unpacked(made.path) as folders:
        names = [one.name for one in folders]
        assert names == [study.name, done.folder.name]
        found = [verify.verify(one) for one in folders]
        assert all(one.holds for one in found) and len(found[1].parts) == 1
        assert len(found[0].parts) == 2
    again = measure.revisions(experiment(), ["v2"], context)
    assert len(fake.ran) == 12 and again.status is Exit.WORSE, "what was measured is kept"
    assert again.text == done.text, "some revisions again leave the others in the table"


def test_one_base_for_all_revisions(context: Context, fake: Guests) -> None:
    registry = measure.REGISTRY / "toy.yaml"
    words = registry.read_text()
    registry.write_text(re.sub(r"base: \w+", "base: " + "a" * 40, words))
    done = measure.revisions(experiment(base="v6.12"), ["v1", "v2"], context)
    postings = table.read(done.folder).postings
    assert [(one.base, one.failure) for one in postings] == [("git:v6.12", "")] * 2
    assert "BASE=v6.12" in done.text and len(fake.ran) == 12
    own = measure.revisions(experiment(), ["v1"], context)
    assert own.folder != done.folder and "BASE=auto" in own.text


def test_each_revision_names_the_functions_that_it_changes(
    context: Context, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests.name_functions(monkeypatch)
    done = measure.revisions(experiment(profile="yes", pairs="1"), ["v1", "v2"], context)
    said = done.text.partition("The functions that each revision changes most")[2].splitlines()
    assert said[2:4] == [
        "v1: zram.pageio swapin +0 a page (+0.00 %): no function changed.",
        "v2: zram.pageio swapin +500 a page (+5.00 %): swap_read_folio +500.",
    ]
    assert sum(one.endswith(".profile") for one in fake.ran) == 3, "the base's serves both"
    assert table.make(done.folder).text == done.text
    assert verify.verify(done.folder).holds


def test_a_refused_study_of_revisions_changes_nothing(context: Context, fake: Guests) -> None:
    done = measure.revisions(experiment(name="mine"), ["v1"], context)
    before = contents(context.results)
    with pytest.raises(UserError, match=r"differs from this run in SEED \(1 before, 2 now\)"):
        measure.revisions(experiment(name="mine", seed="2"), ["v2"], context)
    assert contents(context.results) == before and len(fake.ran) == 9
    other = measure.revisions(experiment(seed="2"), ["v1"], context)
    third = measure.revisions(experiment(), ["v1"], context)
    assert len({done.folder, other.folder, third.folder}) == 3, "each has a name of its own"


@pytest.mark.parametrize(
    ("more", "only", "words"),
    [
        ({"patch": "fixed"}, [], "that has revisions: toy"),
        ({"patch": "toy-v2"}, [], "that has revisions: toy"),
        ({}, ["v9"], "no revision v9 of toy"),
    ],
)
def test_what_has_no_revisions(
    context: Context, more: dict[str, str], only: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        measure.revisions(experiment(**more), only, context)
    assert not context.results.exists()


# The digest


def test_gits_lines_are_understood() -> None:
    text = (
        "1:  0123abc = 1:  4567def mm: one\n 2:  0123abd ! 10:  4567dee mm: two: 1:  x\n"
        "-:  ------- > 11:  4567ded mm: new\n13:  0123abe < -:  ------- mm: gone\n"
    )
    digest = rangediff.parse(text)
    assert digest.changes == (
        PatchChange(1, 1, "same", "mm: one"),
        PatchChange(2, 10, "changed", "mm: two: 1:  x"),
        PatchChange(None, 11, "new", "mm: new"),
        PatchChange(13, None, "dropped", "mm: gone"),
    )
    assert digest.text == "1 same, 1 changed, 1 dropped, 1 new"
    assert rangediff.parse("").changes == ()
    with pytest.raises(InfraError, match="not understood: 'fatal"):
        rangediff.parse("fatal: x\n")


def test_the_real_git_agrees(tmp_path: Path) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int b;", "int c;"])
    old = inbox.git(repo, "rev-parse", "main").strip()
    inbox.git(repo, "checkout", "-q", "-b", "next", "v6.12")
    inbox.git(repo, "cherry-pick", "main~2")
    file = repo / "mm/page.c"
    file.write_text(file.read_text() + "int b_in_another_way;\n/* 2 */\n")
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: step 2\n\nBecause.")
    (repo / "mm/new.c").write_text("int entirely;\nint other;\nint file;\n")
    inbox.git(repo, "add", "-A")
    inbox.git(repo, "commit", "-q", "-m", "mm: of its own\n\nAnd why.")
    base, new = (inbox.git(repo, "rev-parse", name).strip() for name in ("v6.12", "next"))
    digest = measure.correspondence(repo, CommitRange(base, old), CommitRange(base, new))
    assert {(c.kind, c.subject) for c in digest.changes} == {
        ("same", "mm: step 1"),
        ("changed", "mm: step 2"),
        ("dropped", "mm: step 3"),
        ("new", "mm: of its own"),
    }
    shutil.rmtree(repo / ".git")
    with pytest.raises(InfraError, match="git range-diff failed"):
        measure.correspondence(repo, CommitRange(base, old), CommitRange(base, new))

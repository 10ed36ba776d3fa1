# SPDX-License-Identifier: GPL-2.0-only
"""Nights over a mailing list in which a revision arrives: kernels are built, guests are fakes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.build import pair
from harness.build.pair import Context
from harness.results import manifest as manifests
from harness.studies import verify
from harness.studies.arms import choice
from harness.studies.nightly import config, measure, store
from harness.studies.nightly.config import Config
from harness.studies.result import StudyResult
from harness.util.errors import Exit
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import SWAPIN, Guests

NIGHTLY = """\
series:
  - {series: toy, name: toy}
branches:
  - {name: next, ref: main, bases: [v6.12]}
kernel_git: GIT
backends: [zram]
workloads: [pageio]
pairs: 3
"""


def commit(repo: Path, text: str) -> None:
    """One patch more."""
    file = repo / "mm/page.c"
    file.write_text(file.read_text() + text)
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: more\n\nBecause.")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return inbox.author(tmp_path / "linux", tree.FILES)


@pytest.fixture
def context(tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    registry = tmp_path / "series"
    registry.mkdir()
    base = inbox.git(repo, "rev-parse", "v6.12^{commit}").strip()
    (registry / "toy.yaml").write_text(
        "title: Toy\nrevisions:\n"
        f'  v1: {{message_id: 1-0@mail.example, date: "2026-01-01", base: {base}}}\n'
    )
    monkeypatch.setattr(pair, "_REGISTRY", registry)
    monkeypatch.setattr(measure, "REGISTRY", registry)
    monkeypatch.setattr(choice, "REGISTRY", registry)
    mirror = inbox.archive(tmp_path / "list.git", inbox.mailed(repo, 1))
    made = guests.context(tmp_path, repo)
    return replace(made, mails=replace(made.mails, mirrors=(mirror,)))


@pytest.fixture
def asked(tmp_path: Path, repo: Path, context: Context) -> Config:
    path = tmp_path / "nightly.yaml"
    path.write_text(NIGHTLY.replace("GIT", str(repo)))
    return config.load(path, registry_folder=measure.REGISTRY)


def folders(context: Context) -> list[str]:
    """The results that there are."""
    found = (context.results / "nightly").glob("*/*/manifest.json")
    return sorted(str(path.parent.relative_to(context.results / "nightly")) for path in found)


def test_a_revision_arrives_between_two_nights(
    context: Context, asked: Config, fake: Guests, repo: Path, tmp_path: Path
) -> None:
    head = inbox.git(repo, "rev-parse", "main").strip()[:12]
    first = measure.nightly(asked, context)
    assert (first.status, first.done) == (Exit.OK, 2)
    assert folders(context) == [f"next-{head}-on-v6.12/zram.pageio", "toy-v1-on-auto/zram.pageio"]
    booted = len(fake.ran)

    second = measure.nightly(asked, context)
    assert (second.status, second.done) == (Exit.OK, 0) and "nothing is new" in second.text
    assert len(fake.ran) == booted

    commit(repo, "int costs_500;\n")
    new = inbox.git(repo, "rev-parse", "main").strip()[:12]
    inbox.archive(tmp_path / "list.git", inbox.mailed(repo, 2))
    third = measure.nightly(asked, context)
    assert (third.status, third.done) == (Exit.WORSE, 2)
    lacks = "toy.yaml lists nothing after v1: v2 of 2026-01-02 <2-0@mail.example>."
    assert lacks in " ".join(third.text.split()) and "toy.yaml" not in second.text
    assert {f"next-{new}-on-v6.12/zram.pageio", "toy-v2-on-auto/zram.pageio"} <= {*folders(context)}
    # The boots of the base serve all nights: three pairs of the new kernel, twice.
    assert len(fake.ran) - booted <= 2 * 3 + 2 * 6

    with store.opened(context.results / "nightly" / store.NAME) as history:
        nights, every = history.nights(), history.estimates()
        assert [(one.state, one.status) for one in nights] == [
            ("whole", 0),
            ("whole", 0),
            ("whole", 3),
        ]
        assert [one.revision for one in history.comparisons() if one.subject == "toy"] == [
            "v1",
            "v2",
        ]
    worse = [one for one in every if one.verdict == "worse"]
    assert len(worse) == 2 and {one.night for one in worse} == {3}
    assert worse[0].estimate_pct == pytest.approx(100 * 500 / SWAPIN, abs=0.2)
    assert max(map(len, third.text.splitlines())) <= 72 and third.text.isascii()
    assert "2 of 2" in third.text and re.search(r"^v2 .* worse$", third.text, re.MULTILINE)

    found = verify.verify(third.folder)
    assert found.holds and len(found.parts) == 4 and not found.notes, found.text()
    page = (context.results / "nightly/report/trend.html").read_text()
    assert page.count("<svg") == 2 and "<script" not in page and "v2" in page
    assert len(list((context.results / "nightly/report/plots").glob("*.png"))) == 2
    junit = ElementTree.parse(context.results / "nightly/report/junit.xml").getroot()
    assert (junit.get("failures"), junit.get("errors"), junit.get("tests")) == ("2", "0", "2")


def test_other_settings_in_a_folder_are_refused_with_a_way_out(
    context: Context, asked: Config, fake: Guests
) -> None:
    assert measure.nightly(asked, context).done == 2
    booted, text = len(fake.ran), asked.path.read_text()

    def night(workload: str) -> StudyResult:
        asked.path.write_text(text.replace("[pageio]", f"[pageio: {workload}]"))
        return measure.nightly(config.load(asked.path, registry_folder=measure.REGISTRY), context)

    second = night("{size: 8M}")
    said = " ".join(second.text.split())
    assert second.status == Exit.USER and len(fake.ran) == booted
    assert "size 32M before, 8M now" in said and "NAME=" not in said
    assert "Give that workload or back-end another 'name' in" in said
    third = night("{size: 8M, name: small}")
    assert (third.status, third.done) == (Exit.OK, 2) and len(fake.ran) > booted
    assert "toy-v1-on-auto/zram.small" in folders(context)


def test_a_night_measures_each_arm_beside_the_same_base(
    context: Context, fake: Guests, repo: Path, tmp_path: Path
) -> None:
    path = tmp_path / "nightly.yaml"
    arms = "arms: {patch: , plain: {}, swap: {options: [SWAP=y]}}\n"
    path.write_text(NIGHTLY.replace("GIT", str(repo)) + arms)
    head = inbox.git(repo, "rev-parse", "main").strip()[:12]
    night = measure.nightly(config.load(path, registry_folder=measure.REGISTRY), context)
    assert (night.status, night.done) == (Exit.OK, 6)
    assert folders(context) == [
        f"{place}/zram.pageio-{arm}"
        for place in (f"next-{head}-on-v6.12", "toy-v1-on-auto")
        for arm in ("patch", "plain", "swap")
    ]
    assert len(fake.ran) == 2 * 3 + 6 * 3, "the base and its control once, the rest for each arm"
    root = context.results / "nightly" / "toy-v1-on-auto"
    options = {
        arm: manifests.load(root / f"zram.pageio-{arm}").config_diff for arm in ("plain", "swap")
    }
    assert not options["plain"] and options["swap"][0].symbol == "CONFIG_SWAP"
    assert verify.verify(night.folder).holds
    heads = [line for line in night.text.splitlines() if line.startswith("toy on auto: ")]
    assert [line.split()[3] for line in heads] == [
        f"zram.pageio-{arm}" for arm in ("patch", "plain", "swap")
    ], "each arm is a line of its own"
    booted = len(fake.ran)
    assert measure.nightly(config.load(path, registry_folder=measure.REGISTRY), context).done == 0
    assert len(fake.ran) == booted


def test_what_does_not_build_or_boot_is_a_result(
    context: Context, asked: Config, fake: Guests, repo: Path, tmp_path: Path
) -> None:
    commit(repo, "int broken(\n")
    inbox.archive(tmp_path / "list.git", inbox.mailed(repo, 2))
    asked = replace(asked, branches=())
    done = measure.nightly(asked, context)
    assert done.status is Exit.KERNEL
    assert "KERNEL: toy-v2-on-auto: " in done.text and "does not compile" in " ".join(
        done.text.split()
    )
    assert folders(context) == ["toy-v1-on-auto/zram.pageio"], "the other revision is measured"
    again = measure.nightly(asked, context)
    assert again.done == 0, "the same patches fail the same way"
    inbox.git(repo, "reset", "-q", "--hard", "HEAD~1")
    commit(repo, "int panics;\n")
    inbox.archive(tmp_path / "list.git", inbox.mailed(repo, 3))
    third = measure.nightly(asked, context)
    assert third.status is Exit.KERNEL and "PANIC: zram.pageio 00-patch" in third.text
    junit = (context.results / "nightly/report/junit.xml").read_text()
    assert "panic: Kernel panic" in junit


def test_a_list_that_cannot_be_asked_does_not_stop_the_night(
    context: Context, asked: Config, fake: Guests, tmp_path: Path
) -> None:
    branch = replace(asked.branches[0], git=str(tmp_path / "gone"))
    done = measure.nightly(replace(asked, branches=(branch,)), context)
    assert done.status is Exit.USER and done.done == 1
    assert "USER: next: " in done.text and "toy-v1-on-auto" in done.text
    context = replace(context, mails=replace(context.mails, mirrors=(tmp_path / "nowhere",)))
    done = measure.nightly(replace(asked, branches=()), context)
    assert done.status is Exit.USER and "which is not a folder" in " ".join(done.text.split())
    assert done.done == 0, "what the registry has is known all the same, and was measured"

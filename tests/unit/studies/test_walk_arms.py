# SPDX-License-Identifier: GPL-2.0-only
"""A walk of several arms: each patch with its option off and on, in one report."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from harness.build.pair import Context
from harness.cli import main as cli
from harness.cli import running
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.results import checksums, listing
from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.studies import bundle, overview, repeat, verify
from harness.studies.reply import draft
from harness.studies.result import StudyResult
from harness.studies.walk import arms
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import SWAPIN, Guests
from tests.fakes.results import contents

OPTION = 'config COSTS_500\n\tbool "Costs 500 instructions a page"\n\tdepends on SWAP\n'


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guests:
    made = guests.pretend(monkeypatch, tmp_path)
    (tmp_path / "toy.config").write_text("CONFIG_BLOCK=y # toy\nCONFIG_SWAP=y # toy\n")
    return made


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Patch 1 changes nothing, 2 brings an option that is off and costs 500, 3 costs 1000."""
    repo = guests.series(tmp_path / "linux", ["int plain;"])
    tree.write(repo, {"Kconfig": tree.KCONFIG + OPTION})
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: option\n\nBecause.")
    page = repo / "mm/page.c"
    page.write_text(f"{page.read_text()}int costs_1000;\n")
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: weight\n\nBecause.")
    return guests.context(tmp_path, repo)


def experiment(**more: Any) -> Experiment:
    given = {"base": "v6.12", "patch": "v6.12..main", "backends": "zram", "workloads": "pageio"}
    return spec.load(None, {**given, "arms": "off,on", "name": "w", **more})


def walk(context: Context, at: str = "", **more: Any) -> StudyResult:
    return running.STUDIES[ResultKind.WALK](experiment(at=at or None, **more), context)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "report/walk.csv").read_text().splitlines()))


def test_each_patch_is_measured_with_every_arm(context: Context, fake: Guests) -> None:
    done = walk(context)
    folder = done.folder
    assert kind_of(folder) is ResultKind.WALK and done.status is Exit.WORSE
    own = {(row["arm"], row["number"]): float(row["own_pct"]) for row in rows(folder)}
    assert own == {
        ("off", "1"): pytest.approx(0, abs=0.1),
        ("off", "2"): pytest.approx(0, abs=0.1),
        ("off", "3"): pytest.approx(100 * 1000 / SWAPIN, abs=0.1),
        ("on", "1"): pytest.approx(0, abs=0.1),
        ("on", "2"): pytest.approx(100 * 500 / SWAPIN, abs=0.1),
        ("on", "3"): pytest.approx(100 * 1000 / (SWAPIN + 500), abs=0.1),
    }
    assert {row["level_pct"] for row in rows(folder)} == {"97.5"}
    # The base's boots serve all arms and patches.
    assert len(fake.ran) == 3 * (2 + 2 * 3)
    text = (folder / "report/walk.txt").read_text()
    assert text.isascii() and max(map(len, text.splitlines())) <= 72
    said = " ".join(text.split())
    assert "97.5 % interval" in text and "(Bonferroni)" in said
    assert "on: 3 of 3 patches were tried: each one builds, and all boots finished. " in said
    assert "At 1 the tree does not have COSTS_500 yet: nothing is switched." in said
    assert "on: Changes by a patch on its own: worse: 2, equivalent: 1." in said
    assert "off: v6.12..main, COSTS_500=n" in said
    (shown,) = arms.metrics(arms.analyse(folder))
    assert [row[0] for row in shown.rows] == ["off", "1", "2", "3", "on", "1", "2", "3"]
    plots = sorted(path.name for path in (folder / "report/plots").glob("*.svg"))
    assert plots == ["waterfall-off-zram.pageio.svg", "waterfall-on-zram.pageio.svg"]
    page = (folder / "report/walk.html").read_text()
    assert "on, swapin of zram pageio, patch by patch" in page
    assert overview.verdicts(listing.entries(context.results)[0]) == "worse 3, equivalent 3"


def test_each_arm_is_a_walk_and_all_is_verified(context: Context, fake: Guests) -> None:
    folder = walk(context).folder
    assert cli.main(["verify", str(folder)]) == 0
    found = verify.verify(folder)
    assert [one.folder.name for one in found.parts] == ["off", "on"]
    assert [len(one.parts) for one in found.parts] == [3, 3]
    for name in ("off", "on"):
        own = folder / name
        assert kind_of(own) is ResultKind.WALK
        assert "95 % interval" in (own / "report/walk.txt").read_text()
        # What repeats an arm repeats them all.
        last = (own / "report/walk.txt").read_text().splitlines()[-1]
        assert last.startswith("To repeat it: make repeat RESULT=w.tar.zst")
    listed = checksums.read(folder)
    assert listed and {"walk.json", "spec.yaml", "report/walk.txt"} <= set(listed.lines)
    assert not [path for path in listed.lines if path.startswith(("off/", "on/"))]
    # One arm's report is made again, and all of it still holds.
    assert cli.main(["report", str(folder / "on")]) == 0
    assert verify.verify(folder).holds
    with pytest.raises(UserError, match=r"walk of the arms off, on: .*w/(off, .*w/on|on, .*w/off)"):
        draft.make(folder)
    table = folder / "report" / "walk.csv"
    table.write_text(table.read_text().replace(",worse,", ",better,"))
    assert cli.main(["verify", str(folder)]) == Exit.INFRA


def test_what_was_done_is_kept_and_more_is_added(context: Context, fake: Guests) -> None:
    first = walk(context, at="2")
    assert {row["number"] for row in rows(first.folder)} == {"2"}
    ran = len(fake.ran)
    assert ran == 3 * (2 + 2)
    whole = walk(context)
    assert whole.folder == first.folder and len(fake.ran) == ran + 3 * 4
    before = contents(whole.folder)
    assert walk(context).text == whole.text and contents(whole.folder) == before
    more = walk(context, backends="zram zswap")
    assert {row["cell"] for row in rows(more.folder)} == {"zram.pageio", "zswap.pageio"}
    assert verify.verify(more.folder).holds


def test_the_folder_of_another_walk_is_refused(context: Context, fake: Guests) -> None:
    walk(context, at="1", name="one", arms="on")
    walk(context, at="1", name="two")
    before = contents(context.results)
    with pytest.raises(UserError, match="holds a walk of one series"):
        walk(context, name="one")
    with pytest.raises(UserError, match="holds a walk of several arms"):
        walk(context, name="two", arms="on")
    with pytest.raises(UserError, match="holds a walk of the arms off, on"):
        walk(context, name="two", arms="on,off,patch")
    assert contents(context.results) == before


def test_arms_of_other_patches_are_refused(context: Context, fake: Guests) -> None:
    other = {"one": {"patch": "v6.12..main~1"}, "all": {}}
    with pytest.raises(UserError, match="the arms one and all have other patches"):
        walk(context, arms=other)
    with pytest.raises(UserError, match="arm layout: the patches of a series are looked at"):
        walk(context, arms="layout,patch")
    assert not fake.ran and not (context.results / "w").exists()


def test_a_patch_that_does_not_build_is_named_with_its_arm(context: Context, fake: Guests) -> None:
    lost = {"off": {}, "lost": {"options": ["SWAP=n", "COSTS_500=y"]}}
    done = walk(context, arms=lost)
    assert done.status is Exit.KERNEL
    found = {(row["arm"], row["number"]) for row in rows(done.folder) if row["failure"]}
    assert found == {("lost", "2"), ("lost", "3")}
    assert "lost: Patch 2 NOT BUILT: " in " ".join(done.screen.split())
    assert verify.verify(done.folder).holds


def test_it_is_bundled_and_repeated(context: Context, fake: Guests, tmp_path: Path) -> None:
    folder = walk(context).folder
    packed = bundle.make([folder], tmp_path / "w.tar.zst").path
    assert cli.main(["verify", str(packed)]) == 0
    with repeat.opened(packed) as there:
        one = repeat.experiment(there, experiment().host, name="again")
        assert list(one.kernels.arms or {}) == ["off", "on"]
        done = running.STUDIES[ResultKind.WALK](one, context)
    assert done.folder.name == "again"
    assert [row["own_pct"] for row in rows(done.folder)] == [row["own_pct"] for row in rows(folder)]


def test_profiles_and_names_of_arms(
    context: Context, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests.name_functions(monkeypatch)
    folder = walk(context, profile="yes", pairs="1").folder
    table = list(csv.DictReader((folder / "report/walk-functions.csv").read_text().splitlines()))
    found = [(row["arm"], row["number"], float(row["change"])) for row in table]
    assert found == [("off", "3", 1000), ("on", "2", 500), ("on", "3", 1000)]
    assert len([one for one in fake.ran if one.endswith("base.profile")]) == 1

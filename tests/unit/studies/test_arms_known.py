# SPDX-License-Identifier: GPL-2.0-only
"""Arms that any series has: itself, another compiler, the base with another layout."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.build import kbuild
from harness.build.pair import Context
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.results import manifest as manifests
from harness.run import reuse
from harness.studies import bundle, compare, diff, kinds, needs, repeat, verify
from harness.studies.arms import analysis, choice
from harness.studies.arms import measure as arms
from harness.studies.reply import draft
from harness.util.errors import Exit, UserError
from harness.vm import instrument
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import Guests

CLANG = "Debian clang version 19.1.7"
ALIGNED = 'config DEBUG_FORCE_FUNCTION_ALIGN_64B\n\tbool "Aligned"\n'


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guests:
    """With a clang that is gcc, and whose kernels cost 2000 more."""
    monkeypatch.setattr(kbuild, "_caching", lambda: False)
    costs = tmp_path / "costs.h"
    costs.write_text("int costs_2000;\n")
    place = tmp_path / "bin" / "clang"
    place.parent.mkdir()
    place.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--version*) echo "{CLANG}"; exit;; esac\n'
        f'case "$*" in *mm/swap.c*) exec gcc -include {costs} "$@";; esac\n'
        'exec gcc "$@"\n'
    )
    place.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place.parent}:{os.environ['PATH']}")
    return guests.pretend(monkeypatch, tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A series that costs 1000 instructions."""
    repo = tree.write(tmp_path / "linux", {"Kconfig": tree.KCONFIG + ALIGNED})
    inbox.git(repo, "init", "--quiet", "--initial-branch=main")
    for name, text in (("base", ""), ("series", "int costs_1000;\n")):
        (repo / "mm/page.c").write_text(tree.FILES["mm/page.c"] + text)
        inbox.git(repo, "add", "-A")
        inbox.git(repo, "commit", "-q", "-m", f"mm: {name}\n\nBecause.")
        if name == "base":
            inbox.git(repo, "tag", "v6.12")
    return guests.context(tmp_path, repo)


def experiment(**more: Any) -> Experiment:
    given = {"base": "v6.12", "patch": "v6.12..main", "backends": "zram", "workloads": "pageio"}
    return spec.load(None, {**given, **more})


def effects(folder: Path, reference: str = "") -> dict[str, float]:
    (line,) = analysis.analyse(folder, reference).primary
    found = {one.arm: one.verdict.change.estimate_pct for one in line.effects}
    return {name: value for name, value in found.items() if value is not None}


def about(value: float) -> Any:
    return pytest.approx(value, abs=0.1)


def test_an_arm_of_another_compiler_is_compared_with_the_base_by_that_one(
    context: Context, fake: Guests
) -> None:
    done = arms.arms(experiment(arms="gcc,clang"), context)
    folder = done.folder
    assert len(fake.ran) == 3 * 6 and done.status is Exit.WORSE
    assert effects(folder) == {
        "control": about(0),
        "base-clang": about(20),
        "control-clang": about(0),
        "gcc": about(10),
        "clang": about(100 * 1000 / 12_000),
    }
    for name, compiler in (("gcc", kbuild.compiler_version()), ("clang", CLANG)):
        facts = manifests.load(folder / name)
        assert {facts.arm(arm).compiler for arm in ("base", "patch")} == {compiler}
        assert compiler in " ".join((folder / name / "report/report.txt").read_text().split())
    assert not reuse.read(folder / "clang") and not reuse.read(folder / "gcc")
    text = (folder / "report/arms.txt").read_text()
    said = " ".join(text.split())
    assert text.startswith("worse: 2, better: 0, equivalent: 0, undecided: 0.\n"), "no base counts"
    assert f"base-clang: git:v6.12, version 6.12.3-harness, compiled by {CLANG}" in said
    assert "clang: v6.12..main, on base-clang" in said
    rows = list(csv.DictReader((folder / "report/arms.csv").read_text().splitlines()))
    primary = {row["arm"]: row for row in rows if row["role"] == "primary"}
    assert [primary[name]["reference"] for name in ("gcc", "clang")] == ["base", "base-clang"]
    assert {primary[name]["verdict"] for name in ("control", "control-clang")} == {"A/A"}
    checked = verify.verify(folder)
    assert checked.holds and f"note: base-clang and clang: compiled by {CLANG}" in checked.text()
    again = arms.arms(experiment(arms="gcc,clang"), context)
    assert again.done == 0


def test_any_two_kernels_of_two_compilers_are_compared(context: Context, fake: Guests) -> None:
    folder = arms.arms(experiment(arms="gcc,clang"), context).folder
    assert effects(folder, "gcc")["clang"] == about(100 * 2000 / 11_000)
    by_clang = effects(folder, "base-clang")
    assert by_clang["base"] == about(100 * (10 / 12 - 1)) and by_clang["clang"] == about(100 / 12)
    with pytest.raises(UserError, match="'base-gcc', which is no arm; did you mean 'base-clang'"):
        analysis.analyse(folder, "base-gcc")


def test_a_compiler_alone_is_that_of_the_base(context: Context, fake: Guests) -> None:
    folder = arms.arms(experiment(arms="clang"), context).folder
    assert effects(folder) == {"control": about(0), "clang": about(100 / 12)}
    assert len(fake.ran) == 9


def test_a_compiler_is_a_setting_of_both_kernels(context: Context, fake: Guests) -> None:
    by_gcc = compare.compare(experiment(), context).folder
    by_clang = compare.compare(experiment(cc="clang"), context).folder
    assert by_gcc != by_clang and len(fake.ran) == 18 and not reuse.read(by_clang)
    found = diff.diff(by_gcc, by_clang)
    said = " ".join(diff.render(found).split())
    assert f"1 patch, on git:v6.12, compiled by {CLANG}" in said
    assert "They differ in the base kernel" in said and found.rows[0].across is None


def test_a_missing_compiler_is_told_before_anything_is_built(
    context: Context, fake: Guests
) -> None:
    with pytest.raises(UserError, match=r"CC=clang-99 is not installed: apt-get install clang-99"):
        arms.arms(experiment(arms="gcc,clang-99"), context)
    assert not fake.ran and not context.results.exists()


def test_a_layout_is_the_base_with_its_functions_elsewhere(context: Context, fake: Guests) -> None:
    folder = arms.arms(experiment(arms="control,patch,layout"), context).folder
    assert effects(folder) == {"control": about(0), "patch": about(10), "layout": about(0)}
    found = manifests.load(folder / "layout")
    assert found.arm("patch").tree == found.arm("base").tree
    (changed,) = found.config_diff
    assert (changed.symbol, changed.patch) == ("CONFIG_DEBUG_FORCE_FUNCTION_ALIGN_64B", "y")
    assert found.series.name == "unknown" and manifests.load(folder / "patch").series.patches
    assert len(fake.ran) == 12


def test_a_profile_of_arms_has_boots_for_misses(
    context: Context, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "plugins", lambda *_: {})
    monkeypatch.setattr(compare, "_places", lambda *_: ())
    arms.arms(experiment(arms="layout,clang", profile="yes"), context)
    found = Counter((one.instrument, one.arm) for one in fake.asked if one.instrument)
    kinds_of = (instrument.PROFILE, instrument.CACHES, instrument.LOCKS)
    assert found == {(kind, arm): 2 for kind in kinds_of for arm in ("base", "patch")}


def test_a_layout_of_a_base_that_the_series_names(context: Context, fake: Guests) -> None:
    repo = context.kernel_git
    found = choice.of(experiment(base="auto", patch=f"{repo}:v6.12..", arms="layout"), context)
    kernels = found["layout"].kernels
    commit = inbox.git(Path(str(repo)), "rev-parse", "v6.12^{commit}").strip()
    assert kernels.head == f"git:{commit}" and kernels.patch is None


def test_arms_of_two_compilers_are_repeated_from_what_they_kept(
    context: Context, fake: Guests, tmp_path: Path
) -> None:
    study = arms.arms(experiment(arms="gcc,clang,layout"), context).folder
    packed = bundle.make([study], tmp_path / "mine.tar.zst").path
    with repeat.opened(packed) as folder:
        one = repeat.experiment(folder, experiment().host, name="again")
        done = arms.arms(one, context)
    assert effects(done.folder) == effects(study)
    kept = [json.loads((at / "arms.json").read_text())["arms"] for at in (study, done.folder)]
    assert [[one["base"] for one in each] for each in kept] == [["base", "base-clang", "base"]] * 2
    assert kept[0][1]["compiler"] == CLANG
    assert kept[0] == kept[1]


def test_the_names_of_arms_are_told(context: Context) -> None:
    with pytest.raises(
        UserError, match=r"the arm 'xyz' of v6.12..main; there are off, on, patch, gcc, clang, layo"
    ):
        choice.of(experiment(arms="xyz"), context)
    with pytest.raises(UserError, match=r"'layoutt' .*did you mean 'layout'"):
        choice.of(experiment(arms="gcc,layoutt"), context)
    with pytest.raises(UserError, match="names no arm beside 'control', which every comparison"):
        experiment(arms="control")
    with pytest.raises(UserError, match="ARMS names 'control', which AA=no leaves out"):
        experiment(arms="control,layout", aa="no")
    with pytest.raises(UserError, match="'base-clang' is a boot of every pair"):
        experiment(arms={"base-clang": {"options": ["A=y"]}})
    with pytest.raises(UserError, match=r"arms: x: 'cc' is 'icc'; it must be gcc or clang"):
        choice.of(experiment(arms={"x": {"cc": "icc"}}), context)


# Other readers


def test_a_study_is_read_in_every_format(context: Context, fake: Guests) -> None:
    folder = arms.arms(experiment(arms="patch,layout,clang"), context).folder
    suite = ElementTree.fromstring(kinds.render(folder, "junit"))
    cases = {(one.get("classname"), one.get("name")): list(one) for one in suite.iter("testcase")}
    assert {name: one[0].tag for (name, _), one in cases.items()} == {
        "patch.zram.pageio": "failure",
        "layout.zram.pageio": "system-out",
        "clang.zram.pageio": "failure",
    }
    assert "against base-clang, n = 3" in str(
        cases["clang.zram.pageio", "swapin"][0].get("message")
    )
    data = json.loads(kinds.render(folder, "json"))
    assert [one["name"] for one in data["arms"]] == ["patch", "layout", "clang"]
    assert data["compilers"]["base-clang"] == CLANG
    first = data["metrics"][0]["effects"]
    assert {one["arm"]: one["verdict"] for one in first} == {
        "control": "A/A", "base-clang": "", "control-clang": "A/A",
        "patch": "worse", "layout": "equivalent", "clang": "worse",
    }  # fmt: skip
    assert kinds.render(folder, "csv") == (folder / "report/arms.csv").read_text()
    assert kinds.render(folder, "text") == (folder / "report/arms.txt").read_text()
    said = kinds.render(folder, "markdown")
    assert "| layout |" in said and said.startswith(
        "# v6.12-vs-v6.12..main-arms-patch-layout-clang"
    )
    with pytest.raises(UserError, match=rf"the newest results there: .*{folder.name}/"):
        diff.diff(folder, folder / "patch")
    text = draft.make(folder / "clang")
    assert "git:v6.12" in text or "v6.12" in text


def test_a_failed_arm_is_an_error_of_junit(context: Context, fake: Guests) -> None:
    broken = {"patch": None, "lost": {"options": ["BLOCK=n", "SWAP=y"]}}
    folder = arms.arms(experiment(arms=broken), context).folder
    suite = ElementTree.fromstring(kinds.render(folder, "junit"))
    assert (suite.get("errors"), suite.get("failures")) == ("1", "1")
    assert [
        one.get("classname") for one in suite.iter("testcase") if one.find("error") is not None
    ] == ["lost"]

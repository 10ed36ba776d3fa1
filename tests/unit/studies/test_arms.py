# SPDX-License-Identifier: GPL-2.0-only
"""Several kernels on one base in one run: the plan, each arm's result, the report of all."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from harness.build.pair import Context
from harness.cli import main as cli
from harness.cli import running
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.results import frames, listing
from harness.results import manifest as manifests
from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.run import reuse
from harness.stats.verdict import Kind
from harness.studies import bundle, compare, diff, kinds, overview, repeat, verify
from harness.studies.arms import analysis, choice
from harness.studies.arms import measure as arms
from harness.studies.walk import measure as walk
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import SWAPIN, Guests
from tests.fakes.results import contents

PROOF = {"file": "/proc/vmstat", "key": "x", "above": 0, "when": "done"}
OPTION = 'config COSTS_500\n\tbool "Costs 500 instructions a page"\n\tdepends on SWAP\n'


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guests:
    made = guests.pretend(monkeypatch, tmp_path)
    (tmp_path / "toy.config").write_text("CONFIG_BLOCK=y # toy\nCONFIG_SWAP=y # toy\n")
    return made


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Tag "one" costs 1000, "main" 500 more, "option" has an option that is off and costs 500."""
    repo = guests.series(tmp_path / "linux", ["int costs_1000;", "int costs_500;"])
    inbox.git(repo, "tag", "one", "main~1")
    inbox.git(repo, "checkout", "-q", "-b", "option", "v6.12")
    tree.write(repo, {"Kconfig": tree.KCONFIG + OPTION, "mm/page.c": "int page;\n"})
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: option\n\nBecause.")
    return guests.context(tmp_path, repo)


def experiment(**more: Any) -> Experiment:
    given = {"base": "v6.12", "patch": "v6.12..option", "backends": "zram", "workloads": "pageio"}
    return spec.load(None, {**given, **more})


TWO = {"one": {"patch": "v6.12..one"}, "both": {"patch": "v6.12..main"}}


def estimates(folder: Path) -> dict[str, float]:
    rows = csv.DictReader((folder / "report/arms.csv").read_text().splitlines())
    return {
        row["arm"]: float(row["change_pct"])
        for row in rows
        if row["role"] == analysis.PRIMARY and row["arm"] != "control"
    }


def test_every_block_has_every_arm_once_and_each_arm_is_an_ordinary_result(
    context: Context, fake: Guests
) -> None:
    done = arms.arms(experiment(arms=TWO), context)
    folder = done.folder
    assert kind_of(folder) is ResultKind.ARMS and done.status is Exit.WORSE
    assert len(fake.ran) == 3 * 4 and done.done == 12
    blocks: dict[int, list[tuple[str, int, int]]] = {}
    for one in fake.asked:
        name = one.home if one.arm == "patch" else one.arm
        blocks.setdefault(one.pair, []).append((name, one.position, one.seed))
    for found in blocks.values():
        assert {name for name, _, _ in found} == {"base", "control", "one", "both"}
        assert sorted(position for _, position, _ in found) == [0, 1, 2, 3]
        assert len({seed for _, _, seed in found}) == 1, "one guest seed for a block"
    assert len({tuple(sorted(one, key=lambda row: row[1])) for one in blocks.values()}) > 1
    for name in TWO:
        own = folder / name
        assert kind_of(own) is ResultKind.COMPARE and verify.verify(own).holds
        boots = frames.load(own).boots
        assert len(boots) == 9 and boots["usable"].all()
        assert set(boots["arm"]) == {"base", "patch", "control"}
    assert len(reuse.read(folder / "both")) == 6 and not reuse.read(folder / "one")
    assert estimates(folder) == {
        "one": pytest.approx(10, abs=0.1),
        "both": pytest.approx(15, abs=0.1),
    }
    found_arms = diff.diff(folder / "one", folder / "both").rows[0].across
    assert found_arms is not None and found_arms.kind is Kind.WORSE
    text = (folder / "report/arms.txt").read_text()
    assert text.isascii() and max(map(len, text.splitlines())) <= 72
    assert text.startswith("worse: 2, better: 0, equivalent: 0, undecided: 0.\n")
    assert "97.5 % interval" in text and "Bonferroni" in text
    assert verify.verify(folder).holds
    before = contents(folder)
    again = arms.arms(experiment(arms=TWO), context)
    assert again.done == 0 and contents(folder) == before


def test_a_comparison_of_two_is_planned_as_it_was(context: Context, fake: Guests) -> None:
    """The guest seeds of a study are those of a comparison, so results of both are neighbours."""
    alone = compare.compare(experiment(patch="v6.12..one"), context).folder
    study = arms.arms(experiment(arms=TWO), context).folder
    found = diff.diff(alone, study / "both").rows[0].across
    assert found is not None and found.change.n == 3
    seeds = [
        [json.loads(path.read_text())["seed"] for path in sorted(root.glob("boots/*/*/boot.json"))]
        for root in (alone, study / "one")
    ]
    assert seeds[0] == seeds[1]


def test_the_intervals_of_several_arms_are_wider_than_those_of_one(
    context: Context, fake: Guests
) -> None:
    folder = arms.arms(experiment(arms=TWO), context).folder
    study = analysis.analyse(folder)
    own = next(one for one in study.primary[0].effects if one.arm == "one").verdict.change
    alone = compare.report(folder / "one")
    assert alone.kind is ResultKind.COMPARE
    rows = csv.DictReader((folder / "one/report/estimates.csv").read_text().splitlines())
    row = next(one for one in rows if one["role"] == "primary")
    assert own.estimate_pct == pytest.approx(float(row["change_pct"]))
    assert own.low_pct is not None and own.low_pct < float(row["low_pct"])
    assert study.level == pytest.approx(97.5)


def test_any_two_arms_are_compared_pair_by_pair(
    context: Context, fake: Guests, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = arms.arms(experiment(arms=TWO), context).folder
    study = analysis.analyse(folder, "one")
    effects = {one.arm: one.verdict for one in study.primary[0].effects}
    assert set(effects) == {"base", "both"}
    assert effects["both"].change.estimate_pct == pytest.approx(
        100 * 500 / (SWAPIN + 1000), abs=0.1
    )
    assert effects["base"].kind is Kind.BETTER and effects["both"].kind is Kind.WORSE
    before = contents(folder)
    where = f"--results={context.results}"
    assert cli.main(["report", folder.name, "--reference=one", where]) == 0
    assert "Against one: primary metrics" in capsys.readouterr().out
    assert contents(folder) == before
    with pytest.raises(UserError, match="'two', which is no arm"):
        analysis.analyse(folder, "two")
    with pytest.raises(UserError, match="has no arms"):
        kinds.against(folder / "one", "one")


# What an arm is


def test_an_option_that_the_series_leaves_off_has_two_arms(context: Context, fake: Guests) -> None:
    done = arms.arms(experiment(arms="off,on"), context)
    found = estimates(done.folder)
    assert found == {"off": pytest.approx(0, abs=0.06), "on": pytest.approx(5, abs=0.1)}
    (change,) = (
        one
        for one in manifests.load(done.folder / "on").config_diff
        if one.reason == "only one tree has it"
    )
    assert (change.symbol, change.patch) == ("CONFIG_COSTS_500", "y")
    assert "off, as the series leaves it" not in (done.folder / "off/report/report.txt").read_text()
    plain = compare.compare(experiment(), context).folder
    said = " ".join((plain / "report/report.txt").read_text().split())
    assert (
        "Measured with CONFIG_COSTS_500 off, as the series leaves it: ARMS=off,on measures both."
    ) in said
    assert "CONFIG_COSTS_500 off" in (plain / "report/report.html").read_text()


def test_what_no_series_declares_is_refused(context: Context, fake: Guests) -> None:
    with pytest.raises(UserError, match=r"one brings no option that is off by default"):
        arms.arms(experiment(patch="v6.12..one", arms="off,on"), context)
    with pytest.raises(UserError, match=r"nobody declares the arm 'of' .*did you mean 'off'"):
        arms.arms(experiment(arms="of,on"), context)
    with pytest.raises(UserError, match="nobody declares the arm 'v9' of calibration-option"):
        arms.arms(experiment(patch="calibration-option", arms="v9"), context)
    with pytest.raises(UserError, match="REFERENCE is 'onn', which is no arm; did you mean 'on'"):
        arms.arms(experiment(arms="off,on", reference="onn"), context)
    with pytest.raises(UserError, match="give ARMS=, too"):
        running.STUDIES[ResultKind.COMPARE](experiment(reference="on"), context)
    assert not fake.ran and not context.results.exists()


def test_the_registry_declares_arms_and_revisions(context: Context) -> None:
    one = choice.of(experiment(patch="calibration-option", arms="off,on"), context)
    assert one["on"].kernels.head_config == ("SWAP_CALIBRATION=y",)
    assert one["on"].kernels.head_guest and one["off"].kernels.head_guest is None
    revised = choice.of(experiment(patch="vswap", arms="v3,v6", head_config="A=y"), context)
    assert [each.kernels.patch for each in revised.values()] == ["vswap-v3", "vswap-v6"]
    assert revised["v6"].kernels.head_config == ("A=y",)


def test_a_bisection_takes_one_arm(context: Context, fake: Guests) -> None:
    asked = experiment(arms="off,on")
    asked_too = asked.changed(metric="swapin")
    said = "make bisect measures one arm, and ARMS names off, on: name one of them"
    with pytest.raises(UserError, match=said):
        running.STUDIES[ResultKind.BISECT](asked_too, context)
    one = choice.single(experiment(arms="on"), context, "walk")
    done = walk.walk(one, walk.WalkOptions(), context)
    assert done.status is Exit.WORSE
    with pytest.raises(UserError, match="make calibrate takes no ARMS="):
        running.STUDIES[ResultKind.CALIBRATE](asked, context)


def test_a_switch_is_part_of_what_a_result_is(context: Context, fake: Guests) -> None:
    asked = {"sysctls": {"vm.swap_feature": 1}}
    one = compare.compare(experiment(patch="v6.12..one", head_guest=asked), context).folder
    assert {bool(each.switch.sysctls) for each in fake.asked if each.arm == "patch"} == {True}
    assert {bool(each.switch.sysctls) for each in fake.asked if each.arm != "patch"} == {False}
    two = compare.compare(experiment(patch="v6.12..one"), context).folder
    assert one != two and len(reuse.read(two)) == 6 and len(fake.ran) == 12
    assert manifests.load(one).arm("patch").switch == asked
    said = " ".join((one / "report/report.txt").read_text().split())
    assert "in the guest: vm.swap_feature=1" in said
    across = diff.diff(two, one).rows[0].across
    assert across is not None and across.change.n == 3, "they are neighbours on one base"
    with pytest.raises(UserError, match="the patched kernel's switch"):
        compare.compare(experiment(patch="v6.12..one", name=two.name), context)
        compare.compare(experiment(patch="v6.12..one", head_guest=asked, name=two.name), context)


# Failed arms


def test_an_arm_whose_option_does_not_take_has_failed(context: Context, fake: Guests) -> None:
    switched = {"on": {"options": ["COSTS_500=y"]}, "lost": {"options": ["SWAP=n", "COSTS_500=y"]}}
    done = arms.arms(experiment(arms=switched), context)
    assert done.status is Exit.KERNEL and "lost" not in estimates(done.folder)
    text = " ".join((done.folder / "report/arms.txt").read_text().split())
    assert text.startswith("FAILED ARM lost: ") and "CONFIG_COSTS_500=y" in text
    assert estimates(done.folder)["on"] == pytest.approx(5, abs=0.1)
    assert len(fake.ran) == 9 and not (done.folder / "lost").exists()
    assert verify.verify(done.folder).holds
    listing.point(context.results)
    assert "1 arm failed; worse 1" in overview.render(context.results)
    with pytest.raises(UserError, match="depends on SWAP"):
        arms.arms(experiment(arms={"lost": switched["lost"]}), context)


def test_an_arm_without_its_proof_is_no_measurement(context: Context, fake: Guests) -> None:
    switched = {
        "off": {"options": ["COSTS_500=n"]},
        "on": {"options": ["COSTS_500=y"], "proof": PROOF},
    }
    fake.unproven = ("on",)
    done = arms.arms(experiment(arms=switched), context)
    assert done.status is Exit.KERNEL
    text = (done.folder / "report/arms.txt").read_text()
    first = " ".join(text.partition("\n\n")[0].split())
    assert first.startswith("FAILED ARM on: 3 of 3 boots are no measurement; zram.pageio 00-patch:")
    assert "no proof that it ran" in first
    assert set(estimates(done.folder)) == {"off"}
    own = (done.folder / "on/report/report.txt").read_text()
    assert own.startswith("3 of 9 boots failed: switch-unproven in zram.pageio, 3 patch.")
    with pytest.raises(UserError, match="REFERENCE is 'on', and that arm failed"):
        analysis.analyse(done.folder, "on")


def test_a_series_that_does_not_apply_ends_the_run_with_its_own_words(
    context: Context, fake: Guests
) -> None:
    broken = {"one": {"patch": "v6.12..one", "options": ["NONE=y"]}}
    with pytest.raises(UserError, match="has no option CONFIG_NONE"):
        arms.arms(experiment(arms=broken), context)
    assert not fake.ran and not context.results.exists()


# Later


def test_more_pairs_are_added_to_all_arms(context: Context, fake: Guests) -> None:
    first = arms.arms(experiment(arms=TWO), context)
    more = arms.arms(experiment(arms=TWO, pairs=4), context)
    assert more.folder == first.folder and more.done == 4 and len(fake.ran) == 16
    assert verify.verify(more.folder).holds


def test_a_result_is_repeated_from_what_it_kept(
    context: Context, fake: Guests, tmp_path: Path
) -> None:
    study = arms.arms(experiment(arms=TWO, name="mine"), context).folder
    packed = bundle.make([study], tmp_path / "mine.tar.zst").path
    with repeat.opened(packed) as folder:
        one = repeat.experiment(folder, experiment().host, name="again")
        assert set(one.kernels.arms or {}) == set(TWO)
        done = arms.arms(one, context)
    assert done.folder.name == "again"
    assert estimates(done.folder) == estimates(study)
    assert repeat.same(study, done.folder).startswith("The same trees as in mine")

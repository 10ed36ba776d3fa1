# SPDX-License-Identifier: GPL-2.0-only
"""Comparisons in one folder: names, refusals, shared boots of the base, cells that are added."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.build import image, kbuild
from harness.build.pair import Context
from harness.cli import main as cli
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.report import files, formats
from harness.results import checksums, frames, listing
from harness.results import manifest as manifests
from harness.results.manifest import ResultKind
from harness.run import reuse
from harness.stats.verdict import Kind
from harness.studies import bundle, compare, diff, overview, verify
from harness.studies.bisect import measure as bisect
from harness.studies.calibrate import measure as calibrate
from harness.studies.nightly import config
from harness.studies.nightly import measure as nightly
from harness.studies.overhead import measure as overhead
from harness.studies.overhead.analysis import NoBoot
from harness.studies.overhead.measure import OverheadOptions
from harness.studies.reply import draft
from harness.studies.walk import measure as walk
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox
from tests.fakes.figures import SWAPIN, Guests
from tests.fakes.results import contents


def experiment(patch: str | None = "v6.12..one", **more: Any) -> Experiment:
    given = {"base": "v6.12", "patch": patch, "backends": "zram", "workloads": "pageio"}
    return spec.load(None, {**given, **more})


def test_a_base_that_cannot_be_had_is_told_before_anything_is_built(
    context: Context, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(image, "build_tools", lambda **_: built.append("tools"))
    with pytest.raises(UserError, match=r"has no tag or branch v6\.19"):
        compare.compare(experiment(head="v6.19", patch=None), context)
    assert not built and not context.results.exists()


def test_a_changed_patch_is_another_result_and_shares_the_boots_of_the_base(
    context: Context, fake: Guests
) -> None:
    repo = Path(str(context.kernel_git))
    inbox.git(repo, "branch", "mine", "one")
    first = compare.compare(experiment("v6.12..mine"), context).folder
    assert len(fake.ran) == 9
    inbox.git(repo, "branch", "-f", "mine", "main")
    second = compare.compare(experiment("v6.12..mine"), context).folder
    assert first != second and {first.parent, second.parent} == {context.results}
    assert [one.name[:20] for one in (first, second)] == ["v6.12-vs-v6.12..mine"] * 2
    assert len(fake.ran) == 9 + 3, "only the patched kernel is booted again"
    shared = reuse.read(second)
    assert len(shared) == 6 and set(shared.values()) == {f"../{first.name}"}
    assert manifests.load(second).shared_boots == {f"../{first.name}": 6}
    said = " ".join((second / "report/report.txt").read_text().split())
    assert f"Boots of the base shared: 6 with ../{first.name}" in said
    # Each is whole by itself, even when the other is gone.
    assert verify.verify(first).holds and verify.verify(second).holds
    listing.remove(listing.own(first.name, context.results))
    assert verify.verify(second).holds and len(frames.load(second).boots) == 9
    # A third one names the result that ran them.
    third = compare.compare(experiment("v6.12..mine", name="third"), context).folder
    assert set(reuse.read(third).values()) == {f"../{first.name}"}
    assert len(fake.ran) == 15


def test_a_walk_takes_the_boots_of_a_comparison_and_gives_its_own(
    context: Context, fake: Guests
) -> None:
    first = compare.compare(experiment(), context).folder
    done = walk.walk(experiment("v6.12..main"), walk.WalkOptions(), context).folder
    assert len(fake.ran) == 9 + 3 * 2, "no boot of the base"
    assert set(reuse.read(done / "patch-02").values()) == {f"../../{first.name}"}
    listing.remove(listing.own(first.name, context.results))
    second = compare.compare(experiment("v6.12..main"), context).folder
    assert len(fake.ran) == 18 and len(reuse.read(second)) == 6


@pytest.mark.parametrize(
    "other", [{"seed": "2"}, {"memory": "1G"}, {"aa": "no"}, {"preset": "standard"}]
)
def test_other_boots_are_not_shared(context: Context, fake: Guests, other: dict[str, str]) -> None:
    compare.compare(experiment(), context)
    ran = len(fake.ran)
    found = compare.compare(experiment("v6.12..main", **other), context).folder
    assert not reuse.read(found)
    assert len(fake.ran) == ran + (6 if "aa" in other else 9)


def test_a_swap_file_on_the_hosts_disk_is_timed_anew(context: Context, fake: Guests) -> None:
    """Its disk answers when it likes, also under the instruction clock."""
    one = {"backends": "zram swapfile", "disk": "host"}
    compare.compare(experiment(**one), context)
    second = compare.compare(experiment("v6.12..main", **one), context).folder
    assert {place.split("/")[1] for place in reuse.read(second)} == {"zram.pageio"}
    assert len(fake.ran) == 18 + 3 + 9


def test_a_failed_boot_of_the_base_is_shared_like_any_other(context: Context, fake: Guests) -> None:
    """To run again only those that failed would make the base look sounder than the patch."""
    first = compare.compare(experiment(), context).folder
    boot = first / "boots/zram.pageio/01-base"
    facts = json.loads((boot / "boot.json").read_text())
    (boot / "boot.json").write_text(json.dumps({**facts, "outcome": "panic"}))
    (boot / "SHA256SUMS").unlink()
    checksums.boot(boot)
    second = compare.compare(experiment("v6.12..main"), context)
    assert second.status is Exit.KERNEL and len(reuse.read(second.folder)) == 6


def test_a_refused_comparison_changes_nothing_and_builds_nothing(
    context: Context, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = compare.compare(experiment(name="mine"), context).folder
    before = contents(context.results)

    def build(*_: object) -> None:
        raise AssertionError("the refusal comes before any build")

    monkeypatch.setattr(kbuild.KernelBuilder, "build", build)
    with pytest.raises(UserError) as told:
        compare.compare(experiment("v6.12..main", name="mine", swap="2G", seed="5"), context)
    for word in ("the patched kernel (", "SWAP (1G before, 2G now)", "SEED (1 before, 5 now)"):
        assert word in str(told.value)
    assert "results rm mine" in str(told.value)
    with pytest.raises(UserError, match=r"cell zram\.pageio \("):
        compare.compare(experiment(name="mine", preset="full"), context)
    assert contents(context.results) == before and len(fake.ran) == 9
    assert verify.verify(done).holds


def test_a_boot_that_changed_is_refused_before_any_line_of_a_hash_is_dropped(
    context: Context, fake: Guests
) -> None:
    done = compare.compare(experiment(name="mine"), context).folder
    shutil.rmtree(done / "boots/zram.pageio/00-patch")
    (done / "boots/zram.pageio/01-patch/workload.jsonl").write_text("other\n")
    before = contents(done)
    with pytest.raises(UserError, match=r"01-patch/workload\.jsonl' changed"):
        compare.compare(experiment(name="mine"), context)
    assert contents(done) == before and len(fake.ran) == 9


def test_a_profile_is_in_every_report_and_is_checked_and_packed(
    context: Context, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests.name_functions(monkeypatch)
    one = experiment(profile="yes", pairs="1", aa="no")
    done = compare.compare(one, context, instruments=compare.INSTRUMENTS).folder
    assert len(fake.ran) == 2 * (1 + 3)
    said = (done / "report/report.txt").read_text().partition("Where the change is")[2]
    lines = said.partition("\n\n")[0].splitlines()[1:]
    assert lines[0] == "zram.pageio swapin +1000 a page (+10.00 %): swap_read_folio +1000."
    assert " ".join(lines[1:]).startswith("zram.pageio swapin: estimated cycles +")
    assert " ".join(" ".join(lines[-2:]).split()).endswith("(ceiling 2.0 -> 2.0 CPUs).")
    page = (done / "report/report.html").read_text()
    assert "swap_read_folio +1000" in page and "ceiling 2.0" in page
    told = files.read(done)
    for name, word in (("markdown", "lock held longest"), ("json", '"swap_read_folio"')):
        assert word in formats.comparison(told, name)
    mail = draft.make(done)
    assert "swap_read_folio +1000" in mail and "ceiling 2.0" in " ".join(mail.split())
    packed = bundle.make([done])
    with bundle.unpacked(packed.path) as (inside,):
        assert verify.verify(inside).holds
        assert len(list(inside.glob("boots/zram.pageio/*/*.gz"))) >= 6
    sheet = done / "report/functions.csv"
    whole = sheet.read_text()
    sheet.write_text(whole.replace("11000", "11001"))
    changed = verify.verify(done)
    assert not changed.holds
    assert {item.place.split()[0] for item in changed.derived} == {"report/functions.csv"}
    sheet.write_text(whole)
    (done / "boots/zram.pageio/00-patch.locks/locks.gz").write_bytes(b"other")
    assert not verify.verify(done).holds


def test_cells_and_pairs_are_added_to_a_result(context: Context, fake: Guests) -> None:
    first = compare.compare(experiment(), context).folder
    more = compare.compare(experiment(backends="zram zswap"), context).folder
    assert more == first and len(fake.ran) == 18
    assert set(manifests.load(first).cells) == {"zram.pageio", "zswap.pageio"}
    assert spec.load(first / "spec.yaml", {}).matrix.backends == ("zram", "zswap")
    text = (first / "report/report.txt").read_text()
    assert text.startswith("worse: 2, ") and "All 18 boots finished" in text
    # One of them alone asks for nothing new, and takes nothing away.
    compare.compare(experiment(backends="zswap"), context)
    assert len(fake.ran) == 18 and (first / "report/report.txt").read_text() == text
    compare.compare(experiment(backends="zram zswap", pairs="4"), context)
    assert len(fake.ran) == 24 and verify.verify(first).holds
    compare.compare(experiment(workloads="pageio fill", backends="zram zswap"), context)
    assert manifests.load(first).pairs == 4, "new cells get the pairs of the others"
    assert len(fake.ran) == 48


def test_a_refused_measurement_of_overhead_changes_nothing(context: Context, fake: Guests) -> None:
    one = spec.load(None, {"base": "v6.12", "patch": "v6.12..one", "backends": "zram", "name": "o"})
    few = OverheadOptions(sizes=("640M",), fill="64M")
    with pytest.raises(NoBoot):  # these guests take no snapshots
        overhead.overhead(one, few, context)
    before, ran = contents(context.results), len(fake.ran)
    for other in (replace(few, fill="128M"), replace(few, sizes=("640M", "2G"))):
        with pytest.raises(UserError, match=r"cell zram-\S+\.overhead \("):
            overhead.overhead(one, other, context)
    with pytest.raises(UserError, match="SEED"):
        overhead.overhead(one.changed(seed=3), few, context)
    with pytest.raises(UserError, match="a result of 'make overhead', and this is 'make compare'"):
        compare.compare(experiment(name="o"), context)
    assert contents(context.results) == before and len(fake.ran) == ran


def test_a_folder_of_another_kind_is_left_alone(context: Context, fake: Guests) -> None:
    compare.compare(experiment(name="mine"), context)
    before = contents(context.results)
    one = experiment(name="mine")
    text = "name: mine\nseries: [vswap]\nbackends: [zram]\nworkloads: [pageio]\n"
    asked = context.results.parent / "nightly.yaml"
    asked.write_text(text)
    night = config.load(asked, registry_folder=nightly.REGISTRY)
    runs: list[tuple[str, Callable[[], object]]] = [
        ("walk", lambda: walk.walk(one, walk.WalkOptions(), context)),
        ("bisect", lambda: bisect.bisect(one, "swapin", context)),
        ("nightly", lambda: nightly.nightly(night, context)),
        ("calibrate", lambda: calibrate.calibrate(one.changed(patch="calibration"), context)),
        ("overhead", lambda: overhead.overhead(one, OverheadOptions(), context)),
    ]
    for kind, run in runs:
        with pytest.raises(UserError, match=f"of 'make compare', and this is 'make {kind}'"):
            run()
    assert contents(context.results) == before and len(fake.ran) == 9


# Two results


def test_patched_kernels_are_compared_pair_by_pair(context: Context, fake: Guests) -> None:
    first, second = (
        compare.compare(experiment(f"v6.12..{end}"), context).folder for end in ("one", "main")
    )
    found = diff.diff(first, second)
    (row,) = found.rows
    assert row.first.change.estimate_pct == pytest.approx(10, abs=0.1)
    assert row.second.change.estimate_pct == pytest.approx(15, abs=0.1)
    assert row.across is not None and row.across.kind is Kind.WORSE and row.across.change.n == 3
    own = row.across.change.estimate_pct
    assert own == pytest.approx(100 * 500 / (SWAPIN + 1000), abs=0.05)
    text = diff.render(found)
    assert text.isascii() and max(map(len, text.splitlines())) <= 72
    assert f"A: {first.name}" in " ".join(text.split()) and "pair by pair" in text
    line = next(one for one in text.splitlines() if one.startswith("zram.pageio"))
    assert line.split()[-2:] == ["3", "worse"]
    back = diff.diff(second, first).rows[0].across
    assert back is not None and back.kind is Kind.BETTER


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"memory": "1G"}, r"cannot be compared: they differ in MEMORY \(768M before, 1G now\)"),
        ({"backends": "zswap"}, r"no primary metric is in both .*zram\.pageio: only in A"),
        ({"preset": "standard"}, r"no primary metric is in both .*zram\.pageio: its settings"),
    ],
)
def test_what_cannot_be_compared_says_why(
    context: Context, fake: Guests, other: dict[str, str], words: str
) -> None:
    first = compare.compare(experiment(name="a"), context).folder
    second = compare.compare(experiment(name="b", **other), context).folder
    with pytest.raises(UserError, match=words):
        diff.diff(first, second)
    with pytest.raises(UserError, match="are the same result"):
        diff.diff(first, first)


def test_effects_of_other_seeds_stand_side_by_side(context: Context, fake: Guests) -> None:
    first = compare.compare(experiment(), context).folder
    second = compare.compare(experiment("v6.12..main", seed="2"), context).folder
    found = diff.diff(first, second)
    assert found.rows[0].across is None
    text = " ".join(diff.render(found).split())
    assert "SEED (1 before, 2 now)" in text and "do not test one against the other" in text


# The command line


def test_results_are_listed_named_compared_and_removed(
    context: Context, fake: Guests, capsys: pytest.CaptureFixture[str]
) -> None:
    root = context.results
    where = f"--results={root}"
    one = compare.compare(experiment(), context).folder
    two = compare.compare(experiment("v6.12..main"), context).folder
    listing.point(root)
    assert (root / "latest").resolve() == two.resolve()
    assert cli.main(["results", where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines[2:4]] == [two.name, one.name]
    assert all("compare" in line and "worse 1" in line for line in lines[2:4])
    assert cli.main(["diff", where]) == 0
    assert f"B: {two.name}" in " ".join(capsys.readouterr().out.split())
    for word in ("latest", two.name, str(two), str(root / "latest")):
        assert cli.main(["verify", word, where]) == 0
        assert capsys.readouterr().out.startswith(f"{two}: all ")
    assert cli.main(["report", "previous", where]) == 0
    assert cli.main(["report", "latst", where]) == Exit.USER
    assert "there is no result 'latst': RESULT= takes latest" in capsys.readouterr().err
    # Nobody is there to ask.
    assert cli.main(["results", "rm", one.name, where]) == Exit.USER
    assert "stays; YES=yes" in capsys.readouterr().out and one.is_dir()
    for word in ("..", "/", str(root), f"../{root.name}", "latest/boots", "nothing"):
        assert cli.main(["results", "rm", word, "--yes", where]) == Exit.USER
    capsys.readouterr()
    assert cli.main(["results", "rm", "latest", "--yes", where]) == 0
    assert not two.exists() and (root / "latest").resolve() == one.resolve()
    assert verify.verify(one).holds
    assert cli.main(["results", "rm", str(one), "--yes", where]) == 0
    assert not one.exists() and not (root / "latest").is_symlink()
    capsys.readouterr()
    assert cli.main(["results", where]) == 0
    assert "has no results yet" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "stays"), [("n", True), ("", True), ("y", False)])
def test_removing_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, stays: bool
) -> None:
    folder = tmp_path / "r" / "one"
    (folder / "boots").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    ends = cli.main(["results", "rm", "one", f"--results={tmp_path / 'r'}"])
    assert ends == (Exit.USER if stays else Exit.OK), "as clean-cache"
    assert folder.exists() is stays


def test_the_kinds_of_results_have_their_answers(tmp_path: Path) -> None:
    bisect = tmp_path / "b"
    bisect.mkdir()
    record = {"schema": 2, "kind": "bisect", "culprit": {"number": 7}, "suspects": [7]}
    (bisect / "bisect.json").write_text(json.dumps(record))
    begun = tmp_path / "c"
    begun.mkdir()
    (begun / "experiment.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("x")
    found = {one.path.name: one for one in listing.entries(tmp_path)}
    assert sorted(found) == ["b", "c"]
    assert found["b"].kind is ResultKind.BISECT and overview.verdicts(found["b"]) == "patch 7"
    assert overview.verdicts(found["c"]) == "unfinished"
    with pytest.raises(UserError, match="1 finished result"):
        listing.find("previous", tmp_path)


@pytest.mark.parametrize("name", ["latest", "previous"])
def test_a_name_that_stands_for_a_result_cannot_be_given(name: str) -> None:
    with pytest.raises(UserError, match=f"NAME={name} always means"):
        spec.load(None, {"name": name})

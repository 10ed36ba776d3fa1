# SPDX-License-Identifier: GPL-2.0-only
"""A walk: each patch's own cost is found where it is, and what does not build is named."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main as cli
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.report import table
from harness.report.profile.model import Cost
from harness.results import checksums
from harness.run import reuse
from harness.stats import verdict
from harness.stats.verdict import Kind
from harness.studies import bundle, verify
from harness.studies.overhead import analysis as overhead_analysis
from harness.studies.walk import analysis, measure, memory, report, text
from harness.studies.walk.measure import WalkOptions
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox
from tests.fakes import overhead as fake_overhead
from tests.fakes.figures import SWAPIN, Guests
from tests.fakes.overhead import OLD
from tests.fakes.results import contents

ONE = {"base": "v6.12", "patch": "v6.12..main", "backends": "zram", "workloads": "pageio"}
PATCHES = ["int plain;", "int costs_1000;", "int broken(", "-int broken(", "int costs_500;"]


def experiment(**more: str) -> Experiment:
    return replace(spec.load(None, {**ONE, **more}), name="w")


def test_each_patch_has_its_own_cost(tmp_path: Path, fake: Guests) -> None:
    context = guests.context(tmp_path, guests.series(tmp_path / "linux", PATCHES))
    done = measure.walk(experiment(), WalkOptions(), context)
    walk = analysis.analyse(done.folder)
    (line,) = walk.lines
    by_number = {mark.number: mark for mark in line.marks}
    assert sorted(by_number) == [1, 2, 4, 5], "patch 3 does not compile"
    own = {n: mark.own.change.estimate_pct for n, mark in by_number.items()}
    assert own[1] == pytest.approx(0, abs=0.1)
    assert own[2] == pytest.approx(100 * 1000 / SWAPIN, abs=0.1)
    assert own[4] == pytest.approx(0, abs=0.1)
    assert own[5] == pytest.approx(100 * 500 / (SWAPIN + 1000), abs=0.1)
    assert by_number[4].since == 2, "over the patch without a kernel"
    assert by_number[5].whole.change.estimate_pct == pytest.approx(15, abs=0.1)
    kinds = [mark.own.kind for mark in line.marks]
    assert kinds == [Kind.EQUIVALENT, Kind.WORSE, Kind.EQUIVALENT, Kind.WORSE]
    assert [stop.number for stop in walk.broken] == [3]
    assert done.status is Exit.KERNEL, "a series that does not bisect is a finding"
    # Text, table and evidence.
    whole = (done.folder / "report/walk.txt").read_text()
    assert max(map(len, whole.splitlines())) <= 72 and whole.isascii()
    assert "1 patch cannot be built: 3." in done.screen and "3-4" in whole
    # The terminal gets the first screen: what failed, then the patches that matter.
    *screen, _, where = done.screen.splitlines()
    assert len(screen) <= 24 and whole.splitlines()[: len(screen)] == screen
    assert where == f"Full report: {done.folder / 'report/walk.txt'}"
    cells = [line.split() for line in screen]
    assert [row[0] for row in cells if row and row[-1] == "worse"] == ["2", "5"]
    failed = next(place for place, line in enumerate(screen) if "Patch 3 NOT BUILT: " in line)
    assert failed < screen.index("Changes by a patch on its own: worse: 2, equivalent: 2.")
    assert whole.count("How to read this") == 1
    assert "mm/page.c" in (done.folder / "failed" / "patch-03-build.log").read_text()
    rows = list(csv.DictReader(io.StringIO((done.folder / "report/walk.csv").read_text())))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert float(rows[1]["own_pct"]) == pytest.approx(10, abs=0.1)
    assert (done.folder / "report/plots/waterfall-zram.pageio.svg").is_file()
    # The base's boots ran once; each patch's folder is a whole result all the same.
    assert len(fake.ran) == 3 * (2 + 4)
    for number in (1, 2, 4, 5):
        folder = done.folder / f"patch-{number:02d}"
        assert verify.verify(folder).holds
        assert len(reuse.read(folder)) == (0 if number == 1 else 6)
    shown = (done.folder / "patch-05" / "report" / "report.txt").read_text()
    assert "Boots of the base shared: 6 with ../patch-01" in " ".join(shown.split())


def test_each_patch_names_the_functions_that_it_changes_most(
    tmp_path: Path, fake: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests.name_functions(monkeypatch)
    context = guests.context(tmp_path, guests.series(tmp_path / "linux", PATCHES))
    done = measure.walk(experiment(profile="yes", pairs="1"), WalkOptions(), context)
    walk = analysis.analyse(done.folder)
    found = {one.number: one for one in walk.profiles}
    assert {n: (one.since, len(one.functions)) for n, one in found.items()} == {
        1: (0, 0), 2: (1, 1), 4: (2, 0), 5: (4, 1),
    }  # fmt: skip
    # Its own, not that of all patches so far.
    assert found[5].functions[0].own == Cost(11_000, 11_500)
    assert found[5].functions[0].title == "swap_read_folio"
    whole = (done.folder / "report/walk.txt").read_text()
    assert max(map(len, whole.splitlines())) <= 72
    (shown,) = text.changed(walk)
    assert [(row[0], row[1].strip(), row[-1]) for row in shown.rows] == [
        ("1", "all instructions", "+0.0"),
        ("2", "all instructions", "+1000.0"), ("", "swap_read_folio", "+1000.0"),
        ("3-4", "all instructions", "+0.0"),
        ("5", "all instructions", "+500.0"), ("", "swap_read_folio", "+500.0"),
    ]  # fmt: skip
    assert shown.title.split(":")[0] == "zram.pageio" and "swap_read_folio" in whole
    assert "swap_read_folio" in (done.folder / "report/walk.html").read_text()
    sheet = (done.folder / "report/walk-functions.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(sheet)))
    assert [(row["number"], float(row["change"])) for row in rows] == [("2", 1000), ("5", 500)]
    # Of the base one boot under the plugin serves all.
    assert sum(one.endswith("base.profile") for one in fake.ran) == 1
    assert verify.verify(done.folder).holds
    assert "PROFILE=yes" in walk.command or "make repeat" in walk.command


def test_a_walk_goes_on_and_its_report_can_be_made_again(
    tmp_path: Path, fake: Guests, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = guests.series(tmp_path / "linux", ["int costs_100;", "int panics;"])
    context = guests.context(tmp_path, repo)
    first = measure.walk(experiment(), WalkOptions(at=[2]), context)
    assert first.status is Exit.KERNEL and "no boot survived: 2" in " ".join(first.text.split())
    assert [stop.number for stop in analysis.analyse(first.folder).stops] == [2]
    ran = len(fake.ran)
    done = measure.walk(experiment(), WalkOptions(), context)
    again = fake.ran[ran:]
    assert len(again) == 3 and all("patch-01" in one and "-patch" in one for one in again)
    walk = analysis.analyse(done.folder)
    assert [(s.number, s.is_measured, len(s.lost)) for s in walk.stops] == [
        (1, True, 0), (2, False, 3),
    ]  # fmt: skip
    before = {p: p.read_bytes() for p in (done.folder / "report").rglob("*") if p.is_file()}
    made = report.make(done.folder)
    assert made == done
    assert before == {p: p.read_bytes() for p in (done.folder / "report").rglob("*") if p.is_file()}
    assert cli.main(["report", str(done.folder)]) == 0
    assert capsys.readouterr().out == made.text == (made.folder / "report" / "walk.txt").read_text()
    assert cli.main(["verify", str(done.folder)]) == 0
    assert "byte for byte" in capsys.readouterr().out.splitlines()[-1]
    listed = checksums.read(done.folder)
    assert listed and {"walk.json", "spec.yaml", "report/walk.txt"} <= set(listed.lines)
    assert not [path for path in listed.lines if path.startswith("patch-")]
    table = done.folder / "report" / "walk.csv"
    table.write_text(table.read_text().replace(",worse,", ",better,").replace("step 1", "step 9"))
    assert cli.main(["verify", str(done.folder)]) == Exit.INFRA
    assert "report/walk.csv line 2" in capsys.readouterr().out


def test_a_refused_walk_changes_nothing(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int b;", "int c;"])
    context = guests.context(tmp_path, repo)
    done = measure.walk(experiment(), WalkOptions(), context)
    before, ran = contents(context.results), len(fake.ran)
    # The second patch is another one now.
    inbox.git(repo, "reset", "-q", "--hard", "main~2")
    for line in ("int other;", "int c;"):
        file = repo / "mm/page.c"
        file.write_text(f"{file.read_text()}{line}\n")
        inbox.git(repo, "commit", "-q", "-a", "-m", f"mm: {line}\n\nBecause.")
    with pytest.raises(UserError, match=r"patch-02' .*differs from this run in the patched kernel"):
        measure.walk(experiment(), WalkOptions(), context)
    with pytest.raises(UserError, match=r"differs from this run in MEMORY \(768M before, 1G now"):
        measure.walk(experiment(memory="1G"), WalkOptions(at=[1]), context)
    inbox.git(repo, "reset", "-q", "--hard", "main~1")
    with pytest.raises(UserError, match=r"patch-02' .*differs from this run in the patched kernel"):
        measure.walk(experiment(), WalkOptions(at=[1]), context)
    assert contents(context.results) == before and len(fake.ran) == ran
    assert verify.verify(done.folder).holds
    # Without a name of the user's it is another walk.
    one = measure.walk(replace(experiment(), name=None), WalkOptions(), context)
    assert one.folder != done.folder and one.folder.name.startswith("walk-v6.12-vs-v6.12..main-")
    assert len(analysis.analyse(done.folder).stops) == 3


def test_some_patches_again_leave_the_others_in_the_report(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int costs_1000;"])
    context = guests.context(tmp_path, repo)
    whole = measure.walk(experiment(), WalkOptions(), context)
    ran = len(fake.ran)
    again = measure.walk(experiment(), WalkOptions(at=[2]), context)
    assert again.text == whole.text and len(fake.ran) == ran
    more = measure.walk(experiment(backends="zram zswap"), WalkOptions(), context)
    assert [one.cell for one in analysis.analyse(more.folder).lines] == [
        "zram.pageio", "zswap.pageio",
    ]  # fmt: skip
    assert len(fake.ran) == ran + 3 * (2 + 2), "only the cell that was added is run"
    kept = spec.load(more.folder / "spec.yaml", {}, command="walk")
    assert kept.matrix.backends == ("zram", "zswap") and kept.study.at == ()
    fewer = measure.walk(experiment(), WalkOptions(), context)
    assert fewer.text == more.text and verify.verify(more.folder).holds


def test_the_spec_file_asks_for_what_all_calls_did(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int b;", "int c;"])
    context = guests.context(tmp_path, repo)
    for at, kept in (([2], ("2",)), ([1], ("1", "2")), ([3], ())):
        done = measure.walk(experiment(), WalkOptions(at=at), context)
        one = spec.load(done.folder / "spec.yaml", {}, command="walk")
        assert one.study.at == kept and not one.study.bytes
        assert one.meant.patch is not None and (done.folder / one.meant.patch.patches).is_file()
        assert verify.verify(done.folder).holds


@pytest.mark.parametrize("long", [False, True])
def test_a_walk_is_answered_bundled_and_verified_elsewhere(
    tmp_path: Path, fake: Guests, capsys: pytest.CaptureFixture[str], long: bool
) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int costs_1000;", "int broken("])
    done = measure.walk(experiment(), WalkOptions(), guests.context(tmp_path, repo))
    words = ["--long=yes"] if long else []
    assert cli.main(["reply", str(done.folder), *words]) == 0
    mail = capsys.readouterr().out
    lines = mail.splitlines()
    assert mail.isascii() and max(map(len, lines)) <= 72
    assert long or len(lines) <= 60
    body = mail.partition("\n\n")[2]
    assert not [
        one for one in body.splitlines() if one.startswith((" ", ">")) or one != one.rstrip()
    ]
    assert "3 of 3 patches were tried: 1 patch cannot be built: 3." in " ".join(body.split())
    worse = [line.split() for line in lines if line.endswith("worse")]
    assert worse and all(row[0] == "2" for row in worse)
    assert ("margin 1%" in body) is long, "the table of each metric is in the long form"
    assert "make repeat RESULT=w.tar.zst KERNEL_GIT=../linux" in body
    said = " ".join(body.split())
    assert "in the attached bundle ('make bundle' writes it): series.mbox." in said
    made = bundle.make([done.folder])
    shutil.rmtree(tmp_path / "results" / "w")
    assert cli.main(["verify", str(made.path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    with bundle.unpacked(made.path) as (folder,):
        draft = folder / "reply.eml"
        draft.write_text(draft.read_text().replace("worse", "none"))
        assert not verify.verify(folder).holds


def test_one_pair_gives_no_verdict(tmp_path: Path, fake: Guests) -> None:
    context = guests.context(
        tmp_path, guests.series(tmp_path / "linux", ["int a;", "int costs_1000;"])
    )
    done = measure.walk(experiment(pairs="1"), WalkOptions(), context)
    assert "One pair gives no verdict; 3 are the fewest that do." in done.screen
    assert "No patch is worse" not in done.screen
    # The largest change is shown all the same.
    rows = [line.split() for line in done.screen.splitlines()]
    assert [row[0] for row in rows if row and row[-1] == "none"] == ["2", "1"]


def test_where_some_change_has_no_verdict_nothing_is_said_of_all(
    tmp_path: Path, fake: Guests
) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int b;"])
    done = measure.walk(experiment(), WalkOptions(), guests.context(tmp_path, repo))
    walk = analysis.analyse(done.folder)
    assert text.conclusion(walk).startswith("No patch is worse or better on its own")
    (line,) = walk.lines
    unknown = replace(line.marks[1], own=verdict.none("too few pairs"))
    mixed = replace(walk, lines=(replace(line, marks=(line.marks[0], unknown)),))
    assert text.conclusion(mixed) == (
        "Changes by a patch on its own, some without a verdict: equivalent: 1, none: 1."
    )
    first = replace(line.marks[0], own=unknown.own)
    neither = replace(walk, lines=(replace(line, marks=(first, unknown)),))
    assert text.conclusion(neither) == "No verdict: too few pairs."


def test_a_lost_boot_is_named_with_its_first_line_and_place(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int panics;"])
    done = measure.walk(experiment(pairs="1"), WalkOptions(), guests.context(tmp_path, repo))
    console = "[    9.1] Kernel panic\n[    9.2] RIP: 0010:swap_read+0x1/0x9\n"
    boot = done.folder / "patch-02" / "boots" / "zram.pageio" / "00-patch"
    (boot / "console.log").write_text(console)
    screen = " ".join(text.summary(analysis.analyse(done.folder)).split())
    said = "Patch 2: zram.pageio 00-patch: panic: Kernel panic; RIP: 0010:swap_read+0x1/0x9"
    assert said in screen


def test_an_option_that_a_patch_brings_is_asked_for_from_there_on(
    tmp_path: Path, fake: Guests
) -> None:
    repo = guests.series(tmp_path / "linux", ["int plain;"])
    (repo / "Kconfig").write_text((repo / "Kconfig").read_text() + 'config VSWAP\n\tbool "V"\n')
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: an option\n\nBecause.")
    done = measure.walk(experiment(config="VSWAP=y"), WalkOptions(), guests.context(tmp_path, repo))
    walk = analysis.analyse(done.folder)
    assert not walk.broken and len(walk.lines[0].marks) == 2
    facts = json.loads((done.folder / "patch-02" / "manifest.json").read_text())
    assert [item["symbol"] for item in facts["config_diff"]] == ["CONFIG_VSWAP"]
    assert len(fake.ran) == 3 * 4, "both have the same base kernel, so its boots are shared"


def test_what_a_look_up_left_out_stands_before_the_table(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int b;"])
    done = measure.walk(experiment(), WalkOptions(), guests.context(tmp_path, repo))
    for path in done.folder.glob("patch-*/manifest.json"):
        facts = json.loads(path.read_text())
        facts["arms"]["patch"]["series"]["doubts"] = ["left out a later patch 2/2"]
        path.write_text(json.dumps(facts))
    said = text.summary(analysis.analyse(done.folder))
    assert said.count("PATCHES: left out a later patch 2/2.") == 1


def test_results_of_different_bases_are_not_joined(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int b;"])
    done = measure.walk(experiment(), WalkOptions(), guests.context(tmp_path, repo))
    path = done.folder / "patch-02" / "experiment.json"
    path.write_text(path.read_text().replace('"qemu": "7.2"', '"qemu": "9"'))
    with pytest.raises(UserError, match="patch-02' was measured with another qemu"):
        analysis.analyse(done.folder)
    assert fake.ran


@pytest.mark.parametrize(
    ("given", "numbers"), [("", ()), (None, ()), ("3,5", (3, 5)), ("9-11 2", (9, 10, 11, 2))]
)
def test_stops_are_numbers_and_ranges(given: str | None, numbers: tuple[int, ...]) -> None:
    assert measure.parse_stops(given) == numbers


@pytest.mark.parametrize("given", ["x", "3-", "-3", "1.5", "1,,$(id)"])
def test_other_stops_are_refused(given: str) -> None:
    with pytest.raises(UserError, match="AT has '"):
        measure.parse_stops(given)


def test_a_stop_that_the_series_has_not_is_refused() -> None:
    assert measure.stops([], 3) == (1, 2, 3)
    assert measure.stops([3, 1, 3], 3) == (1, 3)
    with pytest.raises(UserError, match="AT has 4: the series has the patches 1 to 3"):
        measure.stops([4], 3)


@pytest.mark.parametrize(
    ("more", "words"), [({"clock": "wall"}, "CLOCK=insn"), ({"head": "v6.13", "patch": ""}, "HEAD")]
)
def test_what_cannot_be_walked_is_said_and_leaves_no_folder(
    tmp_path: Path, fake: Guests, more: dict[str, str], words: str
) -> None:
    given = {key: value for key, value in {**ONE, **more}.items() if value}
    one = replace(spec.load(None, given), name="w")
    with pytest.raises(UserError, match=words):
        measure.walk(one, WalkOptions(), guests.context(tmp_path, tmp_path))
    assert not (tmp_path / "results" / "w").exists()
    assert not fake.ran


def test_bytes_at_each_patch(tmp_path: Path) -> None:
    first = fake_overhead.write(
        tmp_path / "1", fake_overhead.Fake(kernels={"base": OLD, "patch": OLD})
    )
    second = fake_overhead.write(tmp_path / "2", fake_overhead.Fake())
    empty = tmp_path / "3"
    (empty / "boots").mkdir(parents=True)
    (empty / "boots" / "zswap-4G.overhead" / "00-patch").mkdir(parents=True)
    (found,), lost = memory.of({1: first, 3: empty, 2: second})
    (alone,) = overhead_analysis.analyse(second).backends
    assert [size.number for size in found.sizes] == [0, 1, 2]
    assert found.sizes[0].per_entry.value == found.sizes[1].per_entry.value
    total = alone.sides["patch"].total
    assert total and found.sizes[2].per_entry == total.per_entry
    assert found.sizes[2].per_slot == total.per_slot
    assert total.per_entry.value > found.sizes[1].per_entry.value
    assert len(lost) == 1 and lost[0].startswith("patch 3, bytes: ")
    lines = table.text(text.memory(found))
    assert max(map(len, lines)) <= 72 and f"{total.per_entry.value:.4f}" in lines[-1]

# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that fail: how often either does, against tests of others and by brute force."""

from __future__ import annotations

import html
import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.report import failing, files, formats, model, summary
from harness.report.lost import Failing
from harness.report.model import BootPair
from harness.results import checksums, traces
from harness.results.frames import ARMS, CONTROL
from harness.studies.reply import draft
from harness.util.paths import REPO
from tests.fakes.results import WORKLOAD, Fake, write

BASE, PATCH = ARMS
ARMS_AA = (BASE, PATCH, CONTROL)
CELL = "zram-lz4.pageio"


def _block(outcomes: dict[str, str]) -> BootPair:
    return BootPair(CELL, 0, "", False, tuple((arm, what, "") for arm, what in outcomes.items()))


def _blocks(failed: list[set[str]], arms: tuple[str, ...] = ARMS_AA) -> list[BootPair]:
    """A block for each set of arms that panicked in it."""
    return [_block({arm: "panic" if arm in bad else "ok" for arm in arms}) for bad in failed]


def _found(blocks: list[BootPair]) -> Failing:
    found = failing.gather(blocks)
    assert found is not None
    return found


def _brute(failed: list[set[str]]) -> float:
    """P by going through every way in which the patch could have been any boot of its block."""
    seen = sum(PATCH in bad for bad in failed)
    ways = [
        sum(place < len(bad) for place, bad in zip(places, failed, strict=True))
        for places in itertools.product(range(3), repeat=len(failed))
    ]
    counts = [ways.count(number) for number in range(len(failed) + 1)]
    return sum(count for count in counts if count <= counts[seen]) / len(ways)


@given(st.lists(st.sets(st.sampled_from(ARMS_AA)), min_size=1, max_size=6))
def test_p_is_the_share_of_the_ways_that_are_no_likelier(failed: list[set[str]]) -> None:
    if not any(failed):
        assert failing.gather(_blocks(failed)) is None
    else:
        assert math.isclose(_found(_blocks(failed)).p, _brute(failed))


@given(st.lists(st.sets(st.sampled_from(ARMS)), min_size=1, max_size=12))
def test_without_a_third_boot_it_is_mcnemars_test(failed: list[set[str]]) -> None:
    only = [next(iter(bad)) for bad in failed if len(bad) == 1]
    known = scipy_stats.binomtest(only.count(PATCH), len(only)).pvalue if only else 1.0
    if any(failed):
        assert math.isclose(_found(_blocks(failed, ARMS)).p, known)


def test_both_kernels_alike() -> None:
    found = _found(_blocks([{BASE, CONTROL, PATCH}] * 9))
    assert (found.base, found.base_boots, found.patch, found.patch_boots) == (18, 18, 9, 9)
    assert found.p == 1.0
    assert found.more == ""
    assert found.sentence == "9 of 9 patch boots failed, 18 of 18 base boots."


@pytest.mark.parametrize(
    ("bad", "more"), [({PATCH}, "patch"), ({BASE, CONTROL}, "base")], ids=["patch", "base"]
)
def test_three_pairs_with_base_again_are_enough(bad: set[str], more: str) -> None:
    found = _found(_blocks([bad] * 3))
    assert found.more == more
    one = 1 / 27
    assert math.isclose(found.p, one)


def test_two_are_not() -> None:
    assert _found(_blocks([{PATCH}] * 2)).more == ""


def test_what_is_not_the_kernels_doing_does_not_count() -> None:
    lost = [
        _block({BASE: "ok", PATCH: "infrastructure", CONTROL: "ok"}),
        _block({BASE: "missing", PATCH: "panic", CONTROL: "missing"}),
    ]
    assert failing.gather(lost) is None
    found = _found([*lost, *_blocks([{PATCH}])])
    assert (found.patch, found.patch_boots, found.base, found.base_boots) == (1, 1, 0, 2)


def test_the_report_says_so_before_any_number(tmp_path: Path) -> None:
    outcomes = {(CELL, pair, PATCH): "panic" for pair in range(3)}
    results = write(tmp_path, Fake(pairs=6, aa=True, cells=(CELL,), outcomes=outcomes))
    found = files.read(results)
    said = "3 of 6 patch boots failed, 0 of 12 base boots (exact p = 0.037): only patch failed."
    assert model.opening(found)[1] == said
    assert said in " ".join((files.make(results).folder / "report.txt").read_text().split())
    assert said in " ".join((results / "report" / "report.html").read_text().split())
    told = json.loads(formats.comparison(found, "json"))["failing"]
    assert (told["patch"], told["patch_boots"]) == (3, 6)
    assert said in formats.comparison(found, "junit")


def _with_known(tmp_path: Path, version: str, known: object) -> Path:
    """Three pairs of which each patch boot is OOM-killed, and one base boot panics."""
    outcomes = {(CELL, pair, PATCH): "guest-oom" for pair in range(3)} | {(CELL, 0, BASE): "panic"}
    manifest = {
        "arms": {BASE: {"version": "6.12.118"}, PATCH: {"version": version}},
        "backends": {"zram-lz4": {"kind": "zram"}},
        "workloads": {"pageio": {**WORKLOAD, "known_failures": known}},
    }
    return write(tmp_path, Fake(pairs=3, cells=(CELL,), outcomes=outcomes, manifest=manifest))


KNOWN = [{"outcome": "guest-oom", "backends": ["zram"], "kernels": ">=7.3", "reason": "the lists"}]
SENTENCE = "guest-oom over zram on kernels >=7.3: the lists."


def test_what_is_known_of_a_failure_stands_beside_it(tmp_path: Path) -> None:
    results = _with_known(tmp_path, "7.3.4", KNOWN)
    found = files.read(results)
    known = {(boot.arm, boot.outcome): boot.known for boot in found.failures}
    assert known == {(PATCH, "guest-oom"): SENTENCE, (BASE, "panic"): ""}
    screen = "\n".join(summary.text(found, results))
    assert screen.count(f"{CELL} 00-patch: known: {SENTENCE}"[: summary.WIDTH - 2]) == 1
    made = files.make(results).folder
    text = " ".join((made / "report.txt").read_text("ascii").split())
    assert text.count(f"Known of {CELL}: {SENTENCE}") == 1
    page = html.unescape(" ".join((made / "report.html").read_text("utf-8").split()))
    assert page.count(f"<p>Known: {SENTENCE}</p>") == 3
    assert f"(known: {SENTENCE})" in html.unescape(formats.comparison(found, "junit"))


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("6.12.118", KNOWN),
        ("7.3.4", []),
        ("7.3.4", None),
        ("7.3.4", 7),
        ("7.3.4", [{"outcome": 1}]),
        ("7.3.4", [{}]),
    ],
)
def test_of_another_kernel_or_a_damaged_list_nothing_is_said(
    tmp_path: Path, version: str, known: object
) -> None:
    results = _with_known(tmp_path, version, known)
    assert {boot.known for boot in files.read(results).failures} == {""}
    assert "Known of" not in (files.make(results).folder / "report.txt").read_text("ascii")


def _oops(tmp_path: Path, arms: tuple[str, ...], trace: str = "") -> Path:
    """One pair with its control; the boots of ``arms`` end as a real oops did."""
    outcomes = {(CELL, 0, arm): "oops" for arm in arms}
    results = write(tmp_path, Fake(pairs=1, aa=True, cells=(CELL,), outcomes=outcomes))
    console = (REPO / "tests" / "golden" / "console" / "oops-null.txt").read_text()
    for arm in arms:
        folder = results / "boots" / CELL / f"00-{arm}"
        (folder / "console.log").write_text(console)
        facts = json.loads((folder / "boot.json").read_text())
        facts["detail"] = (
            "in workload: [   99.606127] BUG: kernel NULL pointer dereference, address: "
            "0000000000000000"
        )
        (folder / "boot.json").write_text(json.dumps(facts))
    if trace:
        made = {f"boots/{CELL}/00-{arm}": trace for arm in arms}
        (results / traces.NAME).write_text(json.dumps(made))
    return results


BUG = "oops: BUG: kernel NULL pointer dereference, address: 0000000000000000"


@pytest.mark.parametrize(
    ("trace", "place"),
    [
        ("", "RIP: 0010:lkdtm_EXCEPTION+0x0/0x10"),
        (
            "BUG: kernel\n <TASK>\n f (mm/a.c:1)\nRIP: 0010:swap_read (mm/page_io.c:9)",
            "RIP: 0010:swap_read (mm/page_io.c:9)",
        ),
    ],
    ids=["as printed", "decoded"],
)
def test_a_crash_of_the_patched_kernel_alone_is_never_no_difference(
    tmp_path: Path, trace: str, place: str
) -> None:
    results = _oops(tmp_path, (PATCH,), trace)
    found = files.read(results)
    said = (
        "1 of 1 patch boots failed, 0 of 2 base boots: only patch failed.",
        f"First of patch: {CELL} 00-patch: {BUG}; {place}.",
    )
    assert model.opening(found)[1:3] == said
    folder = files.make(results).folder
    checksums.raw(results)
    forms = {
        "screen": "\n".join(summary.text(found, folder)),
        "text": (folder / "report.txt").read_text(),
        "page": html.unescape((folder / "report.html").read_text()),
        "mail": draft.make(results),
        "long mail": draft.make(results, long=True),
        "markdown": formats.comparison(found, "markdown").replace("\\_", "_"),
        "json": formats.comparison(found, "json"),
        "junit": formats.comparison(found, "junit"),
    }
    for form, whole in forms.items():
        shown = " ".join(whole.split())
        assert all(one in shown for one in said), form
        assert "no difference" not in shown and "exact p" not in shown, form
    assert len(forms["screen"].splitlines()) <= 24


def test_a_crash_of_the_base_alone_and_of_both(tmp_path: Path) -> None:
    base = files.read(_oops(tmp_path / "base", (BASE,)))
    assert base.failing and base.failing.sentence == (
        "0 of 1 patch boots failed, 1 of 2 base boots: only base failed."
    )
    assert [one.partition(":")[0] for one in base.failing.first] == ["First of base"]
    both = files.read(_oops(tmp_path / "both", (CONTROL, PATCH)))
    assert both.failing and both.failing.sentence == (
        "1 of 1 patch boots failed, 1 of 2 base boots."
    )
    assert [one.partition(": ")[2][: len(CELL) + 9] for one in both.failing.first] == [
        f"{CELL} 00-patch", f"{CELL} 00-contr",
    ]  # fmt: skip

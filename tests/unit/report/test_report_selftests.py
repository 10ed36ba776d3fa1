# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests in a report: a regression is first, and nothing else is called one."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.report import files, formats, page, text
from harness.report.model import Report
from harness.results import frames
from harness.util.errors import Exit
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"


def ktap(a: str = "ok", b: str = "ok", program: str = "ok", said: str = "") -> str:
    def line(result: str, number: int, name: str) -> str:
        skip = " # SKIP no zswap" if result == "skip" else ""
        return f"{'ok' if result == 'skip' else result} {number} {name}{skip}\n"

    told = f"# # {said}\n" if said else ""
    return (
        "TAP version 13\n1..1\n# selftests: cgroup: test_zswap\n# TAP version 13\n# 1..2\n"
        f"# {line(a, 1, 'test_a')}{told}# {line(b, 2, 'test_b')}"
        f"{program} 1 selftests: cgroup: test_zswap\n"
    )


def results_of(
    folder: Path, *, base: list[str], patch: list[str], control: list[str] | None = None
) -> Path:
    """A comparison whose boots left these texts, in the order of pairs."""
    fake = Fake(pairs=len(base), aa=control is not None, cells=(CELL,), effect=1.0)
    results = write(folder, fake)
    for arm, texts in (("base", base), ("patch", patch), ("control", control or [])):
        for pair, told in enumerate(texts):
            home = results / "boots" / CELL / f"{pair:02d}-{arm}"
            (home / "selftests.ktap").write_text(told, encoding="utf-8")
    return results


def made(
    folder: Path, *, base: list[str], patch: list[str], control: list[str] | None = None
) -> tuple[Report, str, str]:
    """Its report, as text with its lines joined, and as a page without plots."""
    found = files.read(results_of(folder, base=base, patch=patch, control=control))
    said = text.render(found)
    assert max(map(len, said.splitlines())) <= 72
    return found, " ".join(said.split()), page.render(found, [])


def test_a_test_that_the_patch_breaks_is_the_first_thing_told(tmp_path: Path) -> None:
    broken = ktap(b="not ok", program="not ok", said="zswpout <b>does not</b> increase")
    found, said, html = made(tmp_path, base=[ktap()] * 3, patch=[ktap(), broken, broken])
    (one,) = found.regressions
    assert one.test == "cgroup: test_zswap > test_b"
    assert (one.base, one.failed, one.patch, one.boot) == (3, 2, 3, "01-patch")
    assert said.startswith(
        "REGRESSION: 1 test of the kernel's own passes on base and fails on patch: "
        f"{CELL} cgroup: test_zswap > test_b."
    )
    assert "zswpout <b>does not</b> increase" in said[:900]
    assert "zswpout &lt;b&gt;does not&lt;/b&gt; increase" in html
    assert "<b>does not</b>" not in html


def test_a_program_that_dies_is_told_once_with_its_last_words(tmp_path: Path) -> None:
    dead = ktap(program="not ok").replace("1..2\n# ok 1 test_a\n# ok 2 test_b\n", "1..2\n# # oh\n")
    found, said, _ = made(tmp_path, base=[ktap()] * 2, patch=[dead] * 2)
    assert [item.test for item in found.regressions] == ["cgroup: test_zswap"]
    assert "| # oh" in said
    assert "test_a: base pass, patch does not have it" in said


def test_a_text_that_ends_in_the_middle_is_a_regression(tmp_path: Path) -> None:
    whole = ktap()
    found, said, _ = made(tmp_path, base=[whole] * 2, patch=[whole, whole[: whole.index("ok 2")]])
    assert [item.test for item in found.regressions] == ["cgroup: test_zswap"]
    assert "its output ends in the middle" in said


@pytest.mark.parametrize("arm", ["base", "control"])
def test_what_fails_once_on_base_is_no_regression(tmp_path: Path, arm: str) -> None:
    bad = ktap(b="not ok", program="not ok")
    boots = {"base": [ktap()] * 2, "control": [ktap()] * 2} | {arm: [ktap(), bad]}
    found, said, _ = made(tmp_path, patch=[bad] * 2, **boots)
    assert found.regressions == ()
    assert "REGRESSION" not in said
    assert "No test passes in all base boots and fails in a patch boot." in said
    assert "cgroup: test_zswap > test_b: base 1 x fail and" in said


def test_a_test_that_is_skipped_or_mended_is_listed(tmp_path: Path) -> None:
    found, said, html = made(
        tmp_path,
        base=[ktap(b="not ok", program="not ok")] * 2,
        patch=[ktap(a="skip")] * 2,
    )
    assert found.regressions == ()
    for line in ("test_a: base pass, patch skip", "test_b: base fail, patch pass"):
        assert line in said and line in " ".join(html.split())
    assert f"{CELL} base: 1 pass, 1 fail." in said
    assert f"{CELL} patch: 1 pass, 1 skip." in said


def test_without_selftests_nothing_is_said(tmp_path: Path) -> None:
    found = files.read(write(tmp_path, Fake(pairs=2)))
    assert "own tests" not in text.render(found) + page.render(found, [])


def test_the_status_is_that_of_worse(tmp_path: Path) -> None:
    bad = ktap(b="not ok", program="not ok")
    results = results_of(tmp_path, base=[ktap()] * 2, patch=[bad] * 2)
    written = files.make(results)
    assert written.status == Exit.WORSE
    assert (results / "report" / "report.txt").read_text("ascii").startswith("REGRESSION: 1 test")


def test_the_frame_has_a_row_a_test_and_damage_is_a_defect(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=1, cells=(CELL,)))
    home = results / "boots" / CELL / "00-base"
    (home / "selftests.ktap").write_bytes(ktap().encode() + b"ok 2 \xff half")
    data = frames.load(results)
    assert list(data.tests["name"].str.removeprefix("selftests: ")) == [
        "cgroup: test_zswap > test_a", "cgroup: test_zswap > test_b", "cgroup: test_zswap",
    ]  # fmt: skip
    assert set(data.tests["result"]) == {"pass"}
    assert "the text ends in the middle of a line" in set(data.defects["text"])


def test_a_regression_is_a_failure_in_junit_and_in_json(tmp_path: Path) -> None:
    bad = ktap(b="not ok", program="not ok", said="zswpout <0>")
    found, _, _ = made(tmp_path, base=[ktap()] * 2, patch=[bad] * 2)
    suite = ElementTree.fromstring(formats.comparison(found, "junit"))
    (case,) = [one for one in suite.iter("testcase") if one.get("classname") == CELL
               and one.get("name") == "cgroup: test_zswap > test_b"]  # fmt: skip
    failure = case.find("failure")
    assert failure is not None
    assert failure.text == "zswpout <0>"
    assert "passes in 2 of 2 base boots" in formats.comparison(found, "markdown")
    (tested,) = json.loads(formats.comparison(found, "json"))["selftests"]
    assert tested["regressions"][0]["log"] == ["zswpout <0>"]


def test_what_is_not_built_is_named(tmp_path: Path) -> None:
    fake = Fake(
        pairs=2,
        cells=(CELL,),
        manifest={"selftests": {"patch": {"missing": {"mm/khugepaged": "x.c:1: error: no"}}}},
    )
    results = write(tmp_path, fake)
    for pair in range(2):
        for arm in ("base", "patch"):
            path = results / "boots" / CELL / f"{pair:02d}-{arm}" / "selftests.ktap"
            path.write_text(ktap(), encoding="utf-8")
    said = " ".join(text.render(files.read(results)).split())
    assert "patch: mm/khugepaged is not built: x.c:1: error: no" in said

# SPDX-License-Identifier: GPL-2.0-only
"""One report in each format: that it can be read back, and says what the others say."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.cli.main import main
from harness.report import files, formats
from tests.fakes import overhead as fake_overhead
from tests.fakes.results import Fake, write

CELLS = ("zram.pageio", "zswap.pageio")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fake = Fake(
        pairs=7,
        scatter=0.001,
        aa=True,
        cells=CELLS,
        outcomes={(CELLS[0], 6, "patch"): "panic"},
        manifest={"name": "a|b <i> \x1b*"},
    )
    return write(tmp_path_factory.mktemp("formats"), fake)


def printed(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["report", str(folder), "--format", name]) == 0
    assert not (folder / "report").exists(), "it writes nothing"
    return capsys.readouterr().out


def test_csv_json_and_text_have_the_same_numbers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(folder, "csv", capsys))))
    data = json.loads(printed(folder, "json", capsys), parse_constant=_no_constant)
    assert len(data["rows"]) == len(rows)
    for row, one in zip(rows, data["rows"], strict=True):
        assert (row["cell"], row["name"]) == (one["cell"], one["name"])
        if row["change_pct"]:
            assert float(row["change_pct"]) == pytest.approx(one["change"]["estimate_pct"])
        assert row["verdict"] == (one["verdict"] or {"kind": ""})["kind"]
    text = printed(folder, "text", capsys)
    primary = [one for one in data["rows"] if one["role"] == "primary"]
    assert len(primary) == 2
    for one in primary:
        assert f"{one['change']['estimate_pct']:+.2f}%" in text
    assert data["boots"] == {"planned": 42, "usable": 41}


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def test_markdown_tables_have_as_many_cells_as_heads(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(folder, "markdown", capsys).splitlines()
    assert lines[0] == r"# a\|b \<i\> \\x1b\*"
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 10
    counts: set[int] = set()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            count = len(re.findall(r"(?<!\\)\|", line))
            counts = counts if before.startswith("|") else set()
            counts.add(count)
            assert len(counts) == 1, line
    assert any(re.fullmatch(r"\| zram \|.*\| worse \|.*", line) for line in lines)


def test_junit_says_what_failed_and_what_was_not_decided(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ElementTree.fromstring(printed(folder, "junit", capsys))
    cases = {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}
    assert root.attrib | {"name": ""} == {
        "name": "", "tests": "4", "failures": "3", "errors": "1", "skipped": "0"
    }  # fmt: skip
    assert cases["boots", "failures of either kernel"].find("failure") is not None
    for cell in CELLS:
        failure = cases[cell, "swapin"].find("failure")
        assert failure is not None and "worse: +" in (failure.get("message") or "")
    error = cases[CELLS[0], "boot 06-patch"].find("error")
    assert error is not None and "kernel BUG" in (error.text or "")
    quiet = write(tmp_path, Fake(pairs=2, effect=1.0, aa=True, cells=CELLS))
    root = ElementTree.fromstring(printed(quiet, "junit", capsys))
    assert (root.get("failures"), root.get("skipped")) == ("0", "2")
    better = write(tmp_path / "b", Fake(pairs=7, effect=0.9, aa=True, cells=CELLS))
    root = ElementTree.fromstring(printed(better, "junit", capsys))
    assert (root.get("failures"), root.get("skipped"), root.get("tests")) == ("0", "0", "2")


@pytest.mark.parametrize("name", ["text", "markdown", "csv", "json", "junit"])
def test_overhead_has_each_format(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake_overhead.write(tmp_path)
    out = printed(folder, name, capsys)
    if name == "junit":
        root = ElementTree.fromstring(out)
        claimed = [c for c in root.iter("testcase") if c.get("classname") == "zswap claim"]
        assert len(claimed) == 10, "five usages of two kernels"
    elif name == "json":
        tables = json.loads(out)["tables"]
        assert any("193.00" in row for table in tables for row in table["rows"])
    elif name != "csv":
        assert "193.00" in out


def test_the_comment_of_a_pull_request_is_the_head_of_the_markdown_and_the_command(
    tmp_path: Path,
) -> None:
    report = files.read(write(tmp_path, Fake(pairs=3, aa=True)))
    comment, whole = (formats.comparison(report, one) for one in ("comment", "markdown"))
    head, _, command = comment.rpartition("\n\n")
    assert whole.startswith(head) and "## " not in comment
    assert command.strip() == dict(report.facts.repeat)["Command"]
    assert f"| {report.rows[0].cell.replace('_', chr(92) + '_')} |" in comment

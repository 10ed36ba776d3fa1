# SPDX-License-Identifier: GPL-2.0-only
"""The schema of manifest.json: documented, read tolerantly, written strictly; kinds of folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.results import frames, manifest, record
from harness.results.manifest import SCHEMA, UNKNOWN, ArmFacts, Manifest, ResultKind
from harness.results.record import kind_of
from harness.util.errors import UserError
from tests.fakes import readme
from tests.fakes import results as fake_results
from tests.fakes.results import Fake


def test_the_readme_names_every_key() -> None:
    assert readme.keys("## manifest.json") == set(Manifest().as_data())
    assert readme.keys("An arm:") == set(ArmFacts().model_dump())


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one = Manifest(
        kind=ResultKind.BENCH, name="x", pairs=3, aa=True, arms={"base": ArmFacts(name="b")}
    )
    (tmp_path / "manifest.json").write_text(json.dumps(one.as_data()))
    assert manifest.load(tmp_path) == one
    assert (one.as_data()["schema"], one.as_data()["kind"]) == (2, "bench")


def test_schema_1_gets_a_kind(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path)
    assert json.loads((results / "manifest.json").read_text())["schema"] == 1
    found = manifest.load(results)
    assert (found.schema_version, found.kind) == (SCHEMA, ResultKind.COMPARE)
    assert found.arm("base").version == "6.19.0" and found.series.title == "Virtual Swap Space"
    assert [one.number for one in found.series.patches] == [1, 2]
    assert found.margin("pageio") == 1 and found.direction("pageio", "swapin") == "lower"


@pytest.mark.parametrize("bad", [7, "x", None, [], [3], {"x": 1}, True])
def test_a_damaged_value_is_unknown_and_no_error(bad: Any) -> None:
    damaged = {key: bad for key in Manifest().as_data() if key not in ("schema", "kind")}
    found = Manifest.tolerant(damaged)
    assert found.arm("base").version == UNKNOWN
    assert found.series.title == UNKNOWN and found.guest.disk == UNKNOWN
    assert found.primary("w", "b", "insn") is None and found.backend_list() in ([], ["x"])


def test_damage_in_one_part_leaves_the_others() -> None:
    series = {"patches": [3, {"number": "a", "subject": "s"}], "notes": ["a", 3]}
    arms = {"base": 3, "patch": {"version": ["x"], "name": "n", "series": series}}
    found = Manifest.tolerant({"arms": arms, "skipped": [1, {"cell": "c"}], "cells": ["a", 3]})
    assert (found.arm("patch").version, found.arm("patch").name) == (UNKNOWN, "n")
    assert [one.subject for one in found.series.patches] == [UNKNOWN, "s"]
    assert [one.cell for one in found.skipped] == [UNKNOWN, "c"] and found.cells == ("a",)


def test_a_writer_may_not_write_damage() -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate({"pairs": "three"})


def test_the_kind_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no result: it has neither a folder 'boots' nor"):
        kind_of(tmp_path)
    (tmp_path / "calibration.txt").write_text("of an older version\n")
    assert kind_of(tmp_path) is ResultKind.CALIBRATE
    record.write(tmp_path, ResultKind.WALK, {"name": "x"})
    assert kind_of(tmp_path) is ResultKind.WALK
    assert record.read(tmp_path, ResultKind.WALK) == {"schema": 2, "kind": "walk", "name": "x"}


def test_what_is_no_result_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    for day, name in enumerate(["a", "b", "c", "d"]):
        (tmp_path / name / "boots").mkdir(parents=True)
        os.utime(tmp_path / name, (day, day))
    (tmp_path / "other").mkdir()
    shown = ", ".join(str(tmp_path / name) for name in "dcb")
    with pytest.raises(UserError) as told:
        kind_of(tmp_path)
    assert "is no result" in str(told.value)
    assert str(told.value).endswith(f"; the newest results there: {shown}")
    with pytest.raises(UserError) as told:
        kind_of(tmp_path / "e")
    assert str(told.value) == (
        f"there is no result '{tmp_path / 'e'}'; the newest results there: {shown}"
    )
    with pytest.raises(UserError) as told:
        kind_of(tmp_path / "other" / "a")
    assert str(told.value) == f"there is no result '{tmp_path / 'other' / 'a'}'"


def test_a_record_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "walk.json").write_text('{"schema": 3}')
    with pytest.raises(UserError, match="schema 3"):
        record.read(tmp_path, ResultKind.WALK)
    (tmp_path / "walk.json").write_text("[")
    with pytest.raises(UserError, match="not a record of a walk"):
        record.read(tmp_path, ResultKind.WALK)


def test_the_control_of_older_results_was_called_again(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path, Fake(pairs=3, aa=True, scatter=0.01))
    before = frames.load(results)
    for folder in sorted(results.glob("boots/*/*-control")):
        folder.rename(folder.with_name(folder.name.replace("control", "again")))
    after = frames.load(results)
    assert set(after.boots["arm"]) == {"base", "patch", "control"}
    assert after.metrics.equals(before.metrics) and after.boots["usable"].all()
    assert any(str(folder).endswith("-again") for folder in after.boots["folder"])

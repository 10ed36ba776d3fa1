# SPDX-License-Identifier: GPL-2.0-only
"""Counters that count something else in each kernel: known as data, left out, and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report import analysis, meaning, model
from harness.results import frames, manifest
from harness.util.errors import UserError
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"


def _part(root: Path, base: str, patch: str) -> model.WorkloadReport:
    results = write(root, Fake(cells=(CELL,), pairs=10))
    path = results / "manifest.json"
    data = json.loads(path.read_text())
    data["arms"]["base"]["version"], data["arms"]["patch"]["version"] = base, patch
    path.write_text(json.dumps(data))
    (part,) = analysis.analyse(frames.load(results), manifest.load(results), results).parts
    return part


@pytest.mark.parametrize(
    ("base", "patch", "differs"),
    [
        ("6.12.117", "6.19.0", False),
        ("6.12.117", "7.3.4", True),
        ("7.3.4", "6.1.1", True),
        ("7.3", "7.4-rc1", False),
        ("7.0-rc1", "7.0-rc1", False),  # nobody read it, but it is one and the same
        ("7.0", "7.1", True),  # nobody read either
        ("6.19", "7.0", True),
    ],
)
def test_versions_that_count_alike(base: str, patch: str, differs: bool) -> None:
    (reclaim,) = (item for item in meaning.load() if "vmstat pgscan_direct" in item.counters)
    assert reclaim.differs(base, patch) is differs


def test_a_counter_of_another_meaning_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "counters.yaml"
    path.write_text(
        'changed:\n- counters: [vmstat pgfault, vmstat absent]\n  before: "<=6.19"\n'
        '  after: ">=7.3"\n  was: these\n  is: those\n  source: mm/x.c\n'
    )
    known = meaning.load(path)
    monkeypatch.setattr(meaning, "load", lambda: known)
    alike = _part(tmp_path / "alike", "6.12.1", "6.19.0")
    other = _part(tmp_path / "other", "6.12.1", "7.3.4")
    assert [row.name for row in alike.counters] == ["vmstat thp_swpout", "vmstat pgfault"]
    assert [row.name for row in other.counters] == ["vmstat thp_swpout"]
    assert other.tested < alike.tested
    said = (
        "Not compared, since the two kernels count something else there: vmstat pgfault. Up to "
        "6.19 that is these, from 7.3 on those."
    )
    assert said in other.notes and said not in alike.notes


def test_a_key_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "counters.yaml"
    path.write_text('changed:\n- counters: [a]\n  before: "<=1.0"\n')
    with pytest.raises(UserError, match="changed, entry 1: key 'after' is missing"):
        meaning.load(path)
    path.write_text("changed:\n- counter: [a]\n")
    with pytest.raises(UserError, match="changed, entry 1: unknown key 'counter'; did you mean"):
        meaning.load(path)

# SPDX-License-Identifier: GPL-2.0-only
"""Under the wall clock a host that moved gets no verdict, and the report says what moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.report import analysis
from harness.report.model import Report
from harness.results import frames, manifest
from harness.stats.verdict import Kind
from tests.fakes.results import Fake, write

QUIET = {
    "governor": "performance", "turbo": "off", "throttled": 0, "steal_pct": 0.1,
    "others_pct": 2.0, "load": 1.0, "pinned": [1],
}  # fmt: skip
CELL = "zram-lz4.pageio"


def measured(root: Path, *, accel: str = "kvm", clock: str = "wall", **moved: Any) -> Report:
    """A report whose boot of patch in pair 2 of one cell has other words of the host."""
    results = write(root, Fake(aa=True, clock=clock))
    for path in results.glob("boots/*/*/boot.json"):
        facts = json.loads(path.read_text())
        here = (path.parent.parent.name, path.parent.name) == (CELL, "02-patch")
        state = {**QUIET, **moved} if here else QUIET
        facts |= {"accel": accel, "host_state": state}
        path.write_text(json.dumps(facts))
    return analysis.analyse(frames.load(results), manifest.load(results), results)


def kinds(report: Report) -> dict[str, tuple[Kind, str]]:
    return {
        row.cell: (row.verdict.kind, row.verdict.reason) for row in report.primary if row.verdict
    }


def test_a_host_that_stayed_as_it_was_changes_no_verdict(tmp_path: Path) -> None:
    report = measured(tmp_path)
    assert {kind for kind, _ in kinds(report).values()} == {Kind.WORSE}
    assert (
        "Host state",
        "frequency governor performance, turbo off; at most 0.1 % of CPU time stolen, 2 % taken "
        "by other programs, load 1; throttled 0 times; vCPUs pinned to CPUs 1",
    ) in report.facts.machine


@pytest.mark.parametrize(
    ("moved", "reason"),
    [
        ({"governor": "powersave"}, "the host's frequency governor moved: performance, powersave"),
        ({"turbo": "off then on"}, "the host's turbo setting moved: off, off then on"),
        ({"throttled": 4}, "the host's CPUs were throttled for heat (4 times)"),
        ({"steal_pct": 1.5}, "1.5 % of CPU time was stolen in a boot, 1 are allowed"),
        ({"others_pct": 11.0}, "other programs took 11 % of the CPUs in a boot, 10 are allowed"),
    ],
)
def test_the_cell_in_which_it_moved_gets_no_verdict(
    tmp_path: Path, moved: dict[str, Any], reason: str
) -> None:
    found = kinds(measured(tmp_path, **moved))
    assert found[CELL] == (Kind.NONE, reason)
    assert found["zswap-lz4.pageio"][0] is Kind.WORSE


def test_emulated_guests_under_the_wall_clock_give_no_verdict(tmp_path: Path) -> None:
    found = kinds(measured(tmp_path, accel="tcg"))
    assert {kind for kind, _ in found.values()} == {Kind.NONE}
    assert {reason.partition(":")[0] for _, reason in found.values()} == {
        "guests were emulated under the wall clock"
    }


def test_the_instruction_clock_does_not_look_at_the_host(tmp_path: Path) -> None:
    report = measured(tmp_path, accel="tcg", clock="insn", governor="powersave", throttled=9)
    assert {kind for kind, _ in kinds(report).values()} == {Kind.WORSE}
    assert "Host state" not in dict(report.facts.machine)

# SPDX-License-Identifier: GPL-2.0-only
"""What is said of a published figure, and when it is not judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.board import claims, published
from harness.board.published import PublishedChange
from harness.board.record import Row
from harness.util.errors import UserError


def row(low: float, high: float, direction: str = "lower") -> Row:
    """A measured change with this interval."""
    return Row(
        "zram.usemem-1", "zram.usemem", "access", "ns/page", direction, 6, 100.0, 100.0,
        (low + high) / 2, low, high, "worse", "", 1.0, 0.1, 0.0, 0.1, 0.1,
    )  # fmt: skip


def claim(**more: Any) -> PublishedChange:
    """A change of +5 % with a spread of 1 %."""
    fields: dict[str, Any] = {"old": (100.0, 0.6), "new": (105.0, 0.8), "cpus": 4, **more}
    return PublishedChange("usemem, real", "s", "lower", **fields)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(4.5, 6.5, "agree"), (5.9, 8.0, "agree"), (6.1, 8.0, "differs"), (-6.0, -4.0, "differs")],
)
def test_alike_conditions_are_judged_by_whether_the_intervals_meet(
    low: float, high: float, verdict: str
) -> None:
    assert claims._judge(claim(), row(low, high), [])[0] == verdict


def test_a_rate_is_held_against_a_time_by_its_inverse() -> None:
    rate = PublishedChange("usemem", "KB/s", "higher", change_pct=-20.0)
    assert claims._judge(rate, row(24.0, 26.0), [])[0] == "agree"
    assert claims._judge(rate, row(-21.0, -19.0), [])[0] == "differs"


def test_another_clock_is_never_judged_and_the_sides_are_told() -> None:
    verdict, why = claims._judge(claim(), row(20.0, 22.0), ["clock (instructions, not time)"])
    assert verdict == "cannot be told here"
    assert why == "differs in clock (instructions, not time); claimed worse, measured worse"


def test_the_files_are_read_and_their_changes_are_those_that_were_published() -> None:
    found = {(one.name, line.what): line.change for one in published.changes() for line in one.rows}
    assert found["swap-table-p4-v5", "valkey, GET"] == pytest.approx(1.42, abs=0.01)
    assert found["swap-table-p4-v5", "kernel build, system time"] == pytest.approx(-2.77, abs=0.01)
    free = found["vswap-table-v2", "usemem, 1 process, time to free"]
    assert free == pytest.approx(-15.0, abs=0.05)
    times = {one.name: one for one in published.times()}
    v5 = {line.what: line.change for line in times["vswap-v5"].rows}
    assert v5["usemem-52, real"] == pytest.approx(22.4, abs=0.05)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{what: a, unit: s, direction: lower}", "either old and new, or change_pct"),
        ("{what: a, unit: s, direction: up, change_pct: 1}", "direction"),
        ("{what: a, unit: s, direction: lower, change_pct: 1, near: [x]}", "no cell and metric"),
        ("{what: a, unit: s, direction: lower, old: [0], new: [1]}", "an old of nothing"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, line: str, said: str) -> None:
    head = "title: t\nseries: s\nrevision: v1\nsource: mail\nbackend: zram\nrows:\n"
    (tmp_path / "s-v1.yaml").write_text(f"{head}  - {line}\n")
    with pytest.raises(UserError, match=rf"s-v1\.yaml.*{said}"):
        list(published.changes(tmp_path))

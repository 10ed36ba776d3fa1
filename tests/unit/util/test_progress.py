# SPDX-License-Identifier: GPL-2.0-only
"""Stages and their times."""

from __future__ import annotations

from harness.util.progress import Progress


def test_times_are_those_of_one_comparison_of_many() -> None:
    """A walk makes one after another, and each says what it took itself."""
    progress = Progress()
    for name in ("build", "boots"):
        with progress.stage(name):
            pass
    before = progress.finished
    for name in ("boots", "report", "boots"):
        with progress.stage(name):
            pass
    assert [one.stage for one in progress.stages()] == ["build", "boots", "report"]
    assert [one.stage for one in progress.stages(before)] == ["boots", "report"]

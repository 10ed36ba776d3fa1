# SPDX-License-Identifier: GPL-2.0-only
"""What the report says of the settings that the guests' kernels gave back."""

from __future__ import annotations

import pytest

from harness.report import conditions

ONE, TWO = "zram-swappiness-60.pageio", "zram-swappiness-180.pageio"


@pytest.mark.parametrize(
    ("by_cell", "said"),
    [
        ({ONE: {"base": {"60"}, "patch": {"60"}}, "zram.fill": {"base": {"60"}}}, "60"),
        ({ONE: {"base": {"60"}, "patch": {"60"}}, TWO: {"base": {"180"}, "patch": {"180"}}},
         "60 in zram-swappiness-60; 180 in zram-swappiness-180"),
        ({ONE: {"base": {"60"}, "patch": {"100"}}}, "DIFFERS: base 60, patch 100"),
        ({ONE: {"base": {"60", "100"}}}, "DIFFERS: base 100/60"),
    ],
)  # fmt: skip
def test_cells_may_differ_and_kernels_may_not(
    by_cell: dict[str, dict[str, set[str]]], said: str
) -> None:
    assert conditions._said(by_cell) == said

# SPDX-License-Identifier: GPL-2.0-only
"""Which series a calibration measures, and on which back-ends."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.cli import commands
from harness.experiment import spec
from harness.studies.calibrate.measure import _backends
from harness.studies.calibrate.report import ALL_BACKENDS, PLACED, PROFILED, WAITING_ONLY, _steps


@pytest.mark.parametrize(
    ("asked", "everywhere", "waiting"),
    [
        ({}, ("swapfile", "swappart", "zswap", "zram"), ("swapfile", "swappart")),
        ({"backends": "zram,swapfile"}, ("zram", "swapfile"), ("swapfile",)),
        ({"backends": "zram"}, ("zram",), ()),
    ],
)
def test_more_weights_where_pages_wait(
    asked: dict[str, Any], everywhere: tuple[str, ...], waiting: tuple[str, ...]
) -> None:
    experiment = spec.load(None, asked)
    assert {_backends(series, experiment) for series in ALL_BACKENDS} == {everywhere}
    assert {_backends(series, experiment) for series in WAITING_ONLY} == {waiting}


def test_each_step_is_between_neighbours_of_those_that_ran() -> None:
    names = [name.removeprefix("calibration-") for pair in _steps(ALL_BACKENDS) for name in pair]
    assert names == ["in10", "in100", "in100", "in1000"]
    assert len(list(_steps((*ALL_BACKENDS, *WAITING_ONLY)))) == 8


def test_the_help_counts_the_series_that_are_measured() -> None:
    told = " ".join(commands.build().commands["calibrate"].format_help().split())
    assert f" {len(ALL_BACKENDS) + len(WAITING_ONLY)} series are measured over " in told
    assert len(PLACED) == 2 and "Two more series are for profiles alone" in told

    def amounts(way: str, names: tuple[str, ...]) -> list[str]:
        found = (re.fullmatch(rf"calibration-{way}(\d+)", name) for name in names)
        return sorted((one[1] for one in found if one), key=int)

    def listed(found: list[str]) -> str:
        return f"{', '.join(found[:-1])} and {found[-1]}"

    assert f"no change, {listed(amounts('in', ALL_BACKENDS))} instructions for each page" in told
    assert amounts("out", ALL_BACKENDS) == ["1000"] and "and 1000 for each page swapped out" in told
    waiting = (
        f"{listed(amounts('in', WAITING_ONLY))} in, and {listed(amounts('out', WAITING_ONLY))}"
    )
    assert f"where pages wait for a disk also {waiting} out" in told
    assert f"{listed(amounts('in', PROFILED))} in are looked for in profiles" in told

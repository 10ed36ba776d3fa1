# SPDX-License-Identifier: GPL-2.0-only
"""Which series a calibration measures, and on which back-ends."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiment import spec
from harness.studies.calibrate.measure import _backends
from harness.studies.calibrate.report import ALL_BACKENDS, WAITING_ONLY, _steps


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

# SPDX-License-Identifier: GPL-2.0-only
"""The sizes of both kernels as a result keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.results import sizes
from harness.results.sizes import FunctionSize, KernelSize, Sizes

BASE = KernelSize(100, 20, 3, {"same": 1, "grows": 10, "shrinks": 9, "goes": 80})
PATCH = KernelSize(110, 20, 5, {"same": 1, "grows": 30, "shrinks": 2, "comes": 77})


def test_functions_that_differ_the_most_grown_first() -> None:
    found = Sizes.of(BASE, PATCH)
    assert found.changed == (
        FunctionSize("comes", None, 77), FunctionSize("grows", 10, 30),
        FunctionSize("shrinks", 9, 2), FunctionSize("goes", 80, None),
    )  # fmt: skip
    assert [one.change for one in found.changed] == [77, 20, -7, -80]
    assert Sizes.of(BASE, BASE).changed == ()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert sizes.read(tmp_path) is None, "older results have none"
    sizes.write(tmp_path, Sizes.of(BASE, PATCH))
    assert sizes.read(tmp_path) == Sizes.of(BASE, PATCH)


@pytest.mark.parametrize(
    "change", [{"base": None}, {"changed": [["x", 1]]}, {"changed": 3}, {"patch": {"text": "x"}}]
)
def test_a_damaged_file_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    sizes.write(tmp_path, Sizes.of(BASE, PATCH))
    path = tmp_path / sizes.NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert sizes.read(tmp_path) is None
    path.write_text("{")
    assert sizes.read(tmp_path) is None

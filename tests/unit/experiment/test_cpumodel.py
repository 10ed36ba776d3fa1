# SPDX-License-Identifier: GPL-2.0-only
"""The CPUs whose caches are modelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.experiment import cpumodel
from harness.util.errors import UserError


def test_a_server_of_each_kind_is_known() -> None:
    known = cpumodel.known()
    assert set(known) == {"sapphire-rapids", "neoverse-n1"}
    assert known["sapphire-rapids"].l2.size == 2 << 20
    for model in known.values():
        costs = [model.levels[event].miss for event in ("l1d", "l2", "llc")]
        assert costs == sorted(costs), "what is farther away takes longer"
    assert cpumodel.plugin_lines([known["neoverse-n1"]]) == (
        "model neoverse-n1 64 65536 4 65536 4 1048576 8 16777216 16 48 48 48 48 1280 5\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{size: 48K, ways: 12", "{size: 48K, ways: 11", "whole sets"),
        ("{size: 48K, ways: 12", "{size: 48X, ways: 12", "not a size"),
        ("cycles: 0.5", "cycles: fast", "cycles"),
        ("  line: 64\n  cycles: 0.6", "  line: 128\n  cycles: 0.6", "'line' differs"),
        ("  line: 64\n  cycles: 0.6", "  cycles: 0.6", "line"),
    ],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = cpumodel.MODELS.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "cpus.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        cpumodel.load(path)

# SPDX-License-Identifier: GPL-2.0-only
"""The files that the caches and locks plugins get for a boot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.util.errors import InfraError
from harness.vm import instrument
from harness.vm.watch import Deadlines

MAP = """\
0000000000000000 D __per_cpu_start
ffffffff81000100 T __switch_to_asm
ffffffff81000260 T _raw_spin_lock
ffffffff81600000 T asm_exc_page_fault
ffffffff81600040 t error_entry
ffffffff81600100 T etext
"""


def made(tmp_path: Path, name: str, system_map: str) -> tuple[str, str]:
    """The option and the content of its file."""
    (tmp_path / "System.map").write_text(system_map, encoding="utf-8")
    kernel: Any = SimpleNamespace(path=tmp_path)
    plugins = {name: tmp_path / f"{name}.so"}
    found = instrument.make(name, plugins, kernel, tmp_path / "boot", tmp_path)
    assert found.out == tmp_path / f"boot/{name}.raw"
    ((option, path),) = found.options
    return option, Path(path).read_text(encoding="ascii")


def test_caches_get_all_models_and_where_operations_begin(tmp_path: Path) -> None:
    option, text = made(tmp_path, instrument.CACHES, MAP)
    lines = text.splitlines()
    assert option == "models"
    assert [line.split()[:2] for line in lines] == [
        ["model", "sapphire-rapids"], ["model", "neoverse-n1"], ["operation", "ffffffff81600000"],
        ["symbol", "__per_cpu_start"], ["data", "0"],
    ]  # fmt: skip


def test_locks_get_the_functions_of_the_kernel(tmp_path: Path) -> None:
    option, text = made(tmp_path, instrument.LOCKS, MAP)
    assert option == "functions"
    assert "ffffffff81000260 6290848 spin\n" in text


def test_a_kernel_whose_locks_are_others_is_said(tmp_path: Path) -> None:
    other = MAP.replace("_raw_spin_lock", "_other_lock")
    with pytest.raises(InfraError, match="no function _raw_spin_lock, so its locks cannot"):
        made(tmp_path, instrument.LOCKS, other)


def test_a_boot_can_be_asked_for_both() -> None:
    assert {instrument.CACHES, instrument.LOCKS} <= instrument.NAMES


def test_a_guest_under_a_plugin_may_take_longer() -> None:
    deadlines = Deadlines.for_clock("insn", workload=100)
    assert deadlines.slower(1) == deadlines
    slow = deadlines.slower(instrument.SLOWER[instrument.CACHES])
    assert (slow.silence, slow.workload, slow.boot) == (720, 800, 1440)
    assert set(instrument.SLOWER) == instrument.NAMES

# SPDX-License-Identifier: GPL-2.0-only
"""The tables for plugins, from a System.map."""

from __future__ import annotations

import pytest

from harness.build import lockfunctions

MAP = """\
0000000000000000 D __per_cpu_start
000000000002a000 D __per_cpu_end
ffffffff81000000 T _text
ffffffff81000100 T __switch_to_asm
ffffffff81000150 T swap_writepage
ffffffff81000200 t mutex_lock
ffffffff81000210 T mutex_unlock
ffffffff81000220 t __mutex_lock_slowpath.constprop.0
ffffffff81000260 T _raw_spin_lock
ffffffff81000270 T _raw_spin_unlock_irqrestore
ffffffff81000280 T __alias_of_it
ffffffff81000280 T _raw_write_lock_irqsave
ffffffff810002a0 T down_read_trylock
ffffffff810002c0 T down_read_trylock_not
ffffffff810002d0 D mutex_trylock
ffffffff81600000 T asm_exc_page_fault
ffffffff81600020 T asm_sysvec_apic_timer_interrupt
ffffffff81600040 t error_entry
ffffffff81600100 T etext
"""


def test_functions_have_roles_and_sizes() -> None:
    assert lockfunctions.lines(MAP).splitlines() == [
        "ffffffff81000100 80 switch",
        "ffffffff81000200 16 mutex",
        "ffffffff81000210 16 mutex-free",
        "ffffffff81000220 64 wait",
        "ffffffff81000260 16 spin",
        "ffffffff81000280 32 write",
        "ffffffff810002a0 32 rwsem-read-try",
        "ffffffff81600020 32 interrupt",
        "ffffffff81600040 192 entry",
    ]


def test_operations_begin_with_a_fault_or_a_write() -> None:
    assert lockfunctions.operations(MAP) == (
        "operation ffffffff81000150\noperation ffffffff81600000\n"
    )


def test_a_kernel_that_has_other_functions_is_told() -> None:
    with pytest.raises(ValueError, match=r"^error_entry$"):
        lockfunctions.lines(MAP.replace("error_entry", "other_entry"))


def test_where_per_cpu_symbols_lie() -> None:
    assert lockfunctions.per_cpu(MAP) == (0, 0x2A000)
    assert lockfunctions.per_cpu(MAP.replace("__per_cpu_end", "end")) is None

# SPDX-License-Identifier: GPL-2.0-only
"""The table of a kernel's functions that QEMU's plugins read."""

from __future__ import annotations

from harness.build import functions

MAP = """\
0000000000000000 D __per_cpu_start
0000000000001000 t not_there
ffffffff81000000 T _stext
ffffffff81000000 t __pfx_outer
ffffffff81000010 t __outer
ffffffff81000010 T outer
ffffffff81000040 t twice
ffffffff81000050 t twice
ffffffff81000060 T ret_from_fork_asm
ffffffff81000070 T ret_from_fork
ffffffff81000080 t handle_softirqs
ffffffff81000090 t kthread
ffffffff81000100 T entry_SYSCALL_64
ffffffff81000110 T entry_SYSCALL_64_after_hwframe
ffffffff81000120 T irq_entries_start
ffffffff81000130 T asm_exc_page_fault
ffffffff81000140 T asm_sysvec_apic_timer_interrupt
ffffffff81000150 T asm_common_interrupt
ffffffff81000200 t outer.cold
ffffffff81000210 t twice.cold
ffffffff82000000 D data
"""


def test_kinds_and_parts_by_address() -> None:
    found = functions.functions(MAP)
    assert [one.address for one in found] == sorted({one.address for one in found})
    kinds = {one.name: one.kind for one in found if one.kind != "-"}
    assert kinds == {
        "ret_from_fork_asm": "n", "handle_softirqs": "s", "kthread": "k",
        "entry_SYSCALL_64": "c", "irq_entries_start": "v", "asm_exc_page_fault": "x",
        "asm_sysvec_apic_timer_interrupt": "i", "asm_common_interrupt": "i",
    }  # fmt: skip
    names = {one.address: one.name for one in found}
    assert names[0xFFFFFFFF81000010] == "outer"
    parts = {one.name: one.whole for one in found if one.whole != one.address}
    assert parts == {"outer.cold": 0xFFFFFFFF81000010}, "of two functions it is nobody's"
    lines = list(functions.lines(found))
    assert "ffffffff81000200 - ffffffff81000010\n" in lines
    assert "ffffffff81000100 c\n" in lines


def test_before_6_6_a_task_begins_elsewhere() -> None:
    found = functions.functions(MAP.replace("ret_from_fork_asm", "other"))
    assert [one.name for one in found if one.kind == "n"] == ["ret_from_fork"]

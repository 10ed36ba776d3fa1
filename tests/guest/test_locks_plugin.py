# SPDX-License-Identifier: GPL-2.0-only
"""The locks plugin in the QEMU that is here, with a guest whose holds are known."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.experiment.arch import HERE
from tests.guest import bootsector
from tests.guest.bootsector import marked

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or shutil.which(HERE.qemu) is None, reason="needs gcc and QEMU"
)

A, B = 0x100000, 0x100240
"""Locks."""
LOCK = "\txorl\t%eax, %eax\n\tmovl\t$1, %edx\n\tlock cmpxchgl %edx, (%rdi)\n\tret\n"
"""As a compiler makes queued_spin_lock(), without the slow path: held from the last but one."""

INTERRUPTED = f"""
	movl	${A}, %edi
here:	call	lock
	movq	%rsp, %rax		/* what the CPU pushes for an interrupt of the kernel */
	pushq	$0
	pushq	%rax
	pushfq
	pushq	$0x08
	leaq	back(%rip), %rax
	pushq	%rax
	jmp	interrupt		/* ret, these 8, and push and call there: 11 */
back:	nop
	movb	$0, (%rdi)		/* 2 */
"""
"""A lock is held over an interrupt, which goes on in the function of that name."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bootsector.built(tmp_path_factory.mktemp("locks"), "locks")


def run(
    built: Path, folder: Path, code: str, functions: str, roles: Mapping[str, str]
) -> tuple[list[list[str]], Mapping[str, int]]:
    """``roles`` by symbol; a function ends at the symbol <name>_end."""
    image, symbols = bootsector.assemble(folder, marked(code), functions)
    table = folder / "functions"
    table.write_text(
        "".join(
            f"{symbols[name]:x} {symbols[f'{name}_end'] - symbols[name]} {role}\n"
            for name, role in roles.items()
        ),
        encoding="ascii",
    )
    return bootsector.run(built, folder, image, "locks", {"functions": table}), symbols


def function(name: str, code: str) -> str:
    return f"{name}:\n{code}{name}_end:\n"


def test_each_place_has_its_acquisitions_and_holds(built: Path, tmp_path: Path) -> None:
    code = f"""
	movl	$100, %ebx
1:	movl	${A}, %edi
here:	call	lock
	.fill	7, 1, 0x90
	movb	$0, (%rdi)		/* ret, 7 nops and this: 9 */
	movl	${B}, %edi
	testl	%edi, %edi
	jz	lock			/* never */
	call	tail
	.fill	2, 1, 0x90
	call	unlock			/* ret, 2 nops, call, and its store: 5 */
	movb	$0, (%rdi)		/* of a lock that nobody holds: a store like any other */
	decl	%ebx
	jnz	1b
"""
    functions = (
        function("lock", LOCK)
        + "tail:\tjmp\tlock\n"
        + "unlock:\txorl\t%eax, %eax\n\tmovb\t%al, (%rdi)\n\tret\n"
    )
    lines, symbols = run(built, tmp_path, code, functions, {"lock": "spin"})
    here, tail = f"{symbols['here']:x}", f"{symbols['tail']:x}"
    assert lines[0] == ["put", "1", "0"] and lines[-1] == ["end"]
    assert lines[1][0] == "executed" and 2000 < int(lines[1][1]) < 3500
    assert lines[2:-1] == [
        ["named", "user", "0", here, "spin", "100", "900", "9", "1"],
        ["named", "user", "0", tail, "spin", "100", "600", "6", "1"],
        ["site", here, "spin", "100", "900", "9", "1"],
        ["site", tail, "spin", "100", "600", "6", "1"],
        ["in", f"{A:x}", "user", "0"],
        ["object", f"{A:x}", here, "spin", "100", "900", "9"],
        ["in", f"{B:x}", "user", "0"],
        ["object", f"{B:x}", tail, "spin", "100", "600", "6"],
        ["lost", "0"],
        ["unmatched", "0"],
    ]


def test_readers_writers_and_sleepers(built: Path, tmp_path: Path) -> None:
    code = f"""
	movl	$0xc0000101, %ecx	/* GS's base */
	movl	$0x3000, %eax
	xorl	%edx, %edx
	wrmsr
	movl	${A}, %edi
read:	call	read_lock
	movl	$-512, %eax
	lock xaddl %eax, (%rdi)		/* ret, mov and this: 3 */
write:	call	write_lock
	nop
	movb	$0, (%rdi)		/* 3 */
	movl	${B}, %edi
mutex:	call	mutex_lock		/* 1 nop in here, too */
	nop
	call	mutex_unlock		/* nop, ret, nop, call, and the exchange: 5 */
wsem:	call	down_write
	call	downgrade		/* ret, call, exchange: 3 */
dsem = . - 5
	nop
	call	up_read			/* ret, nop, call, exchange: 4 */
"""
    exchange = "\tlock cmpxchgq %rdx, (%rdi)\n"
    add = "\tlock xaddq %rax, (%rdi)\n"
    functions = "".join(
        function(name, body + "\tret\n")
        for name, body in (
            ("read_lock", "\tlock xaddl %eax, (%rdi)\n"),
            ("write_lock", "\tlock cmpxchgl %edx, (%rdi)\n"),
            ("mutex_lock", "\tmovq\t%gs:high(%rip), %rdx\n" + exchange + "\tnop\n"),
            ("mutex_unlock", exchange),
            ("down_write", exchange),
            ("downgrade", add),
            ("up_read", add),
        )
    )
    roles = {
        "read_lock": "read", "write_lock": "write", "mutex_lock": "mutex",
        "mutex_unlock": "mutex-free", "down_write": "rwsem-write", "downgrade": "downgrade",
        "up_read": "rwsem-read-free",
    }  # fmt: skip
    lines, symbols = run(built, tmp_path, code, functions, roles)
    sites = {(int(line[1], 16), line[2]): line[3:] for line in lines if line[0] == "site"}
    assert sites == {
        (symbols["read"], "read"): ["1", "3", "3", "1"],
        (symbols["write"], "write"): ["1", "3", "3", "1"],
        (symbols["mutex"], "mutex"): ["1", "5", "5", "1"],
        (symbols["wsem"], "rwsem-write"): ["1", "3", "3", "1"],
        (symbols["dsem"], "rwsem-read"): ["1", "4", "4", "1"],
    }
    assert lines[-3:-1] == [["lost", "0"], ["unmatched", "0"]]
    assert lines[2] == ["percpu", "3000"]


def test_an_interrupt_is_not_what_it_interrupts(built: Path, tmp_path: Path) -> None:
    """It takes a lock of its own, which is held for as long as ever."""
    functions = (
        function("lock", LOCK)
        + function(
            "interrupt",
            f"""
	pushq	$-1
	call	entry
	.fill	100, 1, 0x90
	movl	${B}, %edi
inner:	call	lock
	.fill	20, 1, 0x90
	movb	$0, (%rdi)
	movl	${A}, %edi
	addq	$8, %rsp
	iretq
""",
        )
        + function("entry", "\tret\n")
    )
    roles = {"lock": "spin", "interrupt": "interrupt", "entry": "entry"}
    lines, symbols = run(built, tmp_path, INTERRUPTED, functions, roles)
    sites = {int(line[1], 16): line[2:] for line in lines if line[0] == "site"}
    assert sites == {
        symbols["here"]: ["spin", "1", "13", "13", "1"],
        symbols["inner"]: ["spin", "1", "22", "22", "1"],
    }


def test_an_interrupt_ends_where_it_is_preempted(built: Path, tmp_path: Path) -> None:
    functions = (
        function("lock", LOCK)
        + function(
            "interrupt",
            """
	pushq	$-1
	call	entry
	.fill	100, 1, 0x90
	call	switch
	addq	$48, %rsp		/* the next task: ret and these 2 */
	jmp	back
""",
        )
        + function("entry", "\tret\n")
        + function("switch", "\tnop\n\tret\n")
    )
    roles = {"lock": "spin", "interrupt": "interrupt", "entry": "entry", "switch": "switch"}
    lines, symbols = run(built, tmp_path, INTERRUPTED, functions, roles)
    sites = {int(line[1], 16): line[2:] for line in lines if line[0] == "site"}
    assert sites == {symbols["here"]: ["spin", "1", "16", "16", "1"]}


def test_who_waits_and_who_tries(built: Path, tmp_path: Path) -> None:
    code = f"""
	movl	${A}, %edi
first:	call	mutex_lock
second:	call	mutex_lock
	call	slow
	call	trylock			/* fails: it is held */
	nop
	call	mutex_unlock		/* of the first: ret, the second's 4, 1 of slow's, try's 4, 2 */
	call	mutex_unlock		/* of the second: ret, call, exchange: 3 */
try:	call	trylock
	call	mutex_unlock
"""
    exchange = "\tlock cmpxchgq %rdx, (%rdi)\n\tret\n"
    functions = "".join(
        function(name, body)
        for name, body in (
            ("mutex_lock", exchange),
            ("mutex_unlock", exchange),
            ("trylock", exchange),
            ("slow", "\tret\n"),
        )
    )
    roles = {
        "mutex_lock": "mutex", "mutex_unlock": "mutex-free", "trylock": "mutex-try", "slow": "wait",
    }  # fmt: skip
    lines, symbols = run(built, tmp_path, code, functions, roles)
    sites = {int(line[1], 16): line[2:5] for line in lines if line[0] == "site"}
    assert sites == {
        symbols["first"]: ["mutex", "1", "12"],
        symbols["second"]: ["mutex", "1", "3"],
        symbols["try"]: ["mutex", "1", "3"],
    }
    assert lines[-3:-1] == [["lost", "0"], ["unmatched", "0"]]


def test_a_file_that_is_no_table_is_said(built: Path, tmp_path: Path) -> None:
    image, _ = bootsector.assemble(tmp_path, "")
    table = tmp_path / "functions"
    for text, said in (("ffffffff81000000 12 nonsense\n", "no function"), ("", "wants out=FILE")):
        table.write_text(text, encoding="ascii")
        with pytest.raises(AssertionError, match=said):
            bootsector.run(built, tmp_path, image, "locks", {"functions": table})

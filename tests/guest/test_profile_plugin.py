# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's profiling plugin, loaded by a fake QEMU that executes blocks whose counts are known."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from harness.results import profile
from harness.results.profile import BootProfile, Chain, ProfileError, Root, Sum
from tests.guest.test_plugin import BEGIN, CLEAR, END, FLAGS, PUT, ROOT, marker

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

TEXT = 0xFFFFFFFF81000000
OUTER, INNER, SYSCALL, FAULT, IRQ, SOFTIRQS, SWITCH, FORKED, KTHREAD, THREAD, VECTORS, PART = (
    TEXT + 0x100 * number for number in range(12)
)
KINDS = {SYSCALL: "c", FAULT: "x", IRQ: "i", SOFTIRQS: "s", FORKED: "n", KTHREAD: "k", VECTORS: "v"}
NOP, CALL, RET, IRET, SYSRET, JUMP = "90", "e800000000", "c3", "48cf", "480f07", "e900000000"
USER = 0x401000


def at(address: int, *insns: str) -> str:
    return f"{address:x}:{','.join(insns)}"


FIRST = [at(USER, marker(CLEAR)), at(USER, marker(BEGIN))]
LAST = [at(USER, marker(END)), at(USER, marker(PUT))]
"""The block of the mark that ends is counted, that of the one that begins is not."""


class Profiler:
    """The plugin and the fake QEMU, built into a folder for both interfaces."""

    def __init__(self, out: Path) -> None:
        self.out, self.table, self.raw = out, out / "functions", out / "raw"
        lines = [f"{address:x} {KINDS.get(address, '-')}" for address in range(OUTER, PART, 0x100)]
        text = "\n".join([*lines, f"{PART:x} - {OUTER:x}"]) + "\n"
        self.table.write_text(text, encoding="ascii")
        plugins = ROOT / "vm-images/plugins"
        for api in (1, 4):
            argv: list[str | Path] = ["gcc", *FLAGS, f"-DQEMU_PLUGIN_API={api}"]
            host = ROOT / "tests/guest/plugin_host.c"
            subprocess.run([*argv, "-rdynamic", "-o", out / f"host-{api}", host], check=True)
            shared: list[str | Path] = [
                "-fPIC",
                "-shared",
                "-fvisibility=hidden",
                "-o",
                out / f"profile-{api}.so",
            ]
            sources = [plugins / "profile.c", plugins / "plugin.c"]
            subprocess.run([*argv, *shared, *sources], check=True)

    def __call__(self, api: int, blocks: list[str]) -> BootProfile:
        argv: list[str | Path] = [
            self.out / f"host-{api}",
            self.out / f"profile-{api}.so",
            f"out={self.raw}",
        ]
        subprocess.run([*argv, f"functions={self.table}", *blocks], check=True)
        return self.read(self.raw.read_bytes())

    def read(self, text: bytes) -> BootProfile:
        packed = self.out / "profile.gz"
        packed.write_bytes(gzip.compress(text))
        return profile.read(packed)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Profiler:
    return Profiler(tmp_path_factory.mktemp("plugins"))


def counted(run: Profiler, api: int, *blocks: str) -> Sum:
    return run(api, [*FIRST, *blocks, *LAST]).sums[1]


def chains(one: Sum) -> dict[Chain, tuple[int, int]]:
    return {chain: (count.insns, count.calls) for chain, count in one.chains.items()}


def work(*functions: int) -> Chain:
    return Chain(Root.WORK, (profile.USER, *functions))


apis = pytest.mark.parametrize("api", [1, 4])


@apis
def test_calls_and_returns_make_chains(run: Profiler, api: int) -> None:
    one = counted(
        run, api,
        at(USER, NOP, NOP),
        at(SYSCALL, NOP, CALL),  # 6 bytes: the call returns to SYSCALL + 6
        at(OUTER, NOP, NOP, CALL),
        at(INNER, NOP, RET),
        at(OUTER + 7, CALL),
        at(INNER, NOP, RET),
        at(OUTER + 12, RET),
        at(SYSCALL + 6, SYSRET),
        at(USER + 2, NOP),
    )  # fmt: skip
    assert chains(one) == {
        work(): (4, 0),
        work(SYSCALL): (3, 1),
        work(SYSCALL, OUTER): (5, 1),
        work(SYSCALL, OUTER, INNER): (4, 2),
    }
    assert one.insns == 16
    by_place = {block.address: times for block, times in one.entered.items()}
    assert by_place == {
        SYSCALL: 1, SYSCALL + 6: 1, OUTER: 1, OUTER + 7: 1, OUTER + 12: 1, INNER: 2
    }  # fmt: skip


@apis
def test_a_jump_to_another_function_has_the_same_caller(run: Profiler, api: int) -> None:
    one = counted(
        run, api,
        at(SYSCALL, CALL), at(OUTER, JUMP), at(INNER, NOP, RET), at(SYSCALL + 5, SYSRET),
        at(SYSCALL, CALL), at(OUTER, NOP), at(PART, NOP, NOP), at(OUTER + 1, RET),
        at(SYSCALL + 5, SYSRET),
    )  # fmt: skip
    assert chains(one) == {
        work(): (1, 0),
        work(SYSCALL): (4, 2),
        # What the compiler moved away is a part of its function.
        work(SYSCALL, OUTER): (5, 2),
        work(SYSCALL, INNER): (2, 1),
    }


@apis
def test_what_a_fault_cuts_off_is_not_counted(run: Profiler, api: int) -> None:
    handled = (at(FAULT, NOP, NOP), at(FAULT + 2, IRET))
    one = counted(
        run, api,
        at(USER, NOP, NOP, NOP), *handled, at(USER + 1, NOP, NOP),
        # Likewise in the kernel, at the first instruction and before a call.
        at(SYSCALL, CALL),
        at(OUTER, NOP, NOP, CALL), *handled, at(OUTER, NOP, NOP, CALL),
        *handled, at(OUTER + 2, CALL),
        at(INNER, RET), at(OUTER + 7, RET), at(SYSCALL + 5, SYSRET),
    )  # fmt: skip
    assert chains(one) == {
        work(): (4, 0),
        work(FAULT): (3, 1),
        work(SYSCALL): (2, 1),
        work(SYSCALL, OUTER): (4, 1),
        work(SYSCALL, OUTER, FAULT): (6, 2),
        work(SYSCALL, OUTER, INNER): (1, 1),
    }
    assert one.insns == 20
    executed = Counter[int]()
    for block, times in one.entered.items():
        executed.update(dict.fromkeys(block.addresses(), times))
    outer = {place: times for place, times in executed.items() if OUTER <= place < INNER}
    assert outer == {OUTER: 1, OUTER + 1: 1, OUTER + 2: 1, OUTER + 7: 1}


@apis
def test_a_block_that_is_entered_again_inside_was_left_early(run: Profiler, api: int) -> None:
    back = "75fd"  # jnz to the byte before it
    one = counted(
        run, api,
        at(SYSCALL, NOP, NOP, NOP, NOP), at(SYSCALL + 1, NOP, NOP, NOP),
        # A loop into the block's middle is none of that, nor is one to its last instruction.
        at(OUTER, NOP, NOP, NOP, back), at(OUTER + 2, NOP, back),
        at(INNER, NOP, NOP, "f3a4"), at(INNER + 2, "f3a4"),
    )  # fmt: skip
    assert {chain.functions[-1]: count.insns for chain, count in one.chains.items()} == {
        profile.USER: 1, SYSCALL: 4, OUTER: 6, INNER: 4
    }  # fmt: skip


@apis
@pytest.mark.parametrize("ending", [RET, CALL, JUMP])
def test_a_block_may_be_left_before_the_call_or_return_that_ends_it(
    run: Profiler, api: int, ending: str
) -> None:
    """As by the access to a device in iowrite16() or native_apic_mem_eoi(), in one block or two."""
    one = counted(
        run, api,
        at(SYSCALL, NOP, CALL),
        at(OUTER, NOP, NOP, NOP, ending), at(OUTER + 1, NOP, NOP, ending), at(OUTER + 3, ending),
        *([at(INNER, NOP, RET), at(OUTER + 8, RET)] if ending == CALL else []),
        *([at(INNER, RET)] if ending == JUMP else []),
        at(SYSCALL + 6, SYSRET),
    )  # fmt: skip
    inner = {CALL: work(SYSCALL, OUTER, INNER), JUMP: work(SYSCALL, INNER)}
    counts = {CALL: (2, 1), JUMP: (1, 1)}
    assert chains(one) == {
        work(): (1, 0),
        work(SYSCALL): (3, 1),
        work(SYSCALL, OUTER): (5 if ending == CALL else 4, 1),
        **({inner[ending]: counts[ending]} if ending in inner else {}),
    }


@apis
def test_an_interrupt_may_come_where_a_block_was_left(run: Profiler, api: int) -> None:
    one = counted(
        run, api,
        at(SYSCALL, CALL),
        at(OUTER, NOP, NOP, RET), at(IRQ, NOP, IRET), at(OUTER + 1, NOP, RET),
        at(SYSCALL + 5, SYSRET),
    )  # fmt: skip
    assert chains(one)[work(SYSCALL, OUTER)] == (3, 1)
    assert chains(one)[work(SYSCALL)] == (2, 1)
    assert chains(one)[Chain(Root.INTERRUPT, (IRQ,))] == (2, 1)


@apis
def test_interrupts_and_softirqs_are_told_apart(run: Profiler, api: int) -> None:
    softirqs = (at(IRQ, NOP, CALL), at(SOFTIRQS, NOP, NOP, RET), at(IRQ + 6, IRET))
    one = counted(
        run, api,
        at(SYSCALL, CALL),
        # Between a call and its function, and once more before that goes on.
        at(VECTORS + 0x10, NOP, JUMP), *softirqs, *softirqs,
        at(OUTER, NOP, RET),
        at(SYSCALL + 5, SYSRET),
    )  # fmt: skip
    assert chains(one) == {
        work(): (1, 0),
        work(SYSCALL): (2, 1),
        work(SYSCALL, OUTER): (2, 1),
        Chain(Root.INTERRUPT, (VECTORS,)): (2, 1),
        Chain(Root.INTERRUPT, (IRQ,)): (6, 2),
        Chain(Root.SOFTIRQ, (SOFTIRQS,)): (6, 2),
    }


def switch(task: int) -> str:
    return at(SWITCH, NOP, f"488ba658090000@{task:x}", JUMP)


@apis
def test_each_task_has_its_chain(run: Profiler, api: int) -> None:
    first, thread, child = 0x1000, 0x2000, 0x3000
    sums = run(api, [
        switch(first), *FIRST,
        at(SYSCALL, CALL), at(OUTER, CALL), switch(first),  # to itself
        at(SWITCH + 0x20, RET), at(OUTER + 5, CALL), switch(thread),
        # A kernel thread begins, and it is known by what it calls.
        at(SWITCH + 0x20, RET), at(FORKED, NOP, CALL), at(KTHREAD, CALL), at(THREAD, NOP, CALL),
        switch(child), at(SWITCH + 0x20, RET),
        # A task that begins after the workload is the workload's.
        at(FORKED, NOP, SYSRET), at(USER + 8, NOP, NOP), at(SYSCALL, NOP, CALL), switch(thread),
        at(SWITCH + 0x20, RET), at(THREAD + 6, NOP, CALL), switch(first),
        at(SWITCH + 0x20, RET), at(OUTER + 10, RET), at(SYSCALL + 5, SYSRET), *LAST,
    ])  # fmt: skip
    one = sums.sums[1]
    found = chains(one)
    assert found[Chain(Root.THREADS, (KTHREAD, THREAD))] == (4, 1)
    assert found[Chain(Root.THREADS, (KTHREAD,))] == (1, 1)
    assert found[work()] == (3, 0), "user space of both"
    assert found[work(SYSCALL)] == (4, 2)
    assert found[work(SYSCALL, OUTER)][0] == 1 + 1 + 1
    assert one.insns == sum(insns for insns, _ in found.values())


@apis
def test_code_that_is_patched_counts_where_it_runs(run: Profiler, api: int) -> None:
    blocks = [at(SYSCALL, NOP, "0f1f440000"), at(SYSCALL, NOP, JUMP)]
    one = counted(run, api, *blocks, blocks[0], at(SYSCALL, NOP, NOP, NOP), at(INNER, RET))
    sizes = {block.sizes: times for block, times in one.entered.items()}
    assert sizes == {(1, 5): 3, (1, 1, 1): 1, (1,): 1}
    assert (SYSCALL, 9) in {(c.functions[-1], n.insns) for c, n in one.chains.items()}


@apis
def test_sums_of_several_channels(run: Profiler, api: int) -> None:
    call = [at(SYSCALL, CALL), at(OUTER, NOP, RET), at(SYSCALL + 5, SYSRET)]
    both = [at(USER, marker(CLEAR, 1)), at(USER, marker(BEGIN, 1))]
    found = run(
        api,
        [
            *FIRST, *call, *both, *call, *LAST, at(USER, marker(PUT)), *call,
            at(USER, marker(END, 1)), at(USER, marker(PUT, 1)),
            *FIRST, *LAST, *FIRST, *call,
        ],
    )  # fmt: skip
    insns = {line: one.insns for line, one in found.sums.items()}
    # The second PUT of a sum that did not change repeats it; 0 is what the end cut off.
    assert insns == {1: 4 + 2 + 4 + 1, 2: 11, 3: 4 + 3 + 4 + 1, 4: 1, 0: 4}
    assert found.sums[1].chains == found.sums[2].chains


def test_a_file_that_a_crash_cut_off_has_what_was_whole(run: Profiler) -> None:
    call = [at(SYSCALL, CALL), at(OUTER, NOP, RET), at(SYSCALL + 5, SYSRET)]
    run(1, [*FIRST, *call, *LAST, *FIRST, *call, *call, *LAST])
    text = run.raw.read_text(encoding="ascii")
    for size in (len(text) - 1, len(text) - 3, text.rindex("p ") + 3):
        assert list(profile.parse(text[:size].splitlines(keepends=True)).sums) == [1]
    for wrong in (
        text.replace("profile 1", "profile 2"),
        text.replace("\nt ", "\nq ", 1),
        text.replace("p 1 0 5", "p 1 0 6"),
        text.replace("e 1", "e 7"),
    ):
        with pytest.raises(ProfileError, match=r"profile\.gz"):
            run.read(wrong.encode())
    (run.out / "profile.gz").write_bytes(b"\x1f\x8b no")
    with pytest.raises(ProfileError, match="cannot be read"):
        profile.read(run.out / "profile.gz")


def test_what_it_cannot_do_is_said(run: Profiler, tmp_path: Path) -> None:
    host: list[str | Path] = [
        run.out / "host-1",
        run.out / "profile-1.so",
        f"out={tmp_path / 'raw'}",
    ]
    table = tmp_path / "functions"
    table.write_text("ffffffff81000000 -\nffffffff80000000 -\n", encoding="ascii")

    def said(*words: str, vcpus: str = "1") -> bytes:
        environment = {**os.environ, "VCPUS": vcpus}
        done = subprocess.run([*host, *words], check=False, capture_output=True, env=environment)
        assert done.returncode == 4
        return done.stderr

    assert b"wants out=FILE,functions=FILE" in said()
    assert b"a line that is none: ffffffff80000000 -" in said(f"functions={table}")
    assert b"cannot open /nonexistent" in said("functions=/nonexistent")
    good = f"functions={run.table}"
    assert b"counts one vCPU, and this machine has 2" in said(good, vcpus="2")

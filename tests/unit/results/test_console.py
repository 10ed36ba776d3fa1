# SPDX-License-Identifier: GPL-2.0-only
"""The console's rules, held against whole logs of real kernels and against single lines."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results import console
from harness.results.console import Outcome
from harness.vm import watch

GOLDEN = Path(__file__).parents[2] / "golden" / "console"
LOGS = sorted(GOLDEN.glob("*.txt"))
NAMES = sorted((outcome.value for outcome in Outcome), key=len, reverse=True)


def expected(path: Path) -> str:
    """The outcome that a file's name begins with: ``panic-sysrq.txt`` -> ``panic``."""
    return next(name for name in NAMES if f"{path.stem}-".startswith(f"{name}-"))


def test_there_are_golden_logs() -> None:
    assert LOGS, f"no console logs in {GOLDEN}"
    kinds = {"ok", "panic", "oops", "lockdep", "soft-lockup", "hung-task", "boot-failed"}
    assert kinds <= {expected(path) for path in LOGS}


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_golden_log_gives_the_outcome_of_its_name(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    finding = console.worst(text)
    assert (finding.outcome if finding else Outcome.OK) == expected(path)
    if finding:
        assert finding.text.isprintable()


# Kernels 6.1 to 7.3; each line as its printk writes it.
LINES = [
    ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [pageio:201]", "soft-lockup"),
    ("watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0", "hang"),
    ("rcu: INFO: rcu_sched self-detected stall on CPU", "rcu-stall"),
    ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu-stall"),
    ("rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }", "rcu-stall"),
    ("INFO: task kswapd0:41 blocked for more than 120 seconds.", "hung-task"),
    ("INFO: task kswapd0:41 blocked in I/O wait for more than 120 seconds.", "hung-task"),
    ("WARNING: possible circular locking dependency detected", "lockdep"),
    ("WARNING: possible recursive locking detected", "lockdep"),
    ("WARNING: inconsistent lock state", "lockdep"),
    ("WARNING: possible irq lock inversion dependency detected", "lockdep"),
    ("WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected", "lockdep"),
    ("WARNING: bad unlock balance detected!", "lockdep"),
    ("WARNING: lock held when returning to user space!", "lockdep"),
    ("WARNING: suspicious RCU usage", "lockdep"),
    ("[ BUG: Invalid wait context ]", "lockdep"),
    ("WARNING: Nested lock was not taken", "lockdep"),
    ("WARNING: bad contention detected!", "lockdep"),
    ("WARNING: held lock freed!", "lockdep"),
    ("WARNING: kswapd0/41 still has locks held!", "lockdep"),
    ("WARNING: chain_key collision", "lockdep"),
    ("INFO: trying to register non-static key.", "lockdep"),
    ("BUG: MAX_LOCKDEP_CHAINS too low!", "warning"),
    ("turning off the locking correctness validator.", "warning"),
    ("BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!", "hang"),
    ("BUG kmalloc-64 (Not tainted): Poison overwritten", "oops"),
    ("BUG zswap_entry (Tainted: G    B   W): Right Redzone overwritten", "oops"),
    ("pagealloc: memory corruption", "oops"),
    ("mm/pgtable-generic.c:50: bad pmd 00000000deadbeef(8000000000000000)", "oops"),
    ("BUG: spinlock bad magic on CPU#0, pageio/201", "oops"),
    ("BUG: assuming atomic context at mm/zswap.c:1", "oops"),
    ("BUG: kernel NULL pointer dereference, address: 0000000000000008", "oops"),
    ("BUG: unable to handle page fault for address: ffffc90000200000", "oops"),
    ("BUG: KASAN: slab-use-after-free in swap_free+0x10/0x20", "oops"),
    ("BUG: KFENCE: use-after-free read in swap_free+0x10/0x20", "oops"),
    ("BUG: Bad page state in process pageio  pfn:12345", "oops"),
    ("BUG: Bad page map in process pageio  pte:ffff pmd:1000", "oops"),
    ("BUG: Bad rss-counter state mm:00000000 type:MM_SWAPENTS val:3", "oops"),
    ("BUG: sleeping function called from invalid context at mm/swapfile.c:1", "oops"),
    ("BUG: scheduling while atomic: pageio/201/0x00000002", "oops"),
    ("kernel BUG at mm/swapfile.c:1234!", "oops"),
    ("Oops: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
    ("Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1]", "oops"),
    ("general protection fault: 0000 [#1] SMP", "oops"),
    ("invalid opcode: 0000 [#1] PREEMPT SMP", "oops"),
    ("divide error: 0000 [#1] SMP", "oops"),
    ("Kernel panic - not syncing: sysrq triggered crash", "panic"),
    ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100", "panic"),
    (
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        "boot-failed",
    ),
    (
        "Kernel panic - not syncing: Requested init /sbin/harness-init failed (error -2).",
        "boot-failed",
    ),
    ("Kernel panic - not syncing: No working init found.  Try passing init=", "boot-failed"),
    ("Out of memory and no killable processes...", "guest-oom"),
    ("Out of memory: Killed process 201 (fill) total-vm:1048576kB", "guest-oom"),
    ("Memory cgroup out of memory: Killed process 201 (pressure) total-vm:1kB", "guest-oom"),
    ("WARNING: CPU: 0 PID: 201 at mm/swapfile.c:1234 swap_free+0x10/0x20", "warning"),
    ("WARNING: CPU: 0 PID: 201 at swap_free+0x10/0x20", "warning"),
    # Since 6.19 the line is another one.
    ("WARNING: mm/swapfile.c:1234 at swap_free+0x10/0x20, CPU#0: pageio/201", "warning"),
    ("WARNING: at swap_free+0x10/0x20, CPU#0: pageio/201", "warning"),
    ("get_swap_device: Bad swap file entry 3ffffffffffff", "warning"),
    ("swap_free: Unused swap offset entry 00000003", "warning"),
]


@pytest.mark.parametrize(("line", "outcome"), LINES)
@pytest.mark.parametrize("stamp", ["[   12.345678] ", "[   12.345678][  T201] ", ""])
def test_what_a_line_means(line: str, outcome: str, stamp: str) -> None:
    found = console.findings(f"[    0.000000] Linux version 6.12\n{stamp}{line}\nmore\n")
    assert [(item.outcome.value, item.line) for item in found] == [(outcome, 1)]
    assert found[0].text == stamp + line


HARMLESS = [
    "Linux version 6.12.0 (gcc 12) #1 SMP PREEMPT_DYNAMIC",
    "Command line: console=ttyS0 oops=panic panic=-1",
    "Kernel command line: oops=panic panic=-1 init=/sbin/harness-init",
    "Adding 1048572k swap on /dev/zram0.  Priority:-2 extents:1 across:1048572k SS",
    "rcu: RCU restricting CPUs from NR_CPUS=64 to nr_cpu_ids=1.",
    "harness-init: ready",
    "watchdog: disabled",
    "random: crng init done",
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
    # The WARN or BUG below it is what counts.
    "list_del corruption. prev->next should be ffff, but was dead. (prev=ffff)",
    "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "... MAX_LOCKDEP_SUBCLASSES:  8",
    "INFO: lockdep is turned off.",
    "oom_reaper: reaped process 201 (fill)",
]


@pytest.mark.parametrize("line", HARMLESS)
def test_usual_lines_mean_nothing(line: str) -> None:
    assert console.findings(line) == ()
    assert console.worst(line) is None


def test_the_cause_is_told_not_the_panic_that_it_brought_about() -> None:
    text = (
        "WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2\n"
        "BUG: kernel NULL pointer dereference, address: 8\n"
        "Oops: 0000 [#1]\nKernel panic - not syncing: Fatal exception\n"
    )
    finding = console.fatal(text)
    assert finding and (finding.outcome, finding.line) == (Outcome.OOPS, 1)
    worst = console.worst(text)
    assert worst == finding, "a fatal finding outranks a warning before it"


def test_a_warning_and_an_oom_kill_do_not_end_a_boot() -> None:
    text = "Out of memory: Killed process 1 (x)\nWARNING: CPU: 0 PID: 1 at f+0x1/0x2\n"
    assert console.fatal(text) is None
    finding = console.worst(text)
    assert finding and finding.outcome is Outcome.GUEST_OOM


def test_control_characters_cannot_reach_a_terminal() -> None:
    text = "\x1b[31mKernel panic - not syncing: \x1b]0;title\x07\x9b2J evil\r\n"
    finding = console.worst(text)
    assert finding and finding.outcome is Outcome.PANIC
    assert finding.text.isprintable()
    assert console.tail(text).isprintable()


@given(st.text())
def test_a_tail_is_printable_and_short(text: str) -> None:
    lines = console.tail(text, lines=3).split("\n")
    assert len(lines) <= 3
    assert all(line.isprintable() for line in lines)


@given(st.text(), st.text())
def test_a_log_cut_off_anywhere_is_still_read(before: str, after: str) -> None:
    console.worst(before)
    text = f"{before}\nKernel panic - not syncing: x\n{after}"
    assert console.fatal(text) is not None


WORDS = (
    "Linux version 6.12\n", "kernel BUG at mm/a.c:1!\n", "WARNING: poss", "half a line", "\n",
    "ible recursive locking detected\n", "\r\n", "\N{SNOWMAN}", "last words",
)  # fmt: skip
PIECES = st.lists(st.sampled_from(WORDS), max_size=12)


@given(PIECES, st.integers(1, 40), st.integers(1, 3))
def test_a_console_that_grows_says_what_the_whole_one_says(
    pieces: list[str], piece: int, steps: int
) -> None:
    """However it arrives and however much of it is read at once."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.vm.watch._PIECE", piece)
        path = Path(name) / "console.log"
        log = watch._Log(path)
        assert not log.read()
        assert log.finding is None
        for number, text in enumerate(pieces):
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
            if number % steps == 0:
                log.read()
        while log.read():
            pass
        whole = "".join(pieces)
        found, known = log.finding, console.fatal(whole)
        assert (found and found.outcome) == (known and known.outcome)
        if found and known and "\N{SNOWMAN}" not in whole:
            assert found.text == known.text


def test_a_long_console_is_judged_once(tmp_path: Path) -> None:
    """A guest that printed without end had all of it judged again at each look, for minutes."""
    path = tmp_path / "console.log"
    path.write_bytes(b"nobody will read this line\n" * (1 << 18) + b"kernel BUG at mm/a.c:1!")
    log, looks = watch._Log(path), 0
    while log.read():
        looks += 1
    assert looks == math.ceil(path.stat().st_size / watch._PIECE)
    assert log.finding and log.finding.text == "kernel BUG at mm/a.c:1!"
    assert log.last == "kernel BUG at mm/a.c:1!"

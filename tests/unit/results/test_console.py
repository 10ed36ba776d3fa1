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
    # The condition stands in it since 6.19.
    ("WARNING: [!folio] mm/swapfile.c:12 at swap_free+0x10/0x20, CPU#1: pageio/201", "warning"),
    ("BUG: soft lockup - CPU#0 stuck for 26s! [pageio:201]", "soft-lockup"),
    ("INFO: rcu_tasks detected stalls on tasks:", "rcu-stall"),
    ("INFO: rcu_tasks_trace detected stalls on tasks:", "rcu-stall"),
    ("INFO: rcu_bh self-detected stall on CPU", "rcu-stall"),
    ("rcu: INFO: rcu_preempt detected expedited stalls, but suppressed full report", "rcu-stall"),
    ("rcu: rcu_sched kthread starved for 2600 jiffies! g-1019 f0x0 RCU_GP_WAIT_FQS", "rcu-stall"),
    ("rcu: rcu_sched kthread timer wakeup didn't happen for 2599 jiffies! g-1 f0x0", "rcu-stall"),
    ("INFO: task pageio:201 can't die for more than 143 seconds.", "hung-task"),
    (
        "INFO: The task a:1 has been waiting for writeback completion for more than 1200 seconds",
        "hung-task",
    ),
    ("[ INFO: possible recursive locking detected ]", "lockdep"),
    ("[ BUG: bad unlock balance detected! ]", "lockdep"),
    ("BUG: MAX_LOCK_DEPTH too low!", "warning"),
    ("BUG: KMSAN: uninit-value in swap_writepage+0x10/0x20", "oops"),
    ("BUG: KMSAN: kernel-infoleak in copy_to_iter+0x10/0x20", "oops"),
    ("BUG: TASK stack guard page was hit at 00000000c3a5d2ab (stack is 0001..0002)", "oops"),
    ("BUG: what a kernel of the next year finds", "oops"),
    ("traps: PANIC: double fault, error_code: 0x0", "oops"),
    ("PANIC: early exception 0x0e IP 10:ffffffff81000000 error 0 cr2 0x8", "oops"),
    ("double fault: 0000 [#1] SMP PTI", "oops"),
    ("stack segment: 0000 [#1] SMP", "oops"),
    ("Oops: int3: 0000 [#1] SMP", "oops"),
    ("segment-related general protection fault: 0018 [#1] SMP", "oops"),
    ("general protection fault, maybe for address 0xffff888001234568: 0000 [#1] SMP", "oops"),
    ("BUG kmalloc-128: Redzone overwritten", "oops"),
    ("BUG swap_cluster_info (Tainted: [B]=BAD_PAGE, [W]=WARN): Object already free", "oops"),
    ("BUG ext4_inode_cache(81:x.service) (Not tainted): Left Redzone overwritten", "oops"),
    ("BUG <unknown> (Not tainted): No slab cache for object 0x00000000a1b2c3d4", "oops"),
    ("Freed in zswap_entry_free+0x10/0x20 age=57 cpu=0 pid=201", "oops"),
    ("VFS: Busy inodes after unmount of vdc (ext4)", "oops"),
    ("VFS: Close: file count is 0 (f_op=ext4_file_operations)", "oops"),
    ("UBSAN: shift-out-of-bounds in mm/swapfile.c:712:9", "warning"),
    ("UBSAN: Undefined behaviour in mm/swapfile.c:712:9", "warning"),
    ("kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", "warning"),
    ("kmemleak: unreferenced object 0xffff888001234500 (size 64):", "warning"),
    ("BUG: memory leak", "warning"),
    (
        "WARNING: kernel stack regs at 00000000a1b2c3d4 in pageio:201 has bad 'bp' value 00000000",
        "warning",
    ),
    ("WARNING: kernel stack frame pointer at 000000001 in pageio:201 has bad value 0", "warning"),
    ("WARNING: stack recursion on stack type 1", "warning"),
    ("WARNING: can't access registers at asm_exc_page_fault+0x22/0x30", "warning"),
    ("WARNING: WARNING: bad lookup idx: idx=5 num=4 ip=0xffffffff81000000", "warning"),
    ("unregister_netdevice: waiting for lo to become free. Usage count = 2", "warning"),
    ("Write-error on swap-device (254:32:4096)", "warning"),
    ("Read-error on swap-device (254:32:4096)", "warning"),
    ("Write error -5 on dio swapfile (8192)", "warning"),
    ("Decompression error from zswap (0:17 lzo 2048->4096)", "warning"),
    ("zram: Decompression failed! err=-22, page=17", "warning"),
    (
        "I/O error, dev vdc, sector 4096 op 0x1:(WRITE) flags 0x4000 phys_seg 1 prio class 0",
        "warning",
    ),
    ("blk_update_request: critical medium error, dev nullb0, sector 8 op 0x0:(READ)", "warning"),
    ("timeout error, dev nvme0n1, sector 8 op 0x0:(READ) flags 0x0", "warning"),
    ("Buffer I/O error on dev vdc, logical block 512, lost async page write", "warning"),
    ("Buffer I/O error on device vda, logical block 512", "warning"),
    ("EXT4-fs error (device vdc): ext4_find_entry:1: inode #2: comm pageio: reading", "warning"),
    ("EXT4-fs (vda): Remounting filesystem read-only", "warning"),
    ("EXT4-fs (vda): I/O error while writing superblock", "warning"),
    ("EXT4-fs warning (device vdc): ext4_end_bio:1: I/O error 10 writing to inode 12", "warning"),
    ("slab error in verify_redzone_free(): cache `size-64': double free detected", "oops"),
    ("Aborting journal on device vda-8.", "warning"),
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
    # A program's fault is the program's own.
    "traps: pageio[201] general protection fault ip:401136 sp:7ffd5e8 error:0 in pageio[1000]",
    "traps: pageio[201] general protection fault ip:401136 sp:7ffd5e8 error:0",
    "traps: pageio[201] trap invalid opcode ip:401136 sp:7ffd5e8 error:0 in pageio[401000+1000]",
    "pageio[201]: segfault at 0 ip 0000000000401136 sp 00007ffd5e8 error 4 in pageio[401000+1000]",
    "INIT: PANIC: segmentation violation! sleeping for 30 seconds.",
    "ODEBUG: Out of memory. ODEBUG disabled",
    "Boot_DEBUG: start",
    "** DEBUG: trace_printk() being used.  Allocating extra memory. **",
    "BUG slab (Not tainted): kasan: bad access detected",
    "WARNING: the mand mount option is being deprecated and",
    "WARNING: `prog' uses wireless extensions which will stop working",
    "Speculative Return Stack Overflow: WARNING: kernel not compiled with MITIGATION_SRSO.",
    "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.234 msecs",
    "INFO: task pageio:201 is blocked on a mutex likely owned by task pageio:202.",
    "kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)",
    "kasan: KernelAddressSanitizer initialized (generic)",
    "I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
    "Buffer I/O error on dev sr0, logical block 0, async page read",
    "I/O error, dev loop0, sector 0 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
    "operation not supported error, dev vdc, sector 0 op 0x9:(WRITE_ZEROES) flags 0x400",
    "EXT4-fs (vda): mounted filesystem 00000000-0000 r/w with ordered data mode.",
    "EXT4-fs: Warning: mounting with an experimental mount option",
    "pageio: page allocation failure: order:0, mode:0x800(GFP_NOWAIT), nodemask=(null)",
    "VFS: Mounted root (ext4 filesystem) on device 254:0.",
    "---[ end trace 0000000000000000 ]---",
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


CUT = "------------[ cut here ]------------"
WARNED = f"{CUT}\nWARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2\n"
BY_WARN = "Kernel panic - not syncing: kernel: panic_on_warn set ...\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (WARNED + "Call Trace:\n" + BY_WARN, (Outcome.WARNING, 1)),
        ("UBSAN: array-index in mm/x.c:1:2\n" + BY_WARN.replace("kernel", "UBSAN"),
         (Outcome.WARNING, 0)),
        # Older kernels do not say whose warning it was.
        (WARNED + BY_WARN.replace("kernel: ", ""), (Outcome.WARNING, 1)),
        # The nearest one is its cause.
        ("swap_free: Bad swap file entry 1\n" + WARNED + BY_WARN, (Outcome.WARNING, 2)),
        ("BUG: KASAN: use-after-free in f+0x1/0x2\n" + BY_WARN.replace("kernel", "KASAN"),
         (Outcome.OOPS, 0)),
        (f"{CUT}\nwhat nobody knows\n" + BY_WARN, (Outcome.WARNING, 0)),
        (BY_WARN, (Outcome.PANIC, 0)),
        (WARNED + "Kernel panic - not syncing: stack-protector: x\n", (Outcome.PANIC, 2)),
    ],
)  # fmt: skip
def test_a_panic_by_a_warning_is_told_as_the_warning(text: str, told: tuple[Outcome, int]) -> None:
    for found in (console.fatal(text), console.worst(text)):
        assert found and (found.outcome, found.line) == told


def test_a_report_that_no_rule_knows_is_told_by_its_first_line() -> None:
    unknown = f"Linux\n{CUT}\n[   12.3] what nobody knows yet\n RIP: 0010:f+0x1/0x2\n"
    for after in ("", "---[ end trace 0000000000000000 ]---\n", "more\n" * 200):
        found = console.worst(unknown + after)
        assert found == console.ConsoleFinding(
            Outcome.WARNING, 1, "[   12.3] what nobody knows yet"
        )
        assert console.fatal(unknown + after) is None
    assert console.findings(f"{CUT}\n")[0].text == CUT, "the console ends there"
    # The kill is the workload's; what lies around it is not known by that.
    killed = f"{unknown}Memory cgroup out of memory: Killed process 7 (x)\n"
    assert console.worst(killed, expected=["Killed process"]) == found


def test_a_report_that_a_rule_knows_is_told_once() -> None:
    known = f"{CUT}\nrefcount_t: underflow; use-after-free.\n" + WARNED.partition("\n")[2]
    assert [one.line for one in console.findings(known)] == [2]
    assert console.worst(known, expected=["WARNING: CPU"]) is None
    # Two CPUs at once.
    both = f"{CUT}\n{WARNED}WARNING: CPU: 1 PID: 2 at mm/y.c:1 g+0x1/0x2\n"
    assert [one.line for one in console.findings(both)] == [2, 3]
    # One that ended before is not excused by one that is known.
    before = f"{CUT}\nwhat nobody knows\n---[ end trace 0000000000000000 ]---\n{WARNED}"
    assert [one.line for one in console.findings(before)] == [0, 4]


@pytest.mark.parametrize("name", ["a\nb", "a\x85b\x0bc\n", "\n\ufffd"])
def test_a_task_with_a_newline_in_its_name_hangs_too(name: str) -> None:
    head, _, rest = name.rpartition("\n")
    stamp = "[   12.345678][   T41] "
    text = (
        f"Linux\n{stamp}INFO: task {head}\n{stamp}{rest}:201 blocked for more than 143 seconds.\n"
    )
    found = console.fatal(text)
    assert found and (found.outcome, found.line) == (Outcome.HUNG_TASK, 1)
    assert found.text.startswith(f"{stamp}INFO: task ")
    assert found.text.endswith(f" {rest}:201 blocked for more than 143 seconds.")


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
    "INFO: task x\n", ":7 blocked for more than 9 seconds.\n", f"{CUT}\n", "UBSAN: x in y\n",
    BY_WARN, "---[ end trace 0 ]---\n",
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

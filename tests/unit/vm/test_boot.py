# SPDX-License-Identifier: GPL-2.0-only
"""One boot against a QEMU and a guest that are played: every way to end, told by its kind."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import switch
from harness.experiment.arch import HERE
from harness.experiment.switch import Switch
from harness.results.console import READY, Outcome
from harness.util.errors import InfraError
from harness.vm import boot
from harness.vm.boot import BootEnd
from harness.vm.guest import Keys
from harness.vm.watch import Deadlines, Interrupted, Watch
from tests.fakes import qemu, readme
from tests.fakes.sshd import Reply, Sshd
from tests.fakes.things import boot_request, host

DEADLINES = Deadlines(boot=8, command=8, workload=8, silence=5)
LINUX = "[    0.000000] Linux version 6.12.0\n"
UP = [[0.0, LINUX], [0.05, f"{READY}\n"]]
DONE = '{"type":"verify","pages":1,"bad":0}\n{"type":"done"}\n'
SETTINGS = "/proc/swaps\tFilename; /dev/zram0; \n/proc/version\tLinux; \nnoise\n"
PREPARED, GOOD = Reply(stdout=SETTINGS), Reply()


@dataclass
class Guest:
    """What the played guest does when it is asked."""

    prepare: Reply = PREPARED
    run: Reply = GOOD
    status: str = "0\n"
    output: str = DONE
    errors: str = ""
    before: Callable[[list[str]], None] = lambda argv: None
    files: dict[str, str] = field(default_factory=dict)


class Bench:
    """Plays one boot."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, keys: Keys) -> None:
        self.folder, self.boots, self.stop = folder, folder / "boots", threading.Event()
        self.bin, self.commands = folder / "bin", list[list[str]]()
        self._patch, self._keys = patch, keys
        self._patch.setenv("TMPDIR", str(folder))
        self._patch.setattr("tempfile.tempdir", None)

    def play(
        self,
        *,
        deadlines: Deadlines = DEADLINES,
        backend: Any = "zram",
        switched: Switch = switch.NOTHING,
        cmdline: tuple[str, ...] = (),
        **scenario: Any,
    ) -> BootEnd:
        self._patch.setenv("PATH", qemu.install(self.bin, scenario))
        where = host(self.folder, deadlines=deadlines, keys=self._keys)
        where = replace(where, cmdline=cmdline)
        what = replace(boot_request(self.folder, backend=backend), switch=switched)
        try:
            return boot.run(what, where, self.boots, stop=self.stop)
        finally:
            assert qemu.running(self.bin) == [], "a guest was left running"
            left = [path.name for path in self.folder.glob("harness.*")]
            assert left == [], "scratch files were left"
            assert not list(self.boots.glob("*/.*")), "a half result was left"

    def guest(self, guest: Guest, *, resets: int = 0, **scenario: Any) -> BootEnd:
        files = self.folder / "run-harness"
        files.mkdir()

        def answer(argv: list[str]) -> Reply:
            self.commands.append(argv)
            guest.before(argv)
            if argv[0].endswith("/prepare"):
                return guest.prepare
            if argv[0] in ("sh", "cat"):
                return guest_file(guest.files, argv)
            for name, text in (
                ("workload.status", guest.status),
                ("workload.jsonl", guest.output),
                ("workload.err", guest.errors),
                ("footprint", "sampler 1000\nsshd 5000\n"),
            ):
                (files / name).write_text(text, encoding="utf-8")
            return guest.run

        with Sshd(self._keys, answer, files=files, resets=resets) as self.sshd:
            scenario.setdefault("console", UP)
            return self.play(exit=None, port=self.sshd.port, **scenario)


def guest_file(files: dict[str, str], argv: list[str]) -> Reply:
    """What the shell of a guest with these files says when one is written, or read.

    A value of "=" is what was written.
    """
    path = argv[-1]
    if path not in files:
        return Reply(3, "", "this kernel has no such file\n")
    return Reply(stdout=f"{argv[-2] if files[path] == '=' else files[path]}\n")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys) -> Iterator[Bench]:
    yield Bench(tmp_path, monkeypatch, keys)


def record(ended: BootEnd) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((ended.folder / "boot.json").read_text(encoding="utf-8"))
    assert data["outcome"] == ended.outcome.value
    assert data["detail"] == ended.detail
    return data


# A guest that does as it should


def test_a_good_boot_leaves_a_whole_result(bench: Bench) -> None:
    ended = bench.guest(Guest(), samples=[[0.0, "@sample 1 1 interval\n@end 1 2 3\n"]])
    assert (ended.outcome, ended.detail) == (Outcome.OK, "")
    assert ended.folder == bench.boots / "zram.pageio" / "00-base"
    data = record(ended)
    assert readme.keys("## boot.json") == set(data)
    assert data["backend_readback"] == {
        "/proc/swaps": "Filename; /dev/zram0",
        "/proc/version": "Linux",
    }
    assert set(data["wall_s"]) == {"boot", "prepare", "workload", "collect"}
    assert (data["arm"], data["pair"], data["position"], data["seed"]) == ("base", 0, 0, 7)
    assert data["params"]["size"] and data["clock"] == "insn"
    files = {path.name: path.read_bytes() for path in ended.folder.iterdir()}
    assert files["workload.jsonl"].decode() == DONE
    assert files["console.log"].decode().startswith(LINUX)
    assert gzip.decompress(files["samples.raw.gz"]).startswith(b"@sample")
    assert b"qemu-system-x86_64" in files["qemu.txt"]
    assert "qemu.log" in files and "samples.raw" not in files


def test_the_guest_is_asked_for_what_the_ticket_says(bench: Bench) -> None:
    bench.guest(Guest())
    prepare, run = bench.commands
    assert prepare[:3] == ["/opt/harness/bin/prepare", "zram", f"size={1 << 20}"]
    assert "compressor=lz4" in prepare
    assert run[:4] == ["/opt/harness/bin/run-workload", "0", "1", "max"]
    assert run[4] == "pageio" and "--size=32M" in run


# A kernel that is switched in the guest

SYSCTL = "/proc/sys/vm/swap_feature"
USED = "/sys/kernel/debug/vswap/used"


def samples(*values: int) -> str:
    """A stream of one sample for each value of the file that proves that the feature ran."""
    parts = (
        f"@sample {seq} {seq} mark:out:end\n@file {USED} {len(str(value)) + 1}\n{value}\n\n"
        f"@end {seq} {seq} 1\n"
        for seq, value in enumerate(values)
    )
    return "".join(parts)


def test_a_switch_is_set_before_swap_is_and_read_back(bench: Bench) -> None:
    one = switch.of({"sysctls": {"vm.swap_feature": 1}, "params": {"zswap.enabled": True}})
    params = "/sys/module/zswap/parameters/enabled"
    ended = bench.guest(Guest(files={SYSCTL: "=", params: "1"}), switched=one)
    assert ended.outcome is Outcome.OK
    assert [argv[0].rpartition("/")[2] for argv in bench.commands] == [
        "sh", "cat", "prepare", "run-workload",
    ]  # fmt: skip
    assert bench.commands[0][-2:] == ["1", SYSCTL]
    data = record(ended)
    assert data["backend_readback"][SYSCTL] == "1" and data["backend_readback"][params] == "1"
    assert data["switch"] == "vm.swap_feature=1, zswap.enabled=Y" and data["proof"] == ""
    assert "zswap.enabled=Y" in (ended.folder / "qemu.txt").read_text()


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, f"this kernel has no such file (wanted '1' in {SYSCTL})"),
        ({SYSCTL: "0"}, f"{SYSCTL} is '0' and not '1'"),
    ],
)
def test_a_switch_that_does_not_take_is_a_failed_boot(
    bench: Bench, files: dict[str, str], why: str
) -> None:
    one = switch.of({"sysctls": {"vm.swap_feature": 1}})
    ended = bench.guest(Guest(files=files), switched=one)
    assert ended.outcome is Outcome.PREPARE_FAILED
    assert ended.detail == f"the switch does not take: {why}"
    assert len(bench.commands) == 1, "nothing is measured"


SWAPPINESS, AHEAD = "/proc/sys/vm/swappiness", "/sys/block/zram0/queue/read_ahead_kb"
PARAMETER = "/sys/module/zswap/parameters/enabled"


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        ({SWAPPINESS: "="}, {SWAPPINESS: "180", AHEAD: "=", PARAMETER: "N"}, ""),
        ({SWAPPINESS: "60"}, {}, f"SET does not take: {SWAPPINESS} is '60' and not '180'"),
        ({SWAPPINESS: "="}, {SWAPPINESS: "180"}, "SET does not take: this kernel has no such file "
         f"(wanted '64' in {AHEAD})"),
        ({SWAPPINESS: "="}, {SWAPPINESS: "60", AHEAD: "="},
         f"SET does not take: {SWAPPINESS} is '60' and not '180'"),
        ({SWAPPINESS: "="}, {SWAPPINESS: "180", AHEAD: "=", PARAMETER: "Y"},
         f"CMDLINE does not take: {PARAMETER} is 'Y' and not '0'"),
    ],
)  # fmt: skip
def test_conditions_are_set_and_read_back_when_the_back_end_is_set_up(
    bench: Bench, before: dict[str, str], after: dict[str, str], detail: str
) -> None:
    """A file that the back-end makes is written then."""
    files = dict(before)

    def prepared(argv: list[str]) -> None:
        if argv[0].endswith("/prepare"):
            files.update(after)

    item = [{"zram": {"vm.swappiness": 180, AHEAD: 64}}]
    guest = Guest(files=files, before=prepared)
    ended = bench.guest(guest, backend=item, cmdline=("zswap.enabled=0", "nosmt"))
    assert ended.detail == detail
    assert ended.outcome is (Outcome.PREPARE_FAILED if detail else Outcome.OK)
    assert "zswap.enabled=0 nosmt" in (ended.folder / "qemu.txt").read_text()
    if not detail:
        found = record(ended)["backend_readback"]
        assert {SWAPPINESS: "180", AHEAD: "64", PARAMETER: "N"}.items() <= found.items()
        words = next(argv for argv in bench.commands if argv[0].endswith("/prepare"))
        assert not [one for one in words if "swappiness" in one], "prepare does not know it"


def test_a_word_that_the_kernel_does_not_know_is_named(bench: Bench) -> None:
    line = 'Unknown kernel command line parameters "nokaslr nosuch=1", will be passed to user space'
    ended = bench.guest(
        Guest(), console=[[0.0, f"{LINUX}{line}.\n"], *UP[1:]], cmdline=("nosuch=1",)
    )
    assert ended.outcome is Outcome.PREPARE_FAILED
    assert ended.detail == "this kernel has no parameter 'nosuch=1' of its command line"


@pytest.mark.parametrize(
    ("values", "outcome", "said"),
    [
        ((0, 4096, 0), Outcome.OK, f"{USED}: 4096 in sample 1 (mark:out:end)"),
        ((0, 0), Outcome.UNPROVEN, f"no proof that it ran ({USED}: above 0): it says 0"),
        ((), Outcome.UNPROVEN, f"no proof that it ran ({USED}: above 0): it is missing or says "
         "nothing"),
    ],
)  # fmt: skip
def test_a_feature_that_shows_no_proof_is_no_measurement(
    bench: Bench, values: tuple[int, ...], outcome: Outcome, said: str
) -> None:
    one = switch.of({"proof": {"file": USED, "above": 0}})
    ended = bench.guest(Guest(), switched=one, samples=[[0.0, samples(*values)]])
    data = record(ended)
    assert ended.outcome is outcome
    assert said == (data["proof"] if outcome is Outcome.OK else ended.detail)


@pytest.mark.parametrize(
    ("vmstat", "outcome"),
    [("nr_free 5\nswap_feature 7", Outcome.OK), ("nr_free 5", Outcome.UNPROVEN)],
)
def test_a_proof_may_be_a_line_of_a_file_at_the_end(
    bench: Bench, vmstat: str, outcome: Outcome
) -> None:
    proof = {"file": "/proc/vmstat", "key": "swap_feature", "above": 0, "when": "done"}
    ended = bench.guest(Guest(files={"/proc/vmstat": vmstat}), switched=switch.of({"proof": proof}))
    assert ended.outcome is outcome
    if outcome is Outcome.OK:
        assert record(ended)["proof"] == "/proc/vmstat: 7 at the end"


def test_a_swap_disk_is_made_anew_and_thrown_away(bench: Bench) -> None:
    ended = bench.guest(Guest(), backend="swapfile")
    assert ended.outcome is Outcome.OK
    assert "id=swap" in (ended.folder / "qemu.txt").read_text(encoding="utf-8")
    assert not list(bench.folder.rglob("swap.img"))


@pytest.mark.parametrize(
    ("backend", "words"), [("brd", "brd.rd_size=2048"), ("pmem", "memmap=2097152!"), ("zram", "")]
)
def test_a_device_that_the_command_line_makes_is_on_it(
    tmp_path: Path, backend: str, words: str
) -> None:
    where = host(tmp_path, deadlines=DEADLINES)
    vm = boot.machine(boot_request(tmp_path, backend=backend), where, tmp_path, tmp_path)
    assert words in " ".join(vm.append) and vm.swap is None
    assert vm.memory >= (where.memory + (1 << 20) if words else where.memory)


def test_a_debug_kernel_is_told_to_poison_pages(tmp_path: Path) -> None:
    what, where = boot_request(tmp_path), host(tmp_path, deadlines=DEADLINES)
    assert "page_poison=1" not in boot.machine(what, where, tmp_path, tmp_path).append
    config = what.kernel.path / "config"
    config.write_text("CONFIG_PAGE_POISONING=y\n", encoding="utf-8")
    assert "page_poison=1" in boot.machine(what, where, tmp_path, tmp_path).append


# A guest that fails in its work


@pytest.mark.parametrize(
    ("guest", "outcome", "detail"),
    [
        (Guest(status="3\n", errors="page 7: wrong byte\n"), "data-corrupted", "page 7: wrong"),
        (Guest(status="1\n", errors="a\nmmap: no memory\n"), "workload-failed", "mmap: no memory"),
        (Guest(status="1\n"), "workload-failed", "exit status 1: no message"),
        (Guest(output='{"type":"verify"}\n'), "workload-failed", "before its last line"),
        (Guest(output='{"type":"do'), "workload-failed", "before its last line"),
        (Guest(output=""), "workload-failed", "before its last line"),
        (Guest(output="3\n"), "workload-failed", "before its last line"),
        (Guest(prepare=Reply(1, "", "prepare: no zram\n")), "prepare-failed", "prepare: no zram"),
        (Guest(prepare=Reply(1)), "prepare-failed", "no message"),
        (Guest(run=Reply(1, "", "no sampler\n")), "infrastructure", "no sampler"),
    ],
)
def test_failures_of_the_work_are_told_apart(
    bench: Bench, guest: Guest, outcome: str, detail: str
) -> None:
    ended = bench.guest(guest)
    assert ended.outcome == outcome
    assert detail in ended.detail
    record(ended)


def test_a_warning_on_the_console_is_an_outcome(bench: Bench) -> None:
    line = "WARNING: CPU: 0 PID: 9 at mm/x.c:1 f+0x1/0x2\n"
    ended = bench.guest(Guest(), console=[*UP, [0.0, line]])
    assert ended.outcome is Outcome.WARNING
    assert record(ended)["wall_s"]["collect"] >= 0, "its figures were fetched all the same"


def test_an_oom_kill_explains_a_failed_workload(bench: Bench) -> None:
    line = "Memory cgroup out of memory: Killed process 9 (pressure)\n"
    ended = bench.guest(Guest(status="1\n"), console=[*UP, [0.0, line]])
    assert ended.outcome is Outcome.GUEST_OOM


def console_says(bench: Bench, text: str, *, kill: bool) -> Callable[[list[str]], None]:
    """The console says ``text`` under the workload; the line breaks, with ``kill`` at once."""

    def before(argv: list[str]) -> None:
        if argv[0].endswith("/run-workload"):
            (log,) = bench.boots.glob("*/.*/console.log")
            with log.open("a", encoding="utf-8") as stream:
                stream.write(text)
            while not kill and qemu.running(bench.bin):
                time.sleep(0.05)
            bench.sshd.hang_up()

    return before


def test_a_panic_under_the_workload_is_the_cause_of_the_broken_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.vm.watch._TRACE", 0.3)
    guest = Guest(before=console_says(bench, "kernel BUG at mm/swapfile.c:1!\n", kill=True))
    ended = bench.guest(guest)
    assert (ended.outcome, ended.detail) == (
        Outcome.OOPS,
        "in workload: kernel BUG at mm/swapfile.c:1!",
    )
    record(ended)


def test_a_hung_workload_is_ended_when_the_kernel_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.vm.watch._TRACE", 0.3)
    text = "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [pageio:9]\n"
    guest = Guest(before=console_says(bench, text, kill=False))
    ended = bench.guest(guest)
    assert ended.outcome is Outcome.SOFT_LOCKUP
    assert "in workload: watchdog" in ended.detail


@pytest.mark.parametrize("where", ["console.log", "samples.raw"])
def test_a_guest_that_writes_without_end_is_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr("harness.vm.watch.FLOOD", 1 << 20)

    def write(argv: list[str]) -> None:
        if argv[0].endswith("/run-workload"):
            (log,) = bench.boots.glob("*/.*/console.log")
            with (log.parent / where).open("a", encoding="ascii") as file:
                file.write("x" * 99 + "\n" * (1 << 20))
            while qemu.running(bench.bin):
                time.sleep(0.05)
            bench.sshd.hang_up()

    ended = bench.guest(Guest(before=write))
    assert ended.outcome is Outcome.FLOOD
    assert ended.detail.startswith(f"in workload: {where} has ")


def test_output_without_end_is_kept_in_part(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.vm.guest.FLOOD", 1 << 20)
    monkeypatch.setattr("harness.vm.guest._EVIDENCE", 1 << 10)
    ended = bench.guest(Guest(output="x" * (3 << 20) + DONE))
    assert ended.outcome is Outcome.FLOOD
    assert "workload.jsonl has 3 MiB" in ended.detail
    assert (ended.folder / "workload.jsonl").stat().st_size == 1 << 10


def test_a_workload_that_overruns_is_a_time_out(bench: Bench) -> None:
    guest = Guest(before=console_says(bench, "busy\n", kill=False))
    ended = bench.guest(guest, deadlines=replace(DEADLINES, workload=0.5))
    assert ended.outcome is Outcome.TIMEOUT
    assert ended.detail.startswith("workload did not end in time") and "busy" in ended.detail


def test_a_line_that_breaks_without_a_reason_is_a_lost_guest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watch.settle, "__kwdefaults__", {"patience": 0.5})
    guest = Guest(before=console_says(bench, "", kill=True))
    ended = bench.guest(guest)
    assert ended.outcome is Outcome.LOST
    assert "connection to the guest broke" in ended.detail


# A guest that does not come up

PANIC = LINUX + "[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs on x\n"
OOPS = LINUX + "[    1.0] BUG: kernel NULL pointer dereference, address: 8\n[ 1.1] Oops: 0000\n"


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        (PANIC, Outcome.BOOT_FAILED, "Unable to mount root"),
        (OOPS + "Kernel panic - not syncing: Fatal exception\n", Outcome.OOPS, "NULL pointer"),
        (LINUX + "Kernel panic - not syncing: sysrq\n", Outcome.PANIC, "sysrq"),
    ],
)
@pytest.mark.parametrize("delay", [0.0, 0.6])
def test_a_crash_while_booting(
    bench: Bench, text: str, outcome: Outcome, words: str, delay: float
) -> None:
    ended = bench.play(console=[[delay, text]], exit=0)
    assert ended.outcome is outcome
    assert ended.detail.startswith("in boot: ") and words in ended.detail
    assert set(record(ended)["wall_s"]) == {"boot"}
    assert (ended.folder / "console.log").read_text(encoding="utf-8") == text
    assert (ended.folder / "qemu.txt").is_file() and (ended.folder / "qemu.log").is_file()


def test_a_crashed_guest_that_stays_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.vm.watch._TRACE", 0.5)
    ended = bench.play(console=[[0.0, OOPS], [0.2, "Call Trace:\n swap_free\n"]], exit=None)
    assert ended.outcome is Outcome.OOPS
    log = (ended.folder / "console.log").read_text(encoding="utf-8")
    assert "swap_free" in log, "its trace was waited for"


def test_a_guest_that_never_says_ready_is_a_time_out(bench: Bench) -> None:
    start = time.monotonic()
    ended = bench.play(console=[[0, LINUX]], exit=None, deadlines=replace(DEADLINES, boot=1.0))
    assert ended.outcome is Outcome.TIMEOUT
    assert "boot did not end in time" in ended.detail and "Linux version" in ended.detail
    assert time.monotonic() - start < 8
    record(ended)


def test_a_qemu_that_ends_halfway_is_a_lost_guest(bench: Bench) -> None:
    ended = bench.play(console=[[0.8, LINUX]], exit=3, stderr="qemu: internal error\n")
    assert ended.outcome is Outcome.LOST
    assert "QEMU ended with 3 (qemu: internal error)" in ended.detail
    assert "Linux version" in ended.detail


# What is not the guest's doing


def test_a_qemu_that_refuses_its_options_is_the_machines_fault(bench: Bench) -> None:
    for _ in range(3):
        with pytest.raises(InfraError, match="ended with 1: qemu: could not open disk image"):
            bench.play(stderr="qemu: could not open disk image\n", exit=1)
    assert not list(bench.boots.glob("*/*")), "no result is left"


def test_a_missing_qemu_is_the_machines_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.vm.qemu.HERE", replace(HERE, qemu="qemu-that-is-not-there"))
    with pytest.raises(InfraError, match="qemu-that-is-not-there"):
        bench.play(exit=0)


def test_being_told_to_stop_leaves_no_result(bench: Bench) -> None:
    timer = threading.Timer(0.6, bench.stop.set)
    timer.start()
    start = time.monotonic()
    with pytest.raises(Interrupted):
        bench.play(console=[[0, LINUX]], exit=None)
    assert time.monotonic() - start < 6
    assert not list(bench.boots.glob("*/*"))


def test_a_result_without_its_record_is_replaced(bench: Bench) -> None:
    left = bench.boots / "zram.pageio" / "00-base"
    left.mkdir(parents=True)
    (left / "console.log").write_text("old", encoding="utf-8")
    ended = bench.play(console=[[0.3, PANIC]], exit=0)
    assert record(ended)["outcome"] == "boot-failed"


def test_the_guest_is_really_known_by_its_key(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watch.settle, "__kwdefaults__", {"patience": 0.5})
    (tmp_path / "other").mkdir()
    other = Keys.make(tmp_path / "other")
    stranger = Keys(bench._keys.client, other.host)
    with Sshd(stranger, lambda _: Reply(), files=tmp_path) as sshd:
        ended = bench.play(console=UP, port=sshd.port, exit=None)
    assert ended.outcome is Outcome.LOST
    assert bench.commands == []


@pytest.mark.parametrize(("resets", "outcome"), [(1, Outcome.OK), (99, Outcome.LOST)])
def test_a_connection_that_is_reset_before_it_begins_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, resets: int, outcome: Outcome
) -> None:
    monkeypatch.setattr(Watch.settle, "__kwdefaults__", {"patience": 0.5})
    assert bench.guest(Guest(), resets=resets).outcome is outcome

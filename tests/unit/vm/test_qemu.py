# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line: what is in it, what must never be, and that it can be pasted."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.util import process
from harness.vm import qemu
from harness.vm.accel import QEMU
from harness.vm.qemu import Machine

FOLDER = Path("/results/boots/zram.pageio/00-base")


def machine(folder: Path = FOLDER) -> Machine:
    return Machine(
        folder=folder,
        log=folder / "qemu.log",
        socket=folder / "qmp.sock",
        kernel=Path("/kernels/k/bzImage"),
        root=Path("/images/root.img"),
        tools=Path("/run/tools.img"),
        swap=Path("/run/swap.img"),
        memory=768 << 20,
        cpus=1,
        accel="tcg",
        cpu="max,-fsrm",
        icount=True,
        seed=42,
        append=("extra=1",),
    )


MACHINE = machine()


def _status(text: str) -> dict[str, int]:
    """CapEff and so on of a /proc/PID/status."""
    rows = (line.split(":\t") for line in text.splitlines() if re.match("Cap|NoNew", line))
    return {name: int(value, 16) for name, value in rows}


def test_a_fenced_program_has_no_rights_of_root_but_to_open_files() -> None:
    """As a plain user it has none at all; without CAP_SETPCAP none can be dropped."""
    mine = _status(Path("/proc/self/status").read_text(encoding="ascii"))
    argv = process.tethered(["cat", "/proc/self/status"], fenced=True)
    found = _status(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    setpcap, dac_override = 1 << 8, 1 << 1
    allowed = dac_override if mine["CapEff"] & setpcap else mine["CapEff"]
    assert found["CapEff"] | allowed == allowed
    assert found["CapPrm"] | allowed == allowed
    assert found["NoNewPrivs"] == 1


def test_a_program_that_is_not_fenced_keeps_what_it_had() -> None:
    mine = _status(Path("/proc/self/status").read_text(encoding="ascii"))
    argv = process.tethered(["cat", "/proc/self/status"])
    found = _status(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert found == mine


def after(option: str, line: list[str]) -> list[str]:
    return [value for name, value in pairwise(line) if name == option]


def shell_words(text: str, folder: Path) -> list[str]:
    """What a shell makes of a pasted command line; its program is replaced by a harmless one."""
    show = folder / "show.py"
    show.write_text("import sys\nsys.stdout.write('\\0'.join(sys.argv[1:]))\n", encoding="utf-8")
    program, rest = text.split(" ", 1)
    assert program == QEMU
    command = f"{sys.executable} -S {show} {rest}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")


def test_the_instruction_clock_is_there_only_when_asked_for() -> None:
    line = qemu.argv(MACHINE)
    assert after("-icount", line) == ["shift=0,sleep=off"]
    assert after("-accel", line) == ["tcg"]
    wall = qemu.argv(dataclasses.replace(MACHINE, icount=False, accel="kvm", cpu="host"))
    assert "-icount" not in wall
    assert (after("-accel", wall), after("-cpu", wall)) == (["kvm"], ["host"])


@pytest.mark.parametrize(("accel", "firmware"), [("tcg", ["-bios", "qboot.rom"]), ("kvm", [])])
def test_a_small_firmware_starts_what_is_emulated(accel: str, firmware: list[str]) -> None:
    line = qemu.argv(dataclasses.replace(MACHINE, accel=accel, icount=False))
    place = line.index("-bios") if "-bios" in line else 0
    assert line[place : place + 2] == firmware if firmware else place == 0


def test_several_cpus_under_the_instruction_clock_have_a_timer_each() -> None:
    """One more is Linux's own; without them all ticks come from one CPU, and are lost."""
    line = qemu.argv(dataclasses.replace(MACHINE, cpus=4))
    found = dict(word.split("=") for word in after("-global", line))
    assert found["hpet.msi"] == "on" and int(found["hpet.timers"]) >= 4 + 1
    assert "-global" not in qemu.argv(MACHINE), "a guest of one CPU is as it was"
    assert "-global" not in qemu.argv(dataclasses.replace(MACHINE, cpus=4, icount=False))


def test_emulated_cpus_share_a_thread_under_the_wall_clock() -> None:
    """A thread each lets QEMU 7.2 run code that another CPU has replaced."""
    several = dataclasses.replace(MACHINE, cpus=2, icount=False)
    assert after("-accel", qemu.argv(several)) == ["tcg,thread=single"]
    fast = dataclasses.replace(several, accel="kvm", cpu="host")
    assert after("-accel", qemu.argv(fast)) == ["kvm"]
    for one in (MACHINE, dataclasses.replace(MACHINE, cpus=2)):
        assert after("-accel", qemu.argv(one)) == ["tcg"], "the instruction clock has one anyway"


def test_what_varies_between_boots_is_an_input() -> None:
    line = qemu.argv(MACHINE)
    assert after("-seed", line) == ["42"]
    assert after("-rtc", line)[0].startswith("base=2026-01-01")


def test_disks_come_in_the_order_of_their_names_in_the_guest() -> None:
    def disks(line: list[str]) -> list[str]:
        return [v.split("drive=")[1] for v in after("-device", line) if v.startswith("virtio-blk")]

    assert disks(qemu.argv(MACHINE)) == ["root", "tools", "swap"]
    assert disks(qemu.argv(dataclasses.replace(MACHINE, swap=None))) == ["root", "tools"]


def test_shared_images_cannot_be_changed_by_a_guest() -> None:
    drives = {v.split("id=")[1].split(",")[0]: v for v in after("-drive", qemu.argv(MACHINE))}
    assert "snapshot=on" in drives["root"]
    assert "readonly=on" in drives["tools"]
    assert "file=/run/swap.img" in drives["swap"]
    assert not {"snapshot=on", "readonly=on"} & set(drives["swap"].split(","))


def test_the_guest_is_fenced_in() -> None:
    line = qemu.argv(MACHINE)
    assert after("-sandbox", line)[0].startswith("on,")
    (net,) = after("-netdev", line)
    assert "restrict=on" in net.split(",")
    assert "hostfwd=tcp:127.0.0.1:0-:22" in net.split(","), "loopback only, port of QEMU's choice"
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(line)
    assert after("-display", line) == ["none"]


def test_a_crash_ends_the_guest_and_extra_words_come_last() -> None:
    words = qemu.kernel_command_line(MACHINE).split()
    assert {"panic=-1", "oops=panic", "console=ttyS0,115200", "nokaslr"} <= set(words)
    assert words[-1] == "extra=1"
    assert after("-append", qemu.argv(MACHINE)) == [" ".join(words)]


def test_commas_in_paths_are_doubled() -> None:
    line = qemu.argv(machine(Path("/results/a,b")))
    assert f"file,id=console,path=/results/a,,b/{MACHINE.console.name}" in line
    assert "unix:/results/a,,b/qmp.sock,server=on,wait=off" in line
    odd = dataclasses.replace(MACHINE, root=Path("/x,readonly=off,y"))
    assert "file=/x,,readonly=off,,y," in after("-drive", qemu.argv(odd))[0]


def test_memory_is_in_whole_mebibytes() -> None:
    assert after("-m", qemu.argv(MACHINE)) == ["768M"]


@pytest.mark.parametrize(
    "folder", ["/results/plain", "/re sults/a'b", "/results/$HOME `id`", "/a -b/c", "/a -m 1G/c"]
)
def test_the_printed_line_can_be_pasted(folder: str, tmp_path: Path) -> None:
    line = qemu.argv(machine(Path(folder)))
    text = qemu.printable(line)
    assert shell_words(text, tmp_path) == line[1:]
    assert text.count("\n") > 20, "one option a line"


@settings(max_examples=15, deadline=None)
@example(["a -b"])
@given(st.lists(st.text("ab -'\"$\\\t;", min_size=1), max_size=3))
def test_odd_words_survive_printing(
    tmp_path_factory: pytest.TempPathFactory, odd: list[str]
) -> None:
    line = [QEMU, "-option", *odd]
    assert shell_words(qemu.printable(line), tmp_path_factory.getbasetemp()) == line[1:]


@pytest.mark.parametrize(
    ("nodes", "memory", "numa"),
    [
        ("1", [], []),
        ("2", [384, 384], ["node,nodeid=0,memdev=node0", "node,nodeid=1,memdev=node1",
                           "cpu,node-id=0,socket-id=0"]),
        ("memoryless", [768], ["node,nodeid=0,memdev=node0", "node,nodeid=1",
                               "cpu,node-id=1,socket-id=0"]),
    ],
)  # fmt: skip
def test_nodes_have_all_memory_and_all_cpus(nodes: str, memory: list[int], numa: list[str]) -> None:
    words = qemu.argv(dataclasses.replace(MACHINE, numa=nodes))
    after = {key: [b for a, b in pairwise(words) if a == key] for key in ("-object", "-numa")}
    sizes = [re.search(r"size=(\d+)M", one) for one in after["-object"]]
    assert [int(one[1]) for one in sizes if one] == memory
    assert after["-numa"] == numa
    odd = dataclasses.replace(MACHINE, numa="4", memory=1027 << 20)
    found = map(int, re.findall(r"size=(\d+)M", " ".join(qemu.argv(odd))))
    assert sum(found) == 1027

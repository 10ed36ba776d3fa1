# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's counting plugin, loaded by a fake QEMU, and the markers that the guest's programs have."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.experiment.arch import HERE
from harness.vm import accel, counter, instrument
from tests.fakes.things import cells
from tests.guest import bootsector

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
PLAIN, LONG_NOP, OTHER_NOP = "90", "0f1f8000000000", "0f1f800c005853"
CLEAR, BEGIN, END, PUT = range(4)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def marker(operation: int, channel: int = 0) -> str:
    return f"0f1f80{operation * 4 + channel:02x}005753"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plugins")
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}"]
    subprocess.run(argv, check=True, capture_output=True)
    for api in (1, 4):
        define = f"-DQEMU_PLUGIN_API={api}"
        host, source = out / f"host-{api}", ROOT / "tests/guest/plugin_host.c"
        subprocess.run(["gcc", *FLAGS, define, "-rdynamic", "-o", host, source], check=True)
        for plugin in (ROOT / "vm-images/plugins").glob("*.c"):
            subprocess.run(["gcc", *FLAGS, define, "-fsyntax-only", plugin], check=True)
    return out


def run(built: Path, api: int, blocks: list[str]) -> list[tuple[int, int]]:
    out = built / "counts"
    plugin = built / f"plugins/count-{api}.so"
    subprocess.run([built / f"host-{api}", plugin, f"out={out}", *blocks], check=True)
    lines = out.read_text(encoding="ascii").splitlines()
    return [(int(number), int(amount)) for number, amount in map(str.split, lines)]


@pytest.mark.parametrize("api", [1, 4])
def test_blocks_before_the_first_mark_are_left_as_they_are(built: Path, api: int) -> None:
    blocks = [PLAIN, LONG_NOP, marker(CLEAR), PLAIN, LONG_NOP, marker(BEGIN), marker(END), PLAIN]
    plugin = str(built / f"plugins/count-{api}.so")
    argv = [str(built / f"host-{api}"), plugin, f"out={built / 'told'}"]
    done = subprocess.run([*argv, *blocks], check=True, capture_output=True)
    assert done.stdout == b"--++++++"


def expected(blocks: list[str]) -> list[tuple[int, int]]:
    """The same by the words of count.c: a block counts when it is entered."""
    executed, sums = 0, [0] * 4
    lines: list[tuple[int, int]] = []
    for block in blocks:
        insns = block.split(",")
        executed += len(insns)
        for insn in insns:
            found = re.fullmatch("0f1f80(..)005753", insn)
            if found is None:
                continue
            operation, channel = divmod(int(found[1], 16), 4)
            if operation == CLEAR:
                sums[channel] = 0
            elif operation == BEGIN:
                sums[channel] -= executed
            elif operation == END:
                sums[channel] += executed
            else:
                lines.append((len(lines) + 1, sums[channel]))
    return lines


@pytest.mark.parametrize("api", [1, 4])
def test_what_lies_between_is_counted(built: Path, api: int) -> None:
    five = ",".join([PLAIN] * 5)
    blocks = [five, marker(CLEAR), marker(BEGIN), five, five, marker(END), five, marker(PUT)]
    # The block of the second marker belongs to what lies between.
    assert run(built, api, blocks) == [(1, 11)]
    again = [*blocks, marker(BEGIN), five, marker(END), marker(PUT)]
    assert run(built, api, again) == [(1, 11), (2, 17)], "a sum goes on until it is cleared"


@pytest.mark.parametrize("api", [1, 4])
def test_any_order_of_blocks(built: Path, api: int) -> None:
    draw = random.Random(api)
    markers = [marker(operation, channel) for operation in range(4) for channel in range(3)]
    longer = [",".join([PLAIN] * draw.randint(1, 30)) for _ in range(6)]
    mixed = [f"{LONG_NOP},{marker(BEGIN, 1)},{PLAIN}", f"{OTHER_NOP},{OTHER_NOP}"]
    pairs = [f"{PLAIN},{marker(BEGIN, 2)}", f"{PLAIN},{PLAIN},{marker(END, 2)}"]
    blocks = [marker(CLEAR, channel) for channel in range(3)]
    for _ in range(300):
        blocks.append(draw.choice([*markers, *longer, *mixed]))
        blocks += [pairs[0], draw.choice(longer), pairs[1]]
    # Sums that are not ended may be below zero, and wrap: only whole ones are told.
    blocks += [marker(PUT, 2)]
    told, wanted = run(built, api, blocks), expected(blocks)
    assert len(told) == len(wanted) > 30
    assert [(n, amount % 2**64) for n, amount in wanted] == told


@pytest.mark.parametrize("api", [1, 4])
def test_a_file_that_cannot_be_written_is_said(built: Path, api: int) -> None:
    argv = [built / f"host-{api}", built / f"plugins/count-{api}.so"]
    done = subprocess.run([*argv, "out=/nonexistent/x"], check=False, capture_output=True)
    assert done.returncode == 4
    assert b"count: cannot open /nonexistent/x" in done.stderr
    done = subprocess.run([*argv, "what=1"], check=False, capture_output=True)
    assert done.returncode == 4 and b"wants out=FILE" in done.stderr


def test_the_programs_have_the_markers_that_the_plugin_knows(built: Path) -> None:
    text = (built / "bin/pageio").read_bytes()
    found = {match[1][0] for match in re.finditer(rb"\x0f\x1f\x80(.)\x00\x57\x53", text, re.DOTALL)}
    # Clear, begin, end and put for a phase, and the other channels' that pageio shares.
    assert {0, 4, 8, 12} <= found
    assert found <= {op * 4 + channel for op in range(4) for channel in range(4)}
    assert {3, 7, 11, 15} <= found, "the run as a whole"


LOOPS = 1_000_000
LOOP = f"\tmovl\t${LOOPS}, %ecx\n1:\tmovl\t%ecx, 0x4000\n\tdecl\t%ecx\n\tjnz\t1b\n"
"""Three instructions a turn."""


@pytest.mark.skipif(shutil.which(HERE.qemu) is None, reason="needs QEMU")
def test_the_qemu_that_is_here_counts_a_known_loop(built: Path, tmp_path: Path) -> None:
    api = counter.interface(cells("swapfile"), "insn", 1, accel.qemu_version())
    assert api is not None and api == instrument.interface(accel.qemu_version())
    image, _ = bootsector.assemble(tmp_path, bootsector.marked(LOOP))
    ((number, amount),) = bootsector.run(built, tmp_path, image, "count", {})
    # Blocks count as a whole: the one that begins it does not, the one that ends it does.
    assert number == "1" and abs(int(amount) - 3 * LOOPS) <= 16


TURNS = 10_000
_MOVED = """\
	movq	$moved, %rsi
	movl	$0x9000 - (across - moved) - {before}, %edi
	movq	%rdi, %rax
	movl	$(back - moved), %ecx
	rep movsb
	movl	${turns}, %ecx
	jmp	*%rax
moved:	nop
	nop
across:	{insn}
	decl	%ecx
	jnz	moved
	movl	$back, %eax
	jmp	*%rax
back:
"""


@pytest.mark.skipif(shutil.which(HERE.qemu) is None, reason="needs QEMU")
@pytest.mark.parametrize(
    ("insn", "size"),
    [("imull $0x12345678, %eax, %edx", 6), ("movabsq $0x123456789abcdef0, %rdx", 10)],
)
def test_an_instruction_that_crosses_pages_counts_once(
    built: Path, tmp_path: Path, insn: str, size: int
) -> None:
    """QEMU 7.2 shows it as the last of one block, which it left it out of, and as the next."""
    for before in range(size + 1):  # bytes of it before the border
        code = bootsector.marked(_MOVED.format(insn=insn, before=before, turns=TURNS))
        image, _ = bootsector.assemble(tmp_path, code)
        ((number, amount),) = bootsector.run(built, tmp_path, image, "count", {})
        assert number == "1" and abs(int(amount) - 5 * TURNS) <= 100


_DEVICE = """\
	movl	$0xc0000083, 0x2018	/* the fourth GiB, as one page */
	movl	$0xfee00020, %edi	/* the local APIC's id */
	movl	${turns}, %ecx
1:	nop
	nop
	{insn}
	nop
	{insn}
	nop
	decl	%ecx
	jnz	1b
"""


@pytest.mark.skipif(shutil.which(HERE.qemu) is None, reason="needs QEMU")
@pytest.mark.parametrize("insn", ["movl (%rdi), %eax", "orl $0, (%rdi)", "nop"])
def test_what_comes_behind_an_access_to_a_device_counts_once(
    built: Path, tmp_path: Path, insn: str
) -> None:
    """QEMU leaves the block there, and enters the rest of it as another one."""
    code = bootsector.marked(_DEVICE.format(insn=insn, turns=TURNS))
    image, _ = bootsector.assemble(tmp_path, code)
    ((number, amount),) = bootsector.run(built, tmp_path, image, "count", {})
    assert number == "1" and abs(int(amount) - 8 * TURNS) <= 100

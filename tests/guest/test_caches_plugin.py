# SPDX-License-Identifier: GPL-2.0-only
"""The caches plugin in the QEMU that is here, with a guest whose misses are known."""

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

DATA = 0x100000
KIB = 1 << 10
# Line; L1I, L1D, L2, LLC, ITLB, DTLB, STLB.  The second has but twice as much of all.
SMALL = "64 4096 4 8192 4 32768 8 131072 16 8 8 8 8 32 8"
LARGE = "64 8192 4 16384 4 65536 8 262144 16 16 8 16 8 64 8"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bootsector.built(tmp_path_factory.mktemp("caches"), "caches")


def run(
    built: Path, folder: Path, code: str, operation: str = ""
) -> tuple[list[list[str]], Mapping[str, int]]:
    image, symbols = bootsector.assemble(folder, marked(code))
    models = folder / "models"
    text = f"model small {SMALL}\nmodel large {LARGE}\n"
    if operation:
        text += f"operation {symbols[operation]:x}\n"
    models.write_text(text, encoding="ascii")
    return bootsector.run(built, folder, image, "caches", {"models": models}), symbols


def of_model(lines: list[list[str]], name: str) -> dict[tuple[int, str], list[int]]:
    """Misses by address and region."""
    begin = lines.index(["model", name]) + 1
    rows: dict[tuple[int, str], list[int]] = {}
    for line in lines[begin:]:
        if line[0] in {"model", "end"}:
            break
        key, found = (int(line[0], 16), line[1]), [int(word) for word in line[3:]]
        rows[key] = [a + b for a, b in zip(rows.get(key, [0] * 7), found, strict=True)]
    return rows


@pytest.mark.parametrize("kib", [4, 12, 48, 192])
def test_a_walk_misses_what_does_not_fit(built: Path, tmp_path: Path, kib: int) -> None:
    """Six times; a warm-up fills the caches, so nothing of the first time counts."""
    passes, lines = 6, kib * KIB // 64
    walk = f"""
	movl	$PASSES, %edx
2:	movl	${DATA}, %edi
	movl	${lines}, %ecx
1:	movb	(%rdi), %al
	addl	$64, %edi
	decl	%ecx
	jnz	1b
	decl	%edx
	jnz	2b
"""
    code = bootsector.mark(bootsector.CLEAR, 2) + walk.replace("PASSES", "2")
    code += "".join(map(bootsector.mark, (bootsector.CLEAR, bootsector.BEGIN)))
    code += walk.replace("PASSES", str(passes)).replace("1:\tmovb", "load:\n1:\tmovb")
    code += "".join(map(bootsector.mark, (bootsector.END, bootsector.PUT)))
    image, symbols = bootsector.assemble(tmp_path, code)
    models = tmp_path / "models"
    models.write_text(f"model small {SMALL}\nmodel large {LARGE}\n", encoding="ascii")
    rows = bootsector.run(built, tmp_path, image, "caches", {"models": models})
    assert rows[:4] == [
        ["put", "1", "0"], rows[1], ["operations", "0"], ["lines", "0"],
    ]  # fmt: skip
    assert int(rows[1][1]) == pytest.approx(passes * (lines * 4 + 4), abs=16)
    for name, times in (("small", 1), ("large", 2)):
        found = of_model(rows, name).get((symbols["load"], "user"), [0] * 7)
        every = passes * lines
        pages = passes * kib // 4
        assert found == [
            0,
            every if kib > 8 * times else 0,
            every if kib > 32 * times else 0,
            every if kib > 128 * times else 0,
            0,
            pages if kib > 32 * times else 0,  # 8 pages
            pages if kib > 128 * times else 0,  # 32
        ], name


def test_lines_are_counted_by_operation(built: Path, tmp_path: Path) -> None:
    """Each operation stores to the same three lines, one of them twice, and to one of its own."""
    code = f"""
	movq	%rax, {DATA + 0x10000}	/* no operation has begun */
	movq	%rax, {DATA + 0x11000}
	movl	${DATA}, %edi
	movl	$50, %ecx
	jmp	each
each:	movq	%rax, {DATA + 0x8000}
	movq	%rax, {DATA + 0x8008}
	movq	%rax, {DATA + 0x8040 - 4}	/* over its end */
	movq	%rax, {DATA + 0x9000}
	movb	%al, (%rdi)
	addl	$64, %edi
	decl	%ecx
	jnz	each
"""
    lines, _ = run(built, tmp_path, code, "each")
    assert lines[2] == ["operations", "50"]
    # Four, and one or two of its own code; and the mark after the last one.
    assert 50 * 5 <= int(lines[3][1]) <= 50 * 6 + 1


@pytest.mark.parametrize("flush", ["invlpg\t0x200000", "movq\t%cr3, %rax\n\tmovq\t%rax, %cr3"])
def test_a_page_that_moves_is_followed(built: Path, tmp_path: Path, flush: str) -> None:
    """One virtual page at two physical ones in turn: each line is missed once, and both stay."""
    code = f"""
	movl	$0x5003, 0x3008		/* PD[1]: a table with pages of 4 KiB */
	movl	$10, %ecx
1:	movq	${DATA + 3}, 0x5000
	{flush}
here:	movb	0x200000, %al
	movb	0x200000, %al
	movq	${DATA + 0x1003}, 0x5000
	{flush}
there:	movb	0x200000, %al
	decl	%ecx
	jnz	1b
"""
    lines, symbols = run(built, tmp_path, code)
    rows = of_model(lines, "small")
    for place in ("here", "there"):
        misses = rows[symbols[place], "user"]
        assert misses[1:4] == [1, 1, 1], place
        assert misses[5:] == [1, 1], place


def test_an_access_over_a_line_s_end_misses_two(built: Path, tmp_path: Path) -> None:
    code = "".join(
        f"over{size}:\t{load}\t{DATA + 0x1000 * size - size + 1}, {register}\n"
        f"inside{size}:\t{load}\t{DATA + 0x1000 * size + 0x800 - size}, {register}\n"
        for size, load, register in ((2, "movw", "%ax"), (8, "movq", "%rax"))
    )
    lines, symbols = run(built, tmp_path, code)
    rows = of_model(lines, "small")
    for size in (2, 8):
        assert rows[symbols[f"over{size}"], "user"][1] == 2
        assert rows[symbols[f"inside{size}"], "user"][1] == 1


def test_code_is_charged_for_its_lines(built: Path, tmp_path: Path) -> None:
    """A block over three lines, entered for the first time and again."""
    code = "\tmovl\t$10, %ecx\n\tjmp\tlong\n\t.balign 64\nlong:\t.fill 140, 1, 0x90\n"
    code += "\tdecl\t%ecx\n\tjnz\tlong\n"
    lines, symbols = run(built, tmp_path, code)
    rows = of_model(lines, "small")
    first = symbols["long"]
    for line in range(3):
        misses = rows[first + 64 * line, "image"]
        # Whether it is in L2 depends on how the firmware loaded it.
        assert misses[:2] == [1, 0], "once"
    assert lines[1] == ["executed", lines[1][1]] and int(lines[1][1]) >= 1410


def test_a_file_that_has_no_model_is_said(built: Path, tmp_path: Path) -> None:
    image, _ = bootsector.assemble(tmp_path, "")
    models = tmp_path / "models"
    for text, said in (("model x 64 1 2\n", "no model"), ("operation 12\n", "wants out=FILE")):
        models.write_text(text, encoding="ascii")
        with pytest.raises(AssertionError, match=said):
            bootsector.run(built, tmp_path, image, "caches", {"models": models})

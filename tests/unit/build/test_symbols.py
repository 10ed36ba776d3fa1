# SPDX-License-Identifier: GPL-2.0-only
"""What is recorded of the kernels whose misses and locks are told."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import symbols as builder
from harness.results import symbols
from harness.util.sandbox import Sandbox
from tests.fakes import things

SOURCE = """\
struct counts { int other; unsigned int sequence; };
static inline __attribute__((always_inline)) void do_raw_write_seqcount_begin(unsigned int *s)
{
	++*s;
}
void section(struct counts *at)
{
	do_raw_write_seqcount_begin(&at->sequence);
}
void counter(struct counts *at)
{
	++at->other;
}
void raw_write_seqcount_latch(struct counts *at)
{
	++at->other;
}
void _start(void)
{
}
"""

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("objdump") and shutil.which("addr2line")),
    reason="needs gcc, objdump and addr2line",
)


def test_write_sections_are_told_from_other_increments(tmp_path: Path) -> None:
    kernel = replace(things.kernel(tmp_path / "kernel"), path=tmp_path / "built")
    kernel.path.mkdir()
    (kernel.path / "toy.c").write_text(SOURCE, encoding="utf-8")
    argv = ["gcc", "-O2", "-g1", "-mcmodel=kernel", "-nostdlib", "-static", "-no-pie", "-fno-pie"]
    argv += ["-Wl,-Ttext=0xffffffff81000000", "-Wl,--build-id=none", "-fcf-protection=none"]
    subprocess.run([*argv, "-o", "vmlinux", "toy.c"], check=True, cwd=kernel.path)
    table = subprocess.run(
        ["nm", "-n", "vmlinux"], check=True, cwd=kernel.path, capture_output=True
    )
    (kernel.path / "System.map").write_bytes(table.stdout)
    code = subprocess.run(
        ["objdump", "-d", "vmlinux"], check=True, cwd=kernel.path, capture_output=True, text=True
    ).stdout
    places = re.findall(r"^([0-9a-f]+):.*(?:addl +\$0x1|incl)", code, re.MULTILINE)
    assert len(places) == 3
    (section,) = (
        int(place, 16)
        for place in places
        if "section" in code.partition(f"{place}:")[0].rpartition("<")[2]
    )
    folder = tmp_path / "boots" / "00-base.locks"
    folder.mkdir(parents=True)
    rows = "".join(f"sequence slab:x 4 {place} seqcount 1 2 2 1\n" for place in places)
    (folder / "locks.gz").write_bytes(gzip.compress(rows.encode(), mtime=0))
    assert builder.record(tmp_path, {"base": (kernel, [folder])}, Sandbox(on=False)) == ()
    found = symbols.read(tmp_path, "base")
    assert found and found.sections == {section}
    assert found and found.namer()(section) == "section"
    (kernel.path / "vmlinux").write_text("no kernel", encoding="utf-8")
    (said,) = builder.record(tmp_path, {"base": (kernel, [folder])}, Sandbox(on=False))
    assert said.startswith("no seqcounts of base are told: ")
    without = symbols.read(tmp_path, "base")
    assert without and without.functions == found.functions and not without.sections

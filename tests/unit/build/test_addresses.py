# SPDX-License-Identifier: GPL-2.0-only
"""Names and lines of addresses: what addr2line says, and a kernel of three functions."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import places
from harness.results.places import SourceLine
from harness.util.errors import HarnessError
from harness.util.sandbox import Sandbox
from tests.fakes import things

SAID = """\
0xffffffff81000010
inner
/cache/build/1234/obj-0123abcd/../src/mm/swap.h:12 (discriminator 2)
outer
/cache/build/1234/obj-0123abcd/../src/mm/swap.c:100
0xffffffff81000020
generated
/cache/build/1234/obj-0123abcd/include/generated/x.h:?
0xffffffff81000030
asm_thing
??:?
0xffffffff81000040
??
??:0
"""


def test_the_answers_of_addr2line() -> None:
    assert list(places.parse(SAID)) == [
        (
            0xFFFFFFFF81000010,
            (SourceLine("inner", "mm/swap.h", 12), SourceLine("outer", "mm/swap.c", 100)),
        ),
        (0xFFFFFFFF81000020, (SourceLine("generated", "include/generated/x.h", 0),)),
        (0xFFFFFFFF81000030, (SourceLine("asm_thing", "", 0),)),
        (0xFFFFFFFF81000040, (SourceLine("", "", 0),)),
    ]
    assert list(places.parse("")) == []
    assert list(places.parse("0xffffffff81000010\ncut")) == [
        (0xFFFFFFFF81000010, (SourceLine("cut", "", 0),))
    ]


SOURCE = """\
extern volatile int sink;
volatile int sink;
static inline __attribute__((always_inline)) void burn(void)
{
	sink = 1;
}
void quick(void)
{
	sink = 2;
	burn();
}
void _start(void)
{
	quick();
}
"""


@pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("addr2line")), reason="needs gcc and addr2line"
)
def test_a_kernel_with_line_tables(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "1" / "obj-0123abcd"
    source = tmp_path / "build" / "1" / "src" / "mm"
    for place in (folder, source):
        place.mkdir(parents=True)
    (source / "toy.c").write_text(SOURCE, encoding="utf-8")
    argv = ["gcc", "-O1", "-g1", "-fno-inline", "-mcmodel=kernel", "-nostdlib", "-static"]
    argv += ["-no-pie", "-fno-pie", "-Wl,-Ttext=0xffffffff81000000", "-Wl,-Tbss=0xffffffff81100000"]
    argv += ["-Wl,--build-id=none", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"]
    subprocess.run([*argv, "-o", "vmlinux", f"{folder}/../src/mm/toy.c"], check=True, cwd=folder)
    symbols = subprocess.run(["nm", "-n", "vmlinux"], check=True, cwd=folder, capture_output=True)
    kernel = replace(things.kernel(tmp_path / "kernel"), path=folder)
    (folder / "System.map").write_bytes(symbols.stdout)
    entries = {
        line.split()[2]: int(line.split()[0], 16)
        for line in symbols.stdout.decode().splitlines()
        if line.split()[1] == "T"
    }
    quick = entries["quick"]
    first = range(quick, quick + 10)  # one store of ten bytes, then another
    found = places.find(kernel, {quick, quick + 10}, {quick}, Sandbox(False))
    assert found.functions == {quick: ("quick", "mm/toy.c")}
    assert found.stack(first[0]) == (SourceLine("quick", "mm/toy.c", 9),)
    assert found.stack(quick + 10) == (
        SourceLine("burn", "mm/toy.c", 5),
        SourceLine("quick", "mm/toy.c", 10),
    )
    (folder / "vmlinux").write_text("no kernel", encoding="utf-8")
    with pytest.raises(HarnessError, match="addr2line"):
        places.find(kernel, {quick}, {quick}, Sandbox(False))

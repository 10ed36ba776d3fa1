# SPDX-License-Identifier: GPL-2.0-only
"""What an address belongs to, in the memory of a kernel that is made here."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
IMAGE, DIRECT, VMALLOC, PAGES = (
    0xFFFF_FFFF_8000_0000, 0xFFFF_8880_0000_0000, 0xFFFF_C900_0000_0000, 0xFFFF_EA00_0000_0000,
)  # fmt: skip
MIB = 1 << 20
SIZE = 8 * MIB
TEXT, TABLE, DATA, END = MIB, MIB + 0x20000, MIB + 0x30000, MIB + 0x40000
"""Of the image, physical: code, page tables, variables; struct pages are at 2 MiB."""
STRUCT_PAGES = 2 * MIB
LIST, NAME, OBJECT = 0x68, 0x60, 0x18
"""In struct kmem_cache: its list, its name, the size of an object."""
RESERVED = 1 << 14
ANON, MEMCG = 1, DIRECT + 0x7F0040
VARIABLES = {
    "slab_caches": 0x00, "kmem_cache": 0x10, "max_pfn": 0x18, "pcpu_base_addr": 0x20,
    "pcpu_unit_size": 0x28, "vmap_nodes": 0x30, "single": 0x100, "zsmalloc_mops": 0x800,
    "swap_chain": 0x1000,
}  # fmt: skip
CACHES = ("kmem_cache", "kmalloc-64", "kmalloc-96", "kmalloc-512", "radix_tree_node", "vmap_area",
          "zspage", "swap cache", "task_struct", "dentry", "inode_cache")  # fmt: skip
CALLER = IMAGE + TEXT + 0x1234
PERCPU = DIRECT + 0x700000

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


class Guest:
    """Memory by physical address.  ``numbers``: types of pages as since 6.12, else as before."""

    def __init__(self, *, numbers: bool = True, mask: bool = False) -> None:
        self.memory = bytearray(SIZE)
        self.numbers, self.mask = numbers, mask
        self._tables()
        for frame in range(TEXT >> 12, END >> 12):
            self.page(frame << 12, flags=RESERVED)
        self.word(DATA + VARIABLES["max_pfn"], SIZE >> 12)
        self.cache = self._caches()
        self._vmalloc()
        self.word(DATA + VARIABLES["pcpu_base_addr"], PERCPU)
        self.word(DATA + VARIABLES["pcpu_unit_size"], 0x8000)

    def word(self, place: int, value: int, form: str = "<Q") -> None:
        struct.pack_into(form, self.memory, place, value)

    def page(
        self, place: int, *, flags: int = 0, word: int = 0, mapping: int = 0,
        kind: int = 0xFFFF_FFFF, memcg: int = 0,
    ) -> None:  # fmt: skip
        """The struct page of a physical address."""
        at = STRUCT_PAGES + (place >> 12) * 64
        struct.pack_into("<QQQQQQII", self.memory, at, flags, word, 0, mapping, 0, 0, kind, 1)
        self.word(at + 56, memcg)

    def tail(self, place: int, head: int, order: int) -> None:
        """A page of a compound page."""
        mask = (-1 << (order + 6)) & (2**64 - 1)
        self.page(place, word=(mask if self.mask else PAGES + (head >> 12) * 64) | 1)

    def slab(self, place: int, cache: int) -> None:
        kind = 0xF500_0000 if self.numbers else 0xFFFF_FFFF
        self.page(place, flags=1 << 11, word=cache, kind=kind)

    def _tables(self) -> None:
        """Struct pages in one large page, and two small ones of vmalloc."""
        for base, slot in ((PAGES, 1), (VMALLOC, 3)):
            above, below = TABLE + slot * 0x1000, TABLE + (slot + 1) * 0x1000
            self.word(TABLE + (base >> 39 & 511) * 8, above | 1)
            self.word(above + (base >> 30 & 511) * 8, below | 1)
        self.word(TABLE + 0x2000, STRUCT_PAGES | 0x81)
        self.word(TABLE + 0x4000, (TABLE + 0x5000) | 1)
        for number in range(2):
            self.word(TABLE + 0x5000 + 8 * number, 0x600000 + 0x1000 * number | 1)

    def _caches(self) -> dict[str, int]:
        """All of them in one page of slab, their names behind."""
        place, names = 0x400000, 0x401000
        made = {name: DIRECT + place + 0x100 * i for i, name in enumerate(CACHES)}
        self.word(DATA + VARIABLES["kmem_cache"], made["kmem_cache"])
        before = DATA + VARIABLES["slab_caches"]
        for i, (name, cache) in enumerate(made.items()):
            own = cache - DIRECT
            size = int(name[8:]) if name.startswith("kmalloc-") else 0x100 if not i else 192
            self.word(own + OBJECT, size, "<I")
            self.word(own + NAME, DIRECT + names + 32 * i)
            self.memory[names + 32 * i : names + 32 * i + len(name)] = name.encode()
            self.word(before, cache + LIST)
            before = own + LIST
        self.word(before, IMAGE + DATA + VARIABLES["slab_caches"])
        self.slab(place, made["kmem_cache"])
        return made

    def _vmalloc(self) -> None:
        """Two areas of which one was made by CALLER; the root lies somewhere in a structure."""
        self.slab(0x500000, self.cache["vmap_area"])
        for i, (begin, vm) in enumerate(((VMALLOC, 0x501000), (VMALLOC + 0x1000, 0x502000))):
            area = 0x500000 + 192 * i
            self.word(area, begin)
            self.word(area + 8, begin + 0x1000)
            self.word(area + 56, DIRECT + vm)
            self.word(vm + 8, begin)
            self.word(vm + 56 + 8 * i, CALLER + 0x100 * i)
        self.word(0x500000 + 24, DIRECT + 0x500000 + 192 + 16)  # the right one
        self.word(DATA + VARIABLES["vmap_nodes"], IMAGE + DATA + VARIABLES["single"])
        self.word(DATA + VARIABLES["single"] + 0x48, DIRECT + 0x500000 + 16)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kerneldata") / "driver"
    sources = [ROOT / "tests/guest/kerneldata_driver.c", ROOT / "vm-images/plugins/kerneldata.c"]
    subprocess.run(["gcc", *FLAGS, "-o", out, *sources], check=True)
    return out


def ask(driver: Path, folder: Path, guest: Guest, addresses: Sequence[int]) -> list[str]:
    (folder / "memory").write_bytes(guest.memory)
    bounds = {"_text": TEXT, "_etext": TABLE, "init_top_pgt": TABLE, "_end": END}
    rows = [f"symbol {name} {IMAGE + place:x}" for name, place in bounds.items()]
    rows += [f"symbol {name} {IMAGE + DATA + at:x}" for name, at in VARIABLES.items()]
    rows += ["symbol __per_cpu_start 0", "symbol __per_cpu_end 1000", "data 0", "data 40"]
    rows += [f"data {IMAGE + DATA + at:x}" for at in sorted(VARIABLES.values())]
    (folder / "lines").write_text("".join(f"{row}\n" for row in rows), encoding="ascii")
    asked = "".join(f"{address:x}\n" for address in addresses)
    argv = [driver, folder / "memory", folder / "lines"]
    done = subprocess.run(argv, input=asked, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize("mask", [True, False])
def test_every_kind_is_told(driver: Path, tmp_path: Path, *, numbers: bool, mask: bool) -> None:
    guest = Guest(numbers=numbers, mask=mask)
    guest.slab(0x410000, guest.cache["radix_tree_node"])
    guest.slab(0x414000, guest.cache["swap cache"])
    guest.tail(0x415000, 0x414000, 1)
    mops = IMAGE + DATA + VARIABLES["zsmalloc_mops"]
    if numbers:
        guest.page(0x420000, kind=0xF600_0000)
    else:
        guest.page(0x420000, mapping=mops | 2)
    guest.page(0x421000, kind=0xF200_0000 if numbers else 0xFFFF_FDFF)
    guest.page(0x422000, kind=0xF000_0000 if numbers else 0xFFFF_FF7F)
    guest.page(0x423000, mapping=DIRECT + 0x7F0000 + ANON, kind=0)
    guest.page(0x424000, mapping=DIRECT + 0x7F0000, memcg=MEMCG)
    guest.page(0x425000, memcg=MEMCG)
    guest.page(0x426000, memcg=MEMCG | 2)
    guest.page(0x427000)
    guest.page(0x428000, flags=RESERVED)
    guest.page(PERCPU - DIRECT + 0x1000, flags=RESERVED)
    guest.page(PERCPU - DIRECT + 0x2000, kind=0xF200_0000 if numbers else 0xFFFF_FDFF)
    expected = {
        IMAGE + DATA + 0x1008: f"image:{IMAGE + DATA + 0x1000:x} 8",
        DIRECT + DATA + 0x1008: f"image:{IMAGE + DATA + 0x1000:x} 8",
        PERCPU + 0x48: "percpu:40 8",
        PERCPU + 0x1000: "percpu-more 0",
        PERCPU + 0x2000: "table 0",  # of the unit, and given back
        DIRECT + 0x410000 + 192 * 3 + 0x10: "slab:radix_tree_node 10",
        DIRECT + 0x415000: f"slab:swap_cache {0x1000 % 192:x}",
        DIRECT + 0x420010: "zsmalloc 0",
        DIRECT + 0x421010: "table 0",
        DIRECT + 0x422010: "free 0",
        DIRECT + 0x423010: "anon 0",
        DIRECT + 0x424010: "file 0",
        DIRECT + 0x425010: "charged 0",
        DIRECT + 0x426010: "kernel 0",
        DIRECT + 0x427010: "untyped 0",
        DIRECT + 0x428010: "boot 0",
        PAGES + 64 * 7 + 8: "struct-page 8",
        VMALLOC + 0x10: f"vmalloc:{CALLER:x} 10",
        VMALLOC + 0x1010: f"vmalloc:{CALLER + 0x100:x} 10",
        VMALLOC + 0x2010: "vmalloc:0 0",
        0xFFFF_FE00_0000_1000: "entry 0",
        DIRECT + SIZE: "unknown 0",
        0x1000: "user 0",
    }
    assert ask(driver, tmp_path, guest, list(expected)) == list(expected.values())


def test_large_kmalloc_is_told_where_it_has_a_type(driver: Path, tmp_path: Path) -> None:
    guest = Guest()
    guest.page(0x420000, kind=0xF800_0000)
    assert ask(driver, tmp_path, guest, [DIRECT + 0x420000]) == ["kmalloc 0"]


def test_a_kernel_that_is_otherwise_tells_nothing(driver: Path, tmp_path: Path) -> None:
    """One cache of all is not where the others say it has to be."""
    guest = Guest()
    cache = guest.cache["dentry"] - DIRECT
    guest.slab(cache & ~0xFFF, guest.cache["zspage"])
    guest.slab(0x410000, guest.cache["zspage"])
    found = ask(driver, tmp_path, guest, [DIRECT + 0x410000, IMAGE + DATA + 0x1000])
    assert found == ["unknown 0", f"image:{IMAGE + DATA + 0x1000:x} 0"]


def test_lists_that_do_not_end_are_left(driver: Path, tmp_path: Path) -> None:
    guest = Guest()
    last = guest.cache["inode_cache"] - DIRECT + LIST
    guest.word(last, DIRECT + last)
    assert ask(driver, tmp_path, guest, [DIRECT + 0x410000]) == ["unknown 0"]
    guest = Guest()
    area = 0x500000 + 192
    guest.word(area + 24, DIRECT + area + 16)
    assert ask(driver, tmp_path, guest, [VMALLOC + 0x5000]) == ["vmalloc:0 0"]


def test_offsets_are_left_out_where_no_size_is_known(driver: Path, tmp_path: Path) -> None:
    guest = Guest()
    guest.word(guest.cache["kmalloc-96"] - DIRECT + OBJECT, 97, "<I")
    guest.slab(0x410000, guest.cache["zspage"])
    assert ask(driver, tmp_path, guest, [DIRECT + 0x410000 + 200]) == ["slab:zspage 0"]

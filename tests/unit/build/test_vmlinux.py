# SPDX-License-Identifier: GPL-2.0-only
"""Sizes of symbols: against a file whose sizes are known, against nm, and what is no vmlinux."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.build import vmlinux
from harness.build.vmlinux import VmlinuxError
from harness.results import sizes
from tests.fakes import elf
from tests.fakes.elf import ABSOLUTE, BSS, DATA, FUNCTION, NOTE, OBJECT, RODATA, SECTION, TEXT

SYMBOLS = [
    ("do_swap_page", TEXT, FUNCTION, 1000),
    ("shrink.isra.0", TEXT, FUNCTION, 30),
    ("shrink.isra.12", TEXT, FUNCTION, 12),
    ("entry_by_hand", TEXT, 0, 7),
    ("label", TEXT, 0, 0),
    ("__se_sys_swapon", TEXT, FUNCTION, 5000),
    ("a_table", RODATA, OBJECT, 200),
    ("linux_banner", RODATA, OBJECT, 90),
    ("swap_info", DATA, OBJECT, 64),
    ("__addressable_x1", DATA, OBJECT, 8),
    ("a_map", BSS, OBJECT, 4096),
    ("debug", NOTE, OBJECT, 3),
    ("elsewhere", elf.UNDEFINED, FUNCTION, 11),
    ("constant", ABSOLUTE, 0, 13),
    (".text", TEXT, SECTION, 17),
]
WHOLE = elf.vmlinux(SYMBOLS)


def _write(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vmlinux"
    path.write_bytes(content)
    return path


def test_sums_and_functions(tmp_path: Path) -> None:
    found = vmlinux.sizes(_write(tmp_path, WHOLE))
    assert (found.text, found.data, found.bss) == (1000 + 42 + 7, 264, 4096)
    assert found.functions == {"do_swap_page": 1000, "shrink.isra": 42, "entry_by_hand": 7}


def test_nm_reads_the_same_of_what_a_compiler_made(tmp_path: Path) -> None:
    source = """
    int zero[7]; long filled = 3; const char text[] = "abc"; extern int other;
    static int inner(int x) { return x + other; }
    int outer(int x) { static int count; return inner(x) + ++count; }
    __attribute__((weak)) int weak(void) { return 1; }
    """
    path = tmp_path / "vmlinux"
    argv = ["gcc", "-O0", "-c", "-xc", "-", "-o", str(path)]
    subprocess.run(argv, input=source, text=True, check=True)
    said = subprocess.run(
        ["nm", "--size-sort", str(path)], capture_output=True, text=True, check=True
    )
    by_nm = [line.split() for line in said.stdout.splitlines()]
    sums = {
        kinds: sum(int(size, 16) for size, kind, _ in by_nm if kind in kinds)
        for kinds in ("tTW", "dDrR", "bB")
    }
    found = vmlinux.sizes(path)
    assert (found.text, found.data, found.bss) == tuple(sums.values())
    assert found.functions.keys() == {"inner", "outer", "weak"} and found.bss == 7 * 4 + 4


@pytest.mark.parametrize("content", [b"", b"vmlinux", b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_vmlinux_is_said(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(VmlinuxError, match="vmlinux' cannot be read: "):
        vmlinux.sizes(_write(tmp_path, content))
    with pytest.raises(VmlinuxError, match="No such file"):
        vmlinux.sizes(tmp_path / "none")


def test_a_damaged_one_gives_sizes_or_the_one_error(tmp_path: Path) -> None:
    for end in range(0, len(WHOLE), 7):
        with pytest.raises(VmlinuxError):
            vmlinux.sizes(_write(tmp_path, WHOLE[:end]))
    for place in range(len(WHOLE)):
        broken = bytearray(WHOLE)
        broken[place] ^= 0xFF
        try:
            vmlinux.sizes(_write(tmp_path, bytes(broken)))
        except VmlinuxError as error:
            assert "cannot be read: " in str(error)


def test_a_name_without_end_is_none(tmp_path: Path) -> None:
    long = elf.vmlinux([("x" * 5000, TEXT, FUNCTION, 1)])
    with pytest.raises(VmlinuxError):
        vmlinux.sizes(_write(tmp_path, long))


def test_a_result_has_them_once(tmp_path: Path) -> None:
    base, patch, result = tmp_path / "base", tmp_path / "patch", tmp_path / "result"
    _write(base, WHOLE)
    _write(patch, elf.vmlinux([("do_swap_page", TEXT, FUNCTION, 1010)]))
    result.mkdir()
    assert vmlinux.record(result, base, patch) == ""
    found = sizes.read(result)
    assert found and (found.base.text, found.patch.text) == (1049, 1010)
    assert [(one.name, one.change) for one in found.changed] == [
        ("do_swap_page", 10), ("entry_by_hand", -7), ("shrink.isra", -42),
    ]  # fmt: skip
    (patch / "vmlinux").unlink()
    assert vmlinux.record(result, base, patch) == "", "they are there already"
    (result / sizes.NAME).unlink()
    assert vmlinux.record(result, base, patch).startswith("the sizes of the kernels are not rec")
    assert sizes.read(result) is None

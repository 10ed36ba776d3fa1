# SPDX-License-Identifier: GPL-2.0-only
"""The symbols of a built kernel and their sizes, read from its vmlinux.

A vmlinux is what a series' own build left, so nothing in it is trusted: it is read here and not by
a tool, and whatever does not hold together is an error.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.results import sizes as recorded
from harness.results.sizes import KernelSize, Sizes
from harness.util.errors import HarnessError

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little endian
_SYMTAB, _NOBITS = 2, 8
_ALLOC, _EXEC = 2, 4
_SIZED = frozenset({0, 1, 2})  # no type, object, function: not a section, a file or a TLS symbol
# As in the kernel's scripts/bloat-o-meter: names that a build generates, and numbers that the
# compiler appends to the names of static symbols.
_GENERATED = ("__mod_", "__se_sys", "__se_compat_sys", "__addressable_")
_BUILD = frozenset({"linux_banner", "vermagic"})
_LONGEST = 4096  # characters of a name, and bytes of a table: no kernel comes near
_MOST = 128 << 20
_NUMBER = re.compile(r"\.[0-9]+")


class VmlinuxError(HarnessError):
    """A file that is no vmlinux of 64 bits, or a damaged one."""


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


def sizes(path: Path) -> KernelSize:
    """The sizes of all symbols of a vmlinux.  VmlinuxError if it cannot be read as one."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _sizes(data)
    except (OSError, ValueError, IndexError, OverflowError, struct.error) as error:
        raise VmlinuxError(f"the symbols of '{path}' cannot be read: {error}") from error


def record(results: Path, base: Path, patch: Path) -> str:
    """Write the sizes of the kernels in two folders of the cache into a result that has none yet.

    A sentence where that cannot be done: no figure of a measurement depends on it.
    """
    if (results / recorded.NAME).is_file():
        return ""
    try:
        found = Sizes.of(*(sizes(folder / "vmlinux") for folder in (base, patch)))
    except VmlinuxError as error:
        return f"the sizes of the kernels are not recorded: {error}"
    recorded.write(results, found)
    return ""


def _sizes(data: mmap.mmap) -> KernelSize:
    kinds = {"text": 0, "data": 0, "bss": 0}
    functions: Counter[str] = Counter()
    for name, kind, size in _symbols(data):
        if name.startswith(_GENERATED) or name in _BUILD:
            continue
        kinds[kind] += size
        if kind == "text":
            functions[_NUMBER.sub("", name)] += size
    return KernelSize(**kinds, functions=dict(functions))


def _symbols(data: mmap.mmap) -> Iterator[tuple[str, str, int]]:
    """Name, "text", "data" or "bss", and size of each symbol that takes room in memory."""
    header = _HEADER.unpack_from(data)
    if not header[0].startswith(_MAGIC):
        raise ValueError("it is no ELF file of 64 bits")
    offset, size, count = header[6], header[11], header[12]
    sections = [_Section(*_SECTION.unpack_from(data, offset + i * size)) for i in range(count)]
    tables = [one for one in sections if one.kind == _SYMTAB]
    if not tables:
        raise ValueError("it has no table of symbols")
    table = tables[0]
    names = _content(data, sections[table.link])
    for place, info, _, index, _, length in _SYMBOL.iter_unpack(_content(data, table)):
        if not length or info & 0xF not in _SIZED or not 0 < index < len(sections):
            continue
        home = sections[index]
        if home.flags & _ALLOC:
            kind = "text" if home.flags & _EXEC else "bss" if home.kind == _NOBITS else "data"
            name = names[place : names.index(b"\0", place, place + _LONGEST)]
            yield name.decode("ascii", "backslashreplace"), kind, length


def _content(data: mmap.mmap, section: _Section) -> bytes:
    if section.size > _MOST:
        raise ValueError(f"a table of it has {section.size >> 20} MiB")
    found = data[section.offset : section.offset + section.size]
    if len(found) != section.size:
        raise ValueError("it ends before its tables do")
    return found

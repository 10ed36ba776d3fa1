# SPDX-License-Identifier: GPL-2.0-only
"""A vmlinux of 64 bits with nothing in it but sections and symbols of known sizes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

TEXT, RODATA, DATA, BSS, NOTE = range(1, 6)
"""Sections of the file; the last one is not in memory."""
UNDEFINED, ABSOLUTE = 0, 0xFFF1
OBJECT, FUNCTION, SECTION = 1, 2, 3
# Kind and flags: write 1, alloc 2, execute 4; 8 has no content.
_SECTIONS = {TEXT: (1, 6), RODATA: (1, 2), DATA: (1, 3), BSS: (8, 3), NOTE: (1, 0)}


def vmlinux(symbols: Sequence[tuple[str, int, int, int]]) -> bytes:
    """The file. symbols: name, section, type and size of each"""
    names, table = b"\0", bytes(24)
    for name, section, kind, size in symbols:
        table += struct.pack("<IBBHQQ", len(names), kind, 0, section, 0, size)
        names += name.encode() + b"\0"
    head = 64
    rows = [(0, 0, 0, 0, 0)]
    rows += [(kind, flags, head, 0, 0) for kind, flags in _SECTIONS.values()]
    rows.append((2, 0, head, len(table), len(rows) + 1))
    rows.append((3, 0, head + len(table), len(names), 0))
    heads = b"".join(
        struct.pack("<IIQQQQIIQQ", 0, kind, flags, 0, place, size, link, 0, 8, 24)
        for kind, flags, place, size, link in rows
    )
    start = head + len(table) + len(names)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, len(rows), 0,
    )  # fmt: skip
    return header + table + names + heads

# SPDX-License-Identifier: GPL-2.0-only
"""The functions of a kernel by address, from its System.map, as QEMU's plugins need them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LINE = re.compile(r"([0-9a-f]{16}) [tTwW] (\S+)")
_BASE = 0xFFFF_8000_0000_0000
_PADDING = "__pfx_"  # CONFIG_CALL_PADDING: the bytes in front of a function
_PART = re.compile(r"(.+)\.cold(\.\d+)?")
_FORKED = ("ret_from_fork_asm", "ret_from_fork")  # of 6.6 and later, and before
_KINDS = (
    ("x", re.compile(r"asm_exc_\w+")),
    ("i", re.compile(r"asm_(sysvec_\w+|common_interrupt|spurious_interrupt)")),
    ("v", re.compile(r"(irq|spurious)_entries_start")),
    ("c", re.compile(r"entry_SYSCALL_64")),
    ("s", re.compile(r"__do_softirq|handle_softirqs")),
    ("k", re.compile(r"kthread")),
)
"""What vm-images/plugins/profile.c calls a kind, by the whole name."""
_PLAIN = "-"


@dataclass(frozen=True, slots=True)
class Function:
    """Where a function begins, its kind, and the address of what it is a part of (or its own)."""

    address: int
    name: str
    kind: str
    whole: int


def functions(system_map: str) -> tuple[Function, ...]:
    """The functions of a System.map by address, one for each address."""
    names: dict[int, str] = {}
    for place, name in _LINE.findall(system_map):
        address = int(place, 16)
        if address < _BASE or name.startswith(_PADDING):
            continue
        # Of several names that of the least underscores in front: what a caller would write.
        if address not in names or _rank(name) < _rank(names[address]):
            names[address] = name
    often = Counter(names.values())
    places = {name: address for address, name in names.items() if often[name] == 1}
    forked = next((name for name in _FORKED if name in places), "")
    return tuple(
        Function(
            address, name, "n" if name == forked else _kind(name), _whole(address, name, places)
        )
        for address, name in sorted(names.items())
    )


def lines(found: Iterable[Function]) -> Iterator[str]:
    """The lines of the table that the plugins read."""
    for one in found:
        part = "" if one.whole == one.address else f" {one.whole:x}"
        yield f"{one.address:x} {one.kind}{part}\n"


def _rank(name: str) -> tuple[int, int, str]:
    return len(name) - len(name.lstrip("_")), len(name), name


def _kind(name: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(name)), _PLAIN)


def _whole(address: int, name: str, places: dict[str, int]) -> int:
    """The compiler moves what is seldom executed away from its function, as <name>.cold."""
    part = _PART.fullmatch(name)
    return places.get(part[1], address) if part else address

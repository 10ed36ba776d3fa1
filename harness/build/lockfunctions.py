# SPDX-License-Identifier: GPL-2.0-only
"""What vm-images/plugins needs to know of a kernel's functions, by name, from its System.map."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

_LINE = re.compile(r"^([0-9a-f]{16}) [tTwW] (\S+)$", re.MULTILINE)
_KERNEL = 0xFF00_0000_0000_0000
_CLONE = re.compile(r"(\.(constprop|isra|part)\.\d+)+")
_ROLES = {
    r"_raw_spin_lock(_bh|_irq|_irqsave)?(_nested|_nest_lock)?": "spin",
    r"_raw_spin_trylock(_bh)?": "spin-try",
    r"_raw_read_lock(_bh|_irq|_irqsave)?": "read",
    r"_raw_read_trylock": "read-try",
    r"_raw_write_lock(_bh|_irq|_irqsave|_nested)?": "write",
    r"_raw_write_trylock": "write-try",
    r"mutex_lock(_interruptible|_killable|_io)?(_nested)?": "mutex",
    r"mutex_trylock": "mutex-try",
    r"mutex_unlock": "mutex-free",
    r"down_read(_interruptible|_killable)?(_nested|_non_owner)?": "rwsem-read",
    r"down_read_trylock": "rwsem-read-try",
    r"up_read(_non_owner)?": "rwsem-read-free",
    r"down_write(_killable)?(_nested|_nest_lock)?": "rwsem-write",
    r"down_write_trylock": "rwsem-write-try",
    r"up_write": "rwsem-write-free",
    r"downgrade_write": "downgrade",
    r"__mutex_lock(_interruptible|_killable)?_slowpath|rwsem_down_(read|write)_slowpath": "wait",
    r"(native_)?queued_(spin|read|write)_lock_slowpath": "inside",
    r"asm_(sysvec_\w+|common_interrupt|spurious_interrupt)": "interrupt",
    r"error_entry": "entry",
    r"__switch_to_asm": "switch",
}
"""Names, whole, and what vm-images/plugins/locks.c calls what such a function does.

spin_unlock() and what is like it have no role: it is inlined, and looked for everywhere.
"""
_ANY = re.compile("|".join(_ROLES))
_NEEDED = {"spin": "_raw_spin_lock", "entry": "error_entry", "switch": "__switch_to_asm"}
"""Without these in it, a kernel's locks or interrupts are not what the plugin knows."""
_OPERATIONS = re.compile(r"asm_exc_page_fault|swap_writepage|swap_writeout")
"""Where a page fault begins, and the write of one folio."""


def lines(system_map: str) -> str:
    """The table of functions that the locks plugin reads: address, bytes, role.

    Raises ValueError with the name of a function that the kernel lacks.
    """
    functions = _functions(system_map)
    places = sorted(functions)
    ends = dict(pairwise(places))
    rows, seen = [], set()
    for place in places:
        role = next(filter(None, map(_role, functions[place])), "")
        if role and place in ends:
            rows.append(f"{place:x} {ends[place] - place} {role}\n")
            seen.add(role)
    for role, name in _NEEDED.items():
        if role not in seen:
            raise ValueError(name)
    return "".join(rows)


def operations(system_map: str) -> str:
    """The lines of the caches plugin that say where an operation begins."""
    return "".join(
        f"operation {place:x}\n"
        for place, names in sorted(_functions(system_map).items())
        if any(map(_OPERATIONS.fullmatch, names))
    )


def per_cpu(system_map: str) -> tuple[int, int] | None:
    """Where the symbols of per-CPU memory begin and end; None without them."""
    found = dict(_per_cpu_bounds(system_map))
    begin, end = found.get("__per_cpu_start"), found.get("__per_cpu_end")
    return None if begin is None or end is None else (begin, end)


def _per_cpu_bounds(system_map: str) -> Iterator[tuple[str, int]]:
    pattern = r"^([0-9a-f]{16}) \w (__per_cpu_start|__per_cpu_end)$"
    for place, name in re.findall(pattern, system_map, re.MULTILINE):
        yield name, int(place, 16)


def _functions(system_map: str) -> Mapping[int, list[str]]:
    made: dict[int, list[str]] = {}
    for place, name in _LINE.findall(system_map):
        address = int(place, 16)
        if address >= _KERNEL:
            made.setdefault(address, []).append(name)
    return made


def _role(name: str) -> str:
    bare = _CLONE.sub("", name)
    if not _ANY.fullmatch(bare):
        return ""
    return next((role for pattern, role in _ROLES.items() if re.fullmatch(pattern, bare)), "")

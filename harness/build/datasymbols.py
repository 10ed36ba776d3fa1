# SPDX-License-Identifier: GPL-2.0-only
"""The symbols of a kernel's data, from its System.map, as QEMU's plugins need them."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Mapping

_LINE = re.compile(r"^([0-9a-f]{16}) ([a-zA-Z]) (\S+)$", re.MULTILINE)
_DATA = frozenset("dDbBrRvV")
_NEEDED = frozenset({
    "slab_caches", "kmem_cache", "init_top_pgt", "max_pfn", "_text", "_etext", "_end",
    "pcpu_base_addr", "pcpu_unit_size", "__per_cpu_start", "__per_cpu_end",
    "vmap_nodes", "vmap_area_root", "zsmalloc_mops",
    "vmemmap_base", "page_offset_base", "vmalloc_base",
})  # fmt: skip
"""What vm-images/plugins/kerneldata.c asks for; a kernel has but some of them."""


def lines(system_map: str) -> str:
    """The lines that the plugins read."""
    found = _LINE.findall(system_map)
    named = (f"symbol {name} {place}\n" for place, _, name in found if name in _NEEDED)
    return "".join([*named, *(f"data {place:x}\n" for place in symbols(system_map))])


def symbols(system_map: str) -> Mapping[int, str]:
    """Names by address, ascending; per-CPU ones at what the linker says their address is."""
    names: dict[int, str] = {}
    for text, kind, name in _LINE.findall(system_map):
        place = int(text, 16)
        if kind in _DATA and (place not in names or _rank(name) < _rank(names[place])):
            names[place] = name
    return dict(sorted(names.items()))


def find(system_map: str, wanted: Iterable[int]) -> Mapping[int, str]:
    """The symbols at or before addresses, by their own."""
    table = symbols(system_map)
    places = list(table)
    found = {}
    for place in wanted:
        index = bisect.bisect_right(places, place) - 1
        if index >= 0:
            found[places[index]] = table[places[index]]
    return dict(sorted(found.items()))


def _rank(name: str) -> tuple[bool, int, str]:
    """Of several names a variable's, not the begin or end of a section."""
    is_bound = name.startswith("__") or name.endswith(("_start", "_end", "_begin"))
    return is_bound, len(name), name

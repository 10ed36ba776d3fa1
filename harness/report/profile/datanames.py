# SPDX-License-Identifier: GPL-2.0-only
"""What the data structures are called that vm-images/plugins/kerneldata.c tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.costs.locks import Inside
from harness.results.symbols import KernelSymbols

_STACK = "stacks"
UNKNOWN = "unknown"
UNTYPED = "pages that say nothing"
_KINDS: Mapping[str, str] = {
    "unknown": UNKNOWN,
    "untyped": UNTYPED,
    "user": "user space",
    "code": "kernel code",
    "percpu-more": "per-CPU, allocated",
    "struct-page": "struct page",
    "kmalloc": "large kmalloc()",
    "vmalloc:0": "vmalloc",
    "zsmalloc": "zsmalloc pages",
    "table": "page tables",
    "anon": "anonymous pages",
    "file": "pages of files",
    "charged": "pages not mapped yet",
    "kernel": "charged kernel pages",
    "boot": "memory of the boot",
    "free": "free pages",
    "entry": "CPU entry area",
}
_STACKS = frozenset({"kernel_clone", "copy_process", "dup_task_struct", "alloc_thread_stack_node"})
"""Who allocates the stacks of tasks."""
LATER_CHUNKS = "per-CPU, allocated later"
"""Chunks of per-CPU data but the first, which are areas of vmalloc."""


def namer(symbols: KernelSymbols, function: Callable[[int], str]) -> Callable[[str], str]:
    """Gives the name for a plugin's word."""

    def name(word: str) -> str:
        kind, _, value = word.partition(":")
        if word in _KINDS or not value:
            return _KINDS.get(word, word)
        if kind == "slab":
            return f"slab {value}"
        place = int(value, 16)
        if kind == "vmalloc":
            caller = function(place)
            if caller == "pcpu_get_vm_areas":
                return LATER_CHUNKS
            return _STACK if caller in _STACKS else f"vmalloc of {caller}"
        variable = symbols.data.get(place, f"{place:#x}")
        return f"per-CPU {variable}" if kind == "percpu" else variable

    return name


def lock_namer(data: Callable[[str], str]) -> Callable[[Inside], str]:
    """Gives the name for a lock by where it is."""

    def name(inside: Inside) -> str:
        title = data(inside.data)
        return f"{title}+{inside.offset:#x}" if inside.offset else title

    return name


def is_unknown(name: str) -> bool:
    """Whether nothing is told by it."""
    return name in {UNKNOWN, UNTYPED}

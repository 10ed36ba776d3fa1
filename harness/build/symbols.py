# SPDX-License-Identifier: GPL-2.0-only
"""What a result's kernels miss of and take locks of: functions and data, from their System.map."""

from __future__ import annotations

import bisect
import gzip
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.build import datasymbols, functions, lockfunctions, places
from harness.build.kbuild import Kernel
from harness.results import symbols
from harness.results.symbols import KernelSymbols
from harness.util.errors import HarnessError
from harness.util.sandbox import Sandbox

OUTPUTS = ("caches.gz", "locks.gz")
"""What the plugins left in the folders of their boots."""
_ADDRESS = re.compile(r"^(?:(?:site|object [0-9a-f]+) )?([0-9a-f]{9,16}) ", re.MULTILINE)
_CALLER = re.compile(r" vmalloc:([0-9a-f]+)\b")
_SEQUENCE = re.compile(r"^sequence \S+ [0-9a-f]+ ([0-9a-f]+) ", re.MULTILINE)
_SECTION = re.compile(r"(do_)?(raw_)?write_seqcount_(t_)?begin(_nested)?")
"""Inlined functions of include/linux/seqlock.h, of now and of before 6.0."""
_DATA = re.compile(r" (?:image|percpu):([0-9a-f]+)\b")


def record(
    results: Path, kernels: Mapping[str, tuple[Kernel, list[Path]]], sandbox: Sandbox
) -> tuple[str, ...]:
    """Write the functions of each arm; gives sentences of trouble.

    ``kernels``: arm -> its kernel, and the folders of the boots under a plugin.
    """
    trouble = []
    for arm, (kernel, folders) in kernels.items():
        try:
            outputs = [folder / name for folder in folders for name in OUTPUTS]
            texts = [gzip.decompress(path.read_bytes()) for path in outputs if path.is_file()]
            if texts:
                system_map = (kernel.path / "System.map").read_text(encoding="utf-8")
                said = [text.decode("ascii") for text in texts]
                wanted = {place for text in said for place in addresses(text)}
                data = {place for text in said for place in data_addresses(text)}
                begins = {int(place, 16) for text in said for place in _SEQUENCE.findall(text)}
                found = find(system_map, wanted | begins, data)
                try:
                    found = replace(found, sections=sections(kernel, begins, sandbox))
                except (HarnessError, OSError) as error:
                    trouble.append(f"no seqcounts of {arm} are told: {error}")
                symbols.write(results, arm, found)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            trouble.append(f"the misses and locks of {arm} have no names: {error}")
    return tuple(trouble)


def sections(kernel: Kernel, begins: set[int], sandbox: Sandbox) -> frozenset[int]:
    """Which increments begin the write section of a seqcount, by the kernel's line tables.

    Raises HarnessError if addr2line fails, OSError if a file of the kernel is not there.
    """
    if not begins:
        return frozenset()
    stacks = places.find(kernel, begins, (), sandbox)
    return frozenset(
        place
        for place in begins
        if any(_SECTION.fullmatch(line.function) for line in stacks.stack(place))
    )


def addresses(text: str) -> set[int]:
    """The instructions that a plugin's output names; user space is none."""
    return {int(place, 16) for place in (*_ADDRESS.findall(text), *_CALLER.findall(text))}


def data_addresses(text: str) -> set[int]:
    """The variables that a plugin's output names."""
    return {int(place, 16) for place in _DATA.findall(text)}


def find(system_map: str, wanted: Iterable[int], data: Iterable[int] = ()) -> KernelSymbols:
    """The functions and variables that these addresses lie in."""
    table = functions.functions(system_map)
    places = [one.address for one in table]
    found = {}
    for place in wanted:
        index = bisect.bisect_right(places, place) - 1
        if index >= 0:
            found[table[index].address] = table[index].name
    return KernelSymbols(
        dict(sorted(found.items())),
        lockfunctions.per_cpu(system_map),
        datasymbols.find(system_map, data),
    )

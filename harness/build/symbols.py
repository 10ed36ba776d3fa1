# SPDX-License-Identifier: GPL-2.0-only
"""The functions in which a result's kernels miss caches and take locks, from their System.map."""

from __future__ import annotations

import bisect
import gzip
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.build import functions, lockfunctions
from harness.build.kbuild import Kernel
from harness.results import symbols
from harness.results.symbols import KernelSymbols

OUTPUTS = ("caches.gz", "locks.gz")
"""What the plugins left in the folders of their boots."""
_ADDRESS = re.compile(r"^(?:(?:site|object [0-9a-f]+) )?([0-9a-f]{9,16}) ", re.MULTILINE)


def record(results: Path, kernels: Mapping[str, tuple[Kernel, list[Path]]]) -> tuple[str, ...]:
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
                wanted = {place for text in texts for place in addresses(text.decode("ascii"))}
                symbols.write(results, arm, find(system_map, wanted))
        except (OSError, EOFError, zlib.error, ValueError) as error:
            trouble.append(f"the misses and locks of {arm} have no names: {error}")
    return tuple(trouble)


def addresses(text: str) -> set[int]:
    """The instructions that a plugin's output names; user space is none."""
    return {int(place, 16) for place in _ADDRESS.findall(text)}


def find(system_map: str, wanted: Iterable[int]) -> KernelSymbols:
    """The functions that these addresses lie in."""
    table = functions.functions(system_map)
    places = [one.address for one in table]
    found = {}
    for place in wanted:
        index = bisect.bisect_right(places, place) - 1
        if index >= 0:
            found[table[index].address] = table[index].name
    return KernelSymbols(dict(sorted(found.items())), lockfunctions.per_cpu(system_map))

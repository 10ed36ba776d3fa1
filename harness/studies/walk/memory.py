# SPDX-License-Identifier: GPL-2.0-only
"""Bytes for each slot and each page in swap at each patch, of the overhead results of a walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.results.frames import ARMS
from harness.stats.fit import Value
from harness.studies.overhead import analysis
from harness.studies.overhead.analysis import NoBoot


@dataclass(frozen=True, slots=True)
class Size:
    """All swap metadata of one kernel: bytes a slot of the area, and bytes a page in swap.

    number: the last patch that is applied; 0 is the base
    """

    number: int
    per_slot: Value
    per_entry: Value


@dataclass(frozen=True, slots=True)
class Memory:
    """One back-end; sizes: the base's, then one a patch that was measured."""

    backend: str
    sizes: tuple[Size, ...]


def of(folders: Mapping[int, Path]) -> tuple[tuple[Memory, ...], tuple[str, ...]]:
    """Read the overhead results of a walk, by patch; also the boots that do not count."""
    found: dict[str, list[Size]] = {}
    lost: list[str] = []
    for number, folder in sorted(folders.items()):
        try:
            report = analysis.analyse(folder)
        except NoBoot as error:
            lost.append(f"patch {number}, bytes: {error}")
            continue
        lost += [f"patch {number}, bytes: {text}" for text in report.failed]
        for backend in report.backends:
            sizes = found.setdefault(backend.name, [])
            base = backend.total(ARMS[0])
            if base and not sizes:
                sizes.append(Size(0, base.per_slot, base.per_entry))
            patch = backend.total(ARMS[1])
            if patch:
                sizes.append(Size(number, patch.per_slot, patch.per_entry))
    memory = [Memory(name, tuple(sizes)) for name, sizes in sorted(found.items()) if sizes]
    return tuple(memory), tuple(lost)

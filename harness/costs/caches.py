# SPDX-License-Identifier: GPL-2.0-only
"""What the caches plugin wrote: misses by instruction, region of memory and data structure.

`vm-images/plugins/caches.c` says what its lines are.  Counts are kept for each sum that the
workload asked for, by the number of its line (``"counted": N`` of workload.jsonl).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.experiment.cpumodel import EVENTS

REGIONS = {
    "user": "memory of user space",
    "direct": "kernel memory by its direct map: pages, slab objects, per-CPU data",
    "vmalloc": "vmalloc, stacks among it",
    "struct-page": "the array of struct page",
    "image": "the kernel's code and static data",
    "other": "the CPU entry area and what else there is",
}
"""Regions by address."""

Misses = tuple[int, ...]
"""In the order of `harness.experiment.cpumodel.EVENTS`."""

T = TypeVar("T")

_NONE: Misses = (0,) * len(EVENTS)
_OUTSIDE: list[list[str]] = []


@dataclass(frozen=True, slots=True)
class MissRow:
    """What one instruction of the kernel missed in one region; user space is address 0.

    data: the data structure by kerneldata.c's word; "" in results of before there were any
    """

    address: int
    region: str
    misses: Misses
    data: str = ""


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """One sum.  ``models``: rows by the name of the CPU's model.

    executed: instructions; operations: how many began; lines: distinct cache lines, summed over
    operations.
    """

    executed: int
    operations: int
    lines: int
    models: Mapping[str, tuple[MissRow, ...]]

    @property
    def lines_per_operation(self) -> float | None:
        """Distinct cache lines that one operation touches; None if none began."""
        return self.lines / self.operations if self.operations else None

    def misses(self, model: str) -> Misses:
        """All of a model."""
        return total(row.misses for row in self.models[model])


def parse(text: str) -> Mapping[int, CacheCounts]:
    """Sums by line number; one that the guest's death cut off is left out.

    Raises ValueError for what is no such output.
    """
    return sums(text, _counts)


def sums(text: str, read: Callable[[list[list[str]]], T]) -> Mapping[int, T]:
    """What ``read`` makes of the lines, as words, between "put LINE CHANNEL" and "end"."""
    made: dict[int, T] = {}
    number, block = 0, _OUTSIDE
    for line in text.splitlines():
        words = line.split()
        try:
            if words[0] == "put":
                number, block = int(words[1]), []
            elif block is _OUTSIDE:
                raise ValueError("it is outside of a sum")
            elif words[0] == "end":
                made[number] = read(block)
                block = _OUTSIDE
            else:
                block.append(words)
        except (ValueError, IndexError) as error:
            raise ValueError(f"line '{line[:60]}' of a plugin's output: {error}") from error
    return made


def merged(counts: Sequence[CacheCounts]) -> CacheCounts:
    """The sum of several, such as those of a metric's rounds."""
    models: dict[str, list[MissRow]] = {}
    for one in counts:
        for name, rows in one.models.items():
            models.setdefault(name, []).extend(rows)
    return CacheCounts(
        sum(one.executed for one in counts),
        sum(one.operations for one in counts),
        sum(one.lines for one in counts),
        {name: tuple(rows) for name, rows in models.items()},
    )


def total(rows: Iterable[Misses]) -> Misses:
    """Sums by event."""
    made = list(_NONE)
    for row in rows:
        for event, count in enumerate(row):
            made[event] += count
    return tuple(made)


def by_function(rows: Iterable[MissRow], function: Callable[[int], str]) -> Mapping[str, Misses]:
    """Misses by the name that ``function`` gives an address; it is not asked for user space."""
    return _grouped((function(row.address) if row.address else "user", row.misses) for row in rows)


def by_region(rows: Iterable[MissRow]) -> Mapping[str, Misses]:
    """Misses by region, in the order of `REGIONS`."""
    found = _grouped((row.region, row.misses) for row in rows)
    return {region: found[region] for region in REGIONS if region in found}


def by_data(rows: Iterable[MissRow], name: Callable[[str], str]) -> Mapping[str, Misses]:
    """Misses by the name that ``name`` gives the word of a data structure."""
    return _grouped((name(row.data), row.misses) for row in rows if row.data)


def _grouped(rows: Iterable[tuple[str, Misses]]) -> Mapping[str, Misses]:
    made: dict[str, list[Misses]] = defaultdict(list)
    for name, misses in rows:
        made[name].append(misses)
    return {name: total(found) for name, found in made.items()}


def _counts(block: list[list[str]]) -> CacheCounts:
    heads: dict[str, int] = {}
    models: dict[str, list[MissRow]] = {}
    rows: list[MissRow] | None = None
    for words in block:
        if words[0] == "model":
            rows = models.setdefault(words[1], [])
        elif rows is None:
            heads[words[0]] = int(words[1])
        else:
            rows.append(_row(words))
    try:
        return CacheCounts(
            heads["executed"],
            heads["operations"],
            heads["lines"],
            {name: tuple(found) for name, found in models.items()},
        )
    except KeyError as error:
        raise ValueError(f"a sum has no line {error}") from error


def _row(words: list[str]) -> MissRow:
    is_old = len(words) == 2 + len(EVENTS)
    data = "" if is_old else words[2]
    misses = tuple(int(word) for word in words[2 if is_old else 3 :])
    if len(misses) != len(EVENTS) or words[1] not in REGIONS:
        raise ValueError(f"'{' '.join(words)[:60]}' is no row of misses")
    return MissRow(int(words[0], 16), words[1], misses, data)

# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's plugin ``profile`` wrote in one boot: instructions by block and by chain of calls.

vm-images/plugins/profile.c has the format.  A file that ends in the middle of a sum, as after a
crash, has all sums before it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from harness.util.errors import HarnessError

NAME = "profile.gz"
"""In the folder of a profile boot."""

USER = 0
"""The address that stands for all of user space."""

_MOST = 512 << 20
"""Bytes of one file, unpacked."""


class ProfileError(HarnessError):
    """A file that is no output of the plugin."""


class Root(IntEnum):
    """Where chains of calls begin; the numbers are those of the plugin."""

    WORK = 1
    """The workload's tasks: in system calls, faults and user space."""
    INTERRUPT = 2
    SOFTIRQ = 3
    USER_TASKS = 4
    THREADS = 5
    IDLE = 6

    @property
    def words(self) -> str:
        """For a report."""
        return _WORDS[self]


_WORDS = {
    Root.WORK: "the workload",
    Root.INTERRUPT: "interrupts",
    Root.SOFTIRQ: "softirqs",
    Root.USER_TASKS: "other user tasks",
    Root.THREADS: "kernel threads",
    Root.IDLE: "idle task",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: its function, where it begins, and its instructions' sizes in bytes."""

    function: int
    address: int
    sizes: tuple[int, ...]

    def addresses(self) -> Iterator[int]:
        """Of its instructions."""
        at = self.address
        for size in self.sizes:
            yield at
            at += size


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of calls, outermost first; ``functions`` are addresses."""

    root: Root
    functions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChainCount:
    """Of one sum: instructions in the last function of a chain itself, and calls of it."""

    insns: int
    calls: int


@dataclass(frozen=True, slots=True)
class Sum:
    """One sum that the workload asked for: all instructions, and where they were executed.

    entered: how often each block was entered, by all together; none in user space
    """

    insns: int
    chains: Mapping[Chain, ChainCount]
    entered: Mapping[Block, int]


@dataclass(frozen=True, slots=True)
class BootProfile:
    """All sums of a boot by the number of their line; 0 is one that the guest's end cut off."""

    sums: Mapping[int, Sum]


@dataclass(slots=True)
class _Reading:
    chains: dict[int, Chain] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    sums: dict[int, Sum] = field(default_factory=dict)


def read(path: Path) -> BootProfile:
    """Read a file of the plugin.

    Raises ProfileError if it is none, or if its parts do not add up to its sums.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            return parse(_bounded(file))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ProfileError(f"'{path}' cannot be read: {error}") from error
    except (ValueError, LookupError) as error:
        raise ProfileError(f"'{path}' is no output of the plugin 'profile': {error}") from error


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    size = 0
    for line in lines:
        size += len(line)
        if size > _MOST:
            raise ValueError(f"it has more than {_MOST >> 20} MiB")
        yield line


def parse(lines: Iterable[str]) -> BootProfile:
    """The same from lines.  Raises ValueError and LookupError for what is no such output."""
    found = _Reading()
    rows = iter(lines)
    if next(rows, "").split() != ["profile", "1"]:
        raise ValueError("it does not begin with 'profile 1'")
    for line in rows:
        words = line.split()
        if not line.endswith("\n"):
            break
        if words[0] == "p":
            one = _sum(found, rows, int(words[1]), int(words[3]))
            if one is None:
                break
            found.sums[int(words[1])] = one
        elif words[0] == "s":
            found.sums[int(words[1])] = found.sums[int(words[2])]
        else:
            raise ValueError(f"line {line[:40]!r} belongs to no sum")
    return BootProfile(found.sums)


def _sum(found: _Reading, rows: Iterator[str], number: int, insns: int) -> Sum | None:
    """The parts of one sum; None if the file ends before they do."""
    chains: dict[Chain, ChainCount] = {}
    entered: dict[Block, int] = {}
    for line in rows:
        words = line.split()
        if not line.endswith("\n"):
            return None
        kind, one = words[0], int(words[1])
        if kind == "n":
            found.chains[one] = _chain(found, one, int(words[2]), int(words[3], 16))
        elif kind == "b":
            sizes = tuple(int(digit, 16) for digit in words[5])
            found.blocks[one] = Block(int(words[2], 16), int(words[3], 16), sizes)
        elif kind == "t":
            chains[found.chains[one]] = ChainCount(int(words[2]), int(words[3]))
        elif kind == "x":
            # Blocks of the same code that was changed in between count together.
            block = found.blocks[one]
            entered[block] = entered.get(block, 0) + sum(map(int, words[2:]))
        elif kind == "e" and one == number:
            _require_whole(insns, chains, entered)
            return Sum(insns, chains, entered)
        else:
            raise ValueError(f"line {line[:40]!r} has no place in a sum")
    return None


def _chain(found: _Reading, number: int, parent: int, function: int) -> Chain:
    if parent == 0:
        return Chain(Root(number), ())
    before = found.chains[parent]
    return Chain(before.root, (*before.functions, function))


def _require_whole(
    insns: int, chains: Mapping[Chain, ChainCount], entered: Mapping[Block, int]
) -> None:
    """Both ways to count give the same: in all, and in the kernel."""
    total = sum(one.insns for one in chains.values())
    user = sum(one.insns for chain, one in chains.items() if chain.functions[-1:] == (USER,))
    kernel = sum(times * len(block.sizes) for block, times in entered.items())
    if total != insns or kernel != insns - user:
        raise ValueError(
            f"a sum of {insns} has parts of {total} by chains and {kernel + user} by blocks"
        )

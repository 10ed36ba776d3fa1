# SPDX-License-Identifier: GPL-2.0-only
"""The places that profiles name, from the symbols and the line tables of the kernels.

addr2line reads a vmlinux, which a series' own build left: it runs in the sandbox, and its answer
is read as text of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.build import functions
from harness.build.kbuild import Kernel
from harness.results import places, profile
from harness.results.places import Places, SourceLine, Stack
from harness.results.profile import ProfileError
from harness.util.command import run
from harness.util.errors import HarnessError
from harness.util.sandbox import Sandbox

_SECONDS = 600
_TREE = re.compile(r".*/obj-[0-9a-f]+/(?:\.\./src/)?")
_ADDRESS = re.compile(r"0x([0-9a-f]{16})")
_PLACE = re.compile(r"(.*):(\d+|\?)(?: \(discriminator \d+\))?")
_UNKNOWN = "??"


def record(
    results: Path, kernels: Mapping[str, tuple[Kernel, list[Path]]], sandbox: Sandbox
) -> tuple[str, ...]:
    """Write what the profiles of each arm name; gives sentences of trouble.

    ``kernels``: arm -> its kernel, and the folders of its profile boots.  An arm that has its file
    keeps it, unless a profile names what is not in it.
    """
    trouble = []
    for arm, (kernel, folders) in kernels.items():
        wanted: set[int] = set()
        called: set[int] = set()
        for folder in folders:
            path = folder / profile.NAME
            if not path.is_file():
                continue
            try:
                _collect(profile.read(path), wanted, called)
            except ProfileError as error:
                trouble.append(str(error))
        if not wanted or _has(places.read(results, arm), called, wanted):
            continue
        try:
            places.write(results, arm, find(kernel, wanted, called, sandbox))
        except (HarnessError, OSError) as error:
            trouble.append(f"the profile of {arm} has no names: {error}")
    return tuple(trouble)


def _collect(boot: profile.BootProfile, wanted: set[int], called: set[int]) -> None:
    """Instructions of the phases, and all functions."""
    largest = max((one.insns for one in boot.sums.values()), default=0)
    for one in boot.sums.values():
        called |= {function for chain in one.chains for function in chain.functions}
        if one.insns < largest or len(boot.sums) == 1:  # the run as a whole is not told by line
            wanted |= {place for block in one.entered for place in block.addresses()}


def _has(found: Places | None, called: set[int], wanted: set[int]) -> bool:
    if found is None or not called <= found.functions.keys() | {0, 1}:
        return False
    return all(found.stack(place) for place in wanted)


def find(kernel: Kernel, wanted: Iterable[int], called: Iterable[int], sandbox: Sandbox) -> Places:
    """The places of instructions and the names of functions.

    Raises HarnessError if addr2line fails or answers what was not asked, OSError if a file of the
    kernel is not there.
    """
    table = functions.functions((kernel.path / "System.map").read_text(encoding="utf-8"))
    names = {one.address: one.name for one in table}
    entries = sorted(set(called) & names.keys())
    asked = sorted({*wanted, *entries})
    argv = ["addr2line", "-a", "-i", "-f", "-e", str(kernel.path / "vmlinux")]
    confined = sandbox.wrap(argv, writable=(), readable=(kernel.path,))
    text = "".join(f"{place:x}\n" for place in asked)
    said = run(confined, stdin=text, timeout=_SECONDS).stdout
    starts: list[int] = []
    stacks: list[Stack] = []
    files: dict[int, str] = {}
    for place, stack in parse(said):
        files[place] = stack[-1].file if stack else ""
        if not stacks or stacks[-1] != stack:
            starts.append(place)
            stacks.append(stack)
    if len(asked) != said.count("\n0x") + said.startswith("0x"):
        raise HarnessError(f"addr2line did not answer all of {len(asked)} addresses")
    return Places({one: (names[one], files.get(one, "")) for one in entries}, starts, stacks)


def parse(text: str) -> Iterator[tuple[int, Stack]]:
    """The answers of ``addr2line -a -i -f``: address, and lines from the innermost function out."""
    rows = iter(text.splitlines())
    place: int | None = None
    stack: list[SourceLine] = []
    for row in rows:
        found = _ADDRESS.fullmatch(row)
        if found:
            if place is not None:
                yield place, tuple(stack)
            place, stack = int(found[1], 16), []
            continue
        where = _PLACE.fullmatch(next(rows, ""))
        if where is None or where[1] == _UNKNOWN:
            stack.append(SourceLine("" if row == _UNKNOWN else row, "", 0))
            continue
        number = int(where[2]) if where[2] != "?" else 0
        stack.append(SourceLine(row, _TREE.sub("", where[1]), number))
    if place is not None:
        yield place, tuple(stack)

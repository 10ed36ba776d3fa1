# SPDX-License-Identifier: GPL-2.0-only
"""/proc/allocinfo (CONFIG_MEM_ALLOC_PROFILING, Linux >= 6.10): live bytes by source line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.results.probes.record import Line, Record, Records, lines

NAME = "allocinfo"

_SITE = re.compile(r"(?P<file>\S+):(?P<line>\d+)(?: \[(?P<module>[^]]+)\])? func:(?P<func>\S+)")
_OUTSIDE = re.compile(r"^(?:\.\.?/)+(?:src/)?")
# Since version 2.0 of the file, tags such as "accurate:no" follow the function's name.
_TAG = re.compile(r"(?P<name>\w+):(?P<value>\S+)")


@dataclass(frozen=True, slots=True)
class AllocSite:
    """A call site; `module` is "" for built-in code."""

    file: str
    line: int
    module: str
    func: str


def parse(text: str, path: str = "") -> Records:
    """Two records a site: bytes (B) and calls (live allocations, count).

    The key is the kernel's text, "mm/swapfile.c:3022 func:swapon"; see `site`. Two
    allocations on one source line give two equal keys: sum them. A site that the kernel
    marks as not exact has also a record "accurate" with value 0.
    """
    for line in lines(NAME, text):
        if line.text.startswith(("allocinfo - version:", "#")):
            continue
        words = line.text.split(maxsplit=2)
        match = _SITE.match(words[2].strip()) if len(words) == 3 else None
        if match is None:
            raise line.malformed()
        key = match.group()
        yield Record(NAME, key, "bytes", line.integer(words[0]), "B")
        yield Record(NAME, key, "calls", line.integer(words[1]), "count")
        yield from _tags(line, key, words[2].strip()[match.end() :])


def _tags(line: Line, key: str, rest: str) -> Records:
    for word in rest.split():
        tag = _TAG.fullmatch(word)
        if tag is None:
            raise line.malformed()
        value = {"no": 0, "yes": 1}.get(tag["value"])
        if value is None:
            value = line.integer(tag["value"])
        yield Record(NAME, key, tag["name"], value, "flag")


def site(key: str) -> AllocSite:
    """The parts of a key made by `parse`; line numbers differ between two kernels.

    A kernel built outside its source folder names files by the way from there, "../src/mm/x.c";
    the file is given from the top of the tree.
    """
    match = _SITE.fullmatch(key)
    if match is None:
        raise Line(NAME, 1, key).malformed()
    return AllocSite(
        _OUTSIDE.sub("", match["file"]), int(match["line"]), match["module"] or "", match["func"]
    )

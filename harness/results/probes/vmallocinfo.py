# SPDX-License-Identifier: GPL-2.0-only
"""/proc/vmallocinfo: areas of the vmalloc address space, summed by who asked for them."""

from __future__ import annotations

import re
from collections import defaultdict

from harness.results.probes.record import Record, Records, lines

NAME = "vmallocinfo"

_AREA = re.compile(r"(?:0x)?[0-9a-fA-F]+-(?:0x)?[0-9a-fA-F]+\s+(?P<bytes>\d+)(?P<rest>.*)")
_OFFSET = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+$")
_KINDS = ("vmalloc", "vmap", "ioremap", "user", "dma-coherent", "sparse", "unpurged", "vm_map_ram")


def parse(text: str, path: str = "") -> Records:
    """Records keyed by the caller's symbol, without its offset (that differs by build).

    bytes (B): address space, guard page included. pages: the pages really behind it.
    areas: how many. kind.<kind>: how many of them are "vmalloc", "ioremap" and so on.
    """
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines(NAME, text):
        match = _AREA.fullmatch(line.text.strip())
        if match is None:
            raise line.malformed()
        caller, words = _caller(match["rest"].split())
        totals[caller, "bytes"] += line.integer(match["bytes"])
        totals[caller, "areas"] += 1
        totals[caller, "pages"] += 0
        for word in words:
            name, equals, value = word.partition("=")
            if name == "pages" and equals:
                totals[caller, "pages"] += line.integer(value)
            elif word in _KINDS:
                totals[caller, f"kind.{word}"] += 1
    units = {"bytes": "B", "pages": "pages"}
    return tuple(
        Record(NAME, caller, field, value, units.get(field, "count"))
        for (caller, field), value in totals.items()
    )


def _caller(words: list[str]) -> tuple[str, list[str]]:
    """The symbol (with "[module]" behind it) and the words after it."""
    if not words or words[0] in _KINDS or "=" in words[0]:
        return "(none)", words
    symbol = _OFFSET.sub("", words[0])
    if len(words) > 1 and words[1].startswith("["):
        return f"{symbol} {words[1]}", words[2:]
    return symbol, words[1:]

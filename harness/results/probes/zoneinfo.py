# SPDX-License-Identifier: GPL-2.0-only
"""/proc/zoneinfo: pages by zone, and what each CPU keeps of them on lists of its own.

Pages on per-CPU lists are neither free (MemFree) nor allocated (/proc/allocinfo).
"""

from __future__ import annotations

import re

from harness.results.probes import vmstat
from harness.results.probes.record import Line, Record, Records, lines

NAME = "zoneinfo"

_ZONE = re.compile(r"Node (\d+), zone\s+(\S+)")
_CPU = re.compile(r"\s+cpu: (\d+)")
_PAGES = frozenset({
    # Of a zone.
    "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "cma",
    "reserved_highatomic", "free_highatomic",
    # Of one CPU's list: pages on it; the rest is how long it may get.
    "count", "batch", "high_min", "high_max",
})  # fmt: skip
_UNITS = {"node_unreclaimable": "flag", "start_pfn": ""}


def parse(text: str, path: str = "") -> Records:
    """Records keyed by "node/zone", those of a CPU's list by "node/zone/cpuN".

    "pages free" becomes the field "pages.free"; values of "protection" are "protection.0" and on.
    Stacks, which the kernel counts in KiB, are bytes.
    """
    key = zone = ""
    for line in lines(NAME, text):
        if match := _ZONE.fullmatch(line.text):
            key = zone = f"{match[1]}/{match[2]}"
        elif not zone:
            raise line.malformed()
        elif match := _CPU.fullmatch(line.text):
            key = f"{zone}/cpu{match[1]}"
        elif line.text.startswith("  vm stats threshold"):
            yield from _values(key, line)  # of the CPU above it
        elif line.text.strip() in ("pagesets", "per-node stats"):
            key = zone
        else:
            # What follows the lists of the CPUs is indented less than they are.
            key = key if line.text.startswith("      ") else zone
            yield from _values(key, line)


def _values(key: str, line: Line) -> Records:
    name, colon, rest = line.text.partition(":")
    if not colon:
        *words, rest = line.text.split()
        name = ".".join(words)
    name = name.strip().replace(" ", "_")
    if not name:
        raise line.malformed()
    values = rest.strip().strip("()").split(", ")
    if len(values) == 1:
        value, unit = vmstat.measured(name, line.integer(values[0]))
        if name.startswith("pages.") or name in _PAGES:
            unit = "pages"
        return [Record(NAME, key, name, value, _UNITS.get(name, unit))]
    return [
        Record(NAME, key, f"{name}.{at}", line.integer(word), "pages")
        for at, word in enumerate(values)
    ]

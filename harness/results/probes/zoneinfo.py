# SPDX-License-Identifier: GPL-2.0-only
"""/proc/zoneinfo: pages by zone, and what each CPU keeps of them on lists of its own.

Pages on per-CPU lists are neither free (MemFree) nor allocated (/proc/allocinfo).
"""

from __future__ import annotations

import re

from harness.results.probes.record import Line, Record, Records, lines

NAME = "zoneinfo"

_ZONE = re.compile(r"Node (\d+), zone\s+(\S+)")
_CPU = re.compile(r"\s+cpu: (\d+)")
# Pages of one CPU's list; the rest is how long it may get.
_PAGES = ("count", "high", "high_min", "high_max", "batch")


def parse(text: str, path: str = "") -> Records:
    """Records keyed by "node/zone", those of a CPU's list by "node/zone/cpuN".

    "pages free" becomes the field "pages.free", and lines below it without a word in front are
    "pages.min" and so on; values of "protection" are "protection.0" and on.
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
            yield from _values(zone, line)
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
    unit = "pages" if name.startswith(("pages.", "nr_")) or name in _PAGES else "count"
    values = rest.strip().strip("()").split(", ")
    if len(values) == 1:
        return [Record(NAME, key, name, line.integer(values[0]), unit)]
    return [
        Record(NAME, key, f"{name}.{at}", line.integer(word), "pages")
        for at, word in enumerate(values)
    ]

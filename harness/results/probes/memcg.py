# SPDX-License-Identifier: GPL-2.0-only
"""A cgroup v2 folder's files: memory.stat, memory.events, memory.current and their kin."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

from harness.results.probes.cgroup import group
from harness.results.probes.record import Line, Number, Record, Records, lines
from harness.results.probes.vmstat import event_unit

NAME = "memcg"

# In these files every number is a count of events, whatever its name.
_EVENT_FILES = (".events", ".events.local", "cgroup.stat")
# memory.stat mixes byte gauges with counters; the counters are named like vmstat's.
_COUNTERS = ("pg", "workingset_", "thp_", "numa_", "zswp", "swpin", "swpout", "pswp", "hugetlb_f")
_BYTE_FILES = ("current", "peak", "min", "low", "high", "max", "stat", "numa_stat")


def parse(text: str, path: str = "") -> Records:
    """Records keyed by cgroup; the field starts with the file's name: "memory.stat.anon".

    A limit of "max" is infinity. Lines are a bare value, `name value`, or `name a=1 b=2`.
    """
    where = PurePosixPath(path)
    key, file = group(where), where.name or NAME
    for line in lines(NAME, text):
        words = line.text.split()
        if len(words) == 1:
            pairs = [(file, words[0])]
        elif "=" in line.text:
            pairs = [_assignment(line, f"{file}.{words[0]}", w) for w in words[1:]]
        elif len(words) == 2:
            pairs = [(f"{file}.{words[0]}", words[1])]
        else:
            raise line.malformed()
        for field, word in pairs:
            value: Number = math.inf if word == "max" else line.integer(word)
            yield Record(NAME, key, field, value, _unit(file, field))


def _assignment(line: Line, prefix: str, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise line.malformed()
    return f"{prefix}.{name}", value


def _unit(file: str, field: str) -> str:
    name = field.removeprefix(f"{file}.")
    if name.endswith("_usec"):
        return "us"
    if file.endswith(_EVENT_FILES) or not file.startswith("memory."):
        return "count"
    if file.endswith("writeback") or file == "memory.oom.group":
        return "flag"
    if name.startswith(_COUNTERS):
        return event_unit(name)
    return "B" if file.endswith(_BYTE_FILES) else ""

# SPDX-License-Identifier: GPL-2.0-only
"""A cgroup's files: memory.stat, memory.events, memory.current and their kin, of v2 and v1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import takewhile
from pathlib import PurePosixPath

from harness.results.probes.cgroup import group
from harness.results.probes.record import Line, Number, Record, Records, lines
from harness.results.probes.vmstat import event_unit

NAME = "memcg"

# One task a line: how many there are is the number.
_TASKS = ("cgroup.procs", "cgroup.threads", "tasks")
# Words or ranges, even where one of them looks like a number.
_WORDS = ("cgroup.controllers", "cgroup.subtree_control", "cgroup.type", "cpuset.cpus",
          "cpuset.mems", "cpuset.effective_")  # fmt: skip
_UNITS = {
    "cpuacct.usage": "ns", "cpuacct.usage_sys": "ns", "cpuacct.usage_user": "ns",
    "cpuacct.stat": "ticks", "cpu.idle": "flag", "cpu.uclamp.min": "%", "cpu.uclamp.max": "%",
    "cpu.max.burst": "us", "io.latency": "us", "blkio.time": "ms",
    "memory.oom.group": "flag", "memory.zswap.writeback": "flag", "memory.use_hierarchy": "flag",
    "cgroup.events": "flag", "cgroup.freeze": "flag", "cgroup.pressure": "flag",
}  # fmt: skip
_IO_STAT = {"usage": "us", "wait": "us", "indebt": "us", "indelay": "us", "vrate": "%"}
# How a file's or a number's name ends.
_ENDS = {
    "_usec": "us", "_us": "us", "_nsec": "ns", "_time": "ns", "bytes": "B", "bps": "B/s",
    "sectors": "sectors", "weight": "", ".nice": "", "shares": "",
}  # fmt: skip
# In these files every other number is a count of events, whatever its name.
_EVENT_FILES = (".events", ".events.local", "cgroup.stat", "failcnt")
# memory.stat mixes byte gauges with counters; the counters are named like vmstat's.
_COUNTERS = ("pg", "workingset_", "thp_", "numa_", "zswp", "swpin", "swpout", "pswp", "hugetlb_f")
_BYTE_FILES = ("current", "peak", "min", "low", "high", "max", "stat", "numa_stat")


def parse(text: str, path: str = "") -> Records:
    """Records keyed by cgroup; the field starts with the file's name: "memory.stat.anon".

    A limit of "max" is infinity. Lines are a bare value, `name value`, or `name a=1 b=2`; cpu.max
    gives "cpu.max.quota" and "cpu.max.period", a list of tasks their number.
    """
    where = PurePosixPath(path)
    key, file = group(where), where.name or NAME
    content = list(lines(NAME, text))
    if file in _TASKS:
        return [
            Record(NAME, key, file, sum(one.integer(one.text) >= 0 for one in content), "count")
        ]
    return [
        Record(NAME, key, field, _number(file, line, word), unit)
        for line in content
        for field, word, unit in _values(file, line)
    ]


def may_be_words(path: str) -> bool:
    """Whether a file may hold words instead of numbers; it is then kept as it is."""
    file = PurePosixPath(path).name
    return not file.startswith("memory.") or file == "memory.kmem.slabinfo"


def _values(file: str, line: Line) -> list[tuple[str, str, str]]:
    """(field, number as it stands there, unit) of a line."""
    words = line.text.split()
    if file.startswith(_WORDS):
        raise line.malformed()
    if file.startswith("cpuacct.usage_percpu"):
        return [(f"{file}.{cpu}", word, "ns") for cpu, word in enumerate(words)]
    if file == "cpu.max" and len(words) == 2:
        names = (f"{file}.quota", f"{file}.period")
        return [(name, word, "us") for name, word in zip(names, words, strict=True)]
    if "=" in line.text:
        return list(_assignments(file, line, words))
    # v1's blkio.* say device and direction.
    if len(words) > (3 if file.startswith("blkio.") else 2):
        raise line.malformed()
    field = ".".join([file, *words[:-1]])
    return [(field, words[-1], _unit(file, field))]


def _assignments(file: str, line: Line, words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Of `name a=1 b=2`, or of v1's memory.numa_stat: `name=3 N0=1 N1=2`, all in pages."""
    heads = list(takewhile(lambda word: "=" not in word, words))
    is_old = not heads and file == "memory.numa_stat"
    # In io.stat, devices without numbers may stand in front of the one that has some.
    head = words[0].partition("=")[0] if is_old else "".join(heads[-1:])
    for word in words[len(heads) :]:
        name, equals, value = word.partition("=")
        if not equals or not head:
            raise line.malformed()
        field = f"{file}.{head}" if name == head else f"{file}.{head}.{name}"
        yield field, value, "pages" if is_old else _unit(file, field)


def _number(file: str, line: Line, word: str) -> Number:
    if word == "max":
        return math.inf
    is_decimal = "." in word and not file.startswith("memory.")
    return line.decimal(word) if is_decimal else line.integer(word)


def _unit(file: str, field: str) -> str:
    name = field.removeprefix(f"{file}.").removeprefix("total_")
    if file in _UNITS:
        return _UNITS[file]
    if file == "io.stat" and name.rpartition(".")[2] in _IO_STAT:
        return _IO_STAT[name.rpartition(".")[2]]
    for end, unit in _ENDS.items():
        if name.endswith(end) or file.removesuffix("_recursive").endswith(end):
            return unit
    if file == "memory.oom_control":
        return "count" if name == "oom_kill" else "flag"
    if file.endswith(_EVENT_FILES) or not file.startswith(("memory.", "hugetlb.", "dmem.")):
        return "count"
    if name.startswith(_COUNTERS):
        return event_unit(name)
    return "B" if file.endswith(_BYTE_FILES) else ""

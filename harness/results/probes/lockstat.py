# SPDX-License-Identifier: GPL-2.0-only
"""/proc/lock_stat: how often and how long locks were waited for, by lock class.

A class is named as it is printed, with "-R" or "-W" behind it where readers and writers are
counted apart.
"""

from __future__ import annotations

import re

from harness.results.probes.record import Line, ProbeError, Record, Records, lines

NAME = "lockstat"
VERSION = "lock_stat version 0.4"

CONTENTIONS, LONGEST, WAITED = "contentions", "waittime-max", "waittime-total"
_COLUMNS = (
    "con-bounces", CONTENTIONS, "waittime-min", LONGEST, WAITED, "waittime-avg",
    "acq-bounces", "acquisitions", "holdtime-min", "holdtime-max", "holdtime-total", "holdtime-avg",
)  # fmt: skip
_CLASS = re.compile(rf"\s*(\S.*?):((?:\s+-?[0-9.]+){{{len(_COLUMNS)}}})\s*")
_RULE = re.compile(r"\s*(-+|\.+)\s*")
_HEADS = re.compile(r"\s*class name(\s+\S+)+\s*")
_LONGEST_LINE = 1000
"""The kernel's have some 220 characters; a blank one of many thousand would take seconds."""
_POINT = re.compile(r"\s*\S.*?\s+\d+\s+\[<[0-9a-fx]+>\].*")


def parse(text: str, path: str = "") -> Records:
    """Contentions and waits of each class that was waited for; times, which are in us, in ns."""
    for line in lines(NAME, text):
        if len(line.text) > _LONGEST_LINE:
            raise line.malformed()
        if line.number == 1:
            if line.text.strip() != VERSION:
                raise line.malformed()
        elif line.text.startswith("*WARNING*"):
            said = line.text.removeprefix("*WARNING*").strip()
            raise ProbeError(f"{NAME}: nothing is counted any more: {said}")
        elif match := _CLASS.fullmatch(line.text):
            yield from _waits(line, match[1], match[2].split())
        elif not _is_beside(line):
            raise line.malformed()


def _is_beside(line: Line) -> bool:
    """Whether it is a head, a rule, or a place in the code that waited or was waited for."""
    return any(one.fullmatch(line.text) for one in (_RULE, _HEADS, _POINT))


def _waits(line: Line, key: str, words: list[str]) -> Records:
    values = dict(zip(_COLUMNS, words, strict=True))
    contentions = line.integer(values[CONTENTIONS])
    if contentions == 0:
        return
    yield Record(NAME, key, CONTENTIONS, contentions, "count")
    for field in (LONGEST, WAITED):
        yield Record(NAME, key, field, round(line.decimal(values[field]) * 1000), "ns")

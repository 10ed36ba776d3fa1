# SPDX-License-Identifier: GPL-2.0-only
"""What a probe hands back, and the small tools that all probes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.util.errors import HarnessError

Number = int | float

SWITCH = {"Y": 1, "N": 0, "y": 1, "n": 0}


class ProbeError(HarnessError):
    """A kernel file has a line that its parser does not understand."""


@dataclass(frozen=True, slots=True)
class Record:
    """One number read from one kernel interface.

    probe: the parser's name, e.g. "slabinfo"
    key: which instance (a cache, a device, a cgroup, a call site); "" where there is only one
    field: the kernel's own name for the number
    value: in `unit`; sizes that the kernel prints in KiB are converted to bytes
    unit: "B", "pages", "count", "ns", "us", "ms", "ticks", "sectors", "%", "flag" or ""
    """

    probe: str
    key: str
    field: str
    value: Number
    unit: str


Parser = Callable[[str, str], tuple[Record, ...]]
"""A parser takes the text of a file and the path it was read from."""


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and text of each line that is not blank.

    Only "\\n" ends a line: splitlines() would also cut at control characters in names.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def malformed(probe: str, number: int, line: str) -> ProbeError:
    """The error for a line that does not parse; names probe and line, shows 80 characters."""
    return ProbeError(f"{probe}: line {number} does not parse: {line[:80]!r}")


def integer(probe: str, number: int, line: str, word: str) -> int:
    """The decimal integer `word` of a line; ProbeError if it is something else."""
    digits = word[1:] if word[:1] == "-" else word
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise malformed(probe, number, line)
    return int(word)


def decimal(probe: str, number: int, line: str, word: str) -> float:
    """The decimal fraction `word` of a line, e.g. "12.50"; ProbeError if it is something else."""
    whole, _, fraction = word.partition(".")
    if not (whole + fraction).isascii() or not whole.isdigit() or len(word) > 40:
        raise malformed(probe, number, line)
    if fraction and not fraction.isdigit():
        raise malformed(probe, number, line)
    return float(word)


def columns(
    probe: str, key: str, line: tuple[int, str], names: tuple[tuple[str, str], ...]
) -> tuple[Record, ...]:
    """Records for a line of bare integers whose columns have fixed names.

    names: (field, unit) per column. A newer kernel's extra columns are kept as
    field_N, N counted from 1; an older kernel may have fewer.
    """
    number, text = line
    records = []
    for position, word in enumerate(text.split(), 1):
        known = position <= len(names)
        field, unit = names[position - 1] if known else (f"field_{position}", "")
        records.append(Record(probe, key, field, integer(probe, number, text, word), unit))
    return tuple(records)

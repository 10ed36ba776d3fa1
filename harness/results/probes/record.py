# SPDX-License-Identifier: GPL-2.0-only
"""What a probe hands back, and the small tools that all probes share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    unit: "B", "pages", "count", "ns", "us", "ms", "ticks", "sectors", "%", "flag", "B/s" or "";
        huge pages are a "count", as in /proc/meminfo
    """

    probe: str
    key: str
    field: str
    value: Number
    unit: str


Records = Iterable[Record]
Parser = Callable[[str, str], Records]
"""A parser takes the text of a file and the path it was read from."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a kernel file. number: from 1."""

    probe: str
    number: int
    text: str

    def malformed(self) -> ProbeError:
        """The error for a line that does not parse; names probe and line, shows 80 characters."""
        shown = repr(self.text[:80])
        return ProbeError(f"{self.probe}: line {self.number} does not parse: {shown}")

    def integer(self, word: str) -> int:
        """The decimal integer `word` of the line; ProbeError if it is something else."""
        digits = word[1:] if word[:1] == "-" else word
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
            raise self.malformed()
        return int(word)

    def decimal(self, word: str) -> float:
        """The decimal fraction `word`, e.g. "12.50"; ProbeError if it is something else."""
        whole, _, fraction = word.partition(".")
        if not (whole + fraction).isascii() or not whole.isdigit() or len(word) > 40:
            raise self.malformed()
        if fraction and not fraction.isdigit():
            raise self.malformed()
        return float(word)

    def columns(self, key: str, words: str, names: Sequence[tuple[str, str]] = ()) -> list[Record]:
        """Records for ``words`` of the line: bare integers whose columns have fixed names.

        names: (field, unit) per column. A newer kernel's extra columns are kept as
        field_N, N counted from 1; an older kernel may have fewer.
        """
        values = [self.integer(word) for word in words.split()]
        extra = [(f"field_{place}", "") for place in range(len(names) + 1, len(values) + 1)]
        heads = [*names, *extra]
        return [
            Record(self.probe, key, field, value, unit)
            for value, (field, unit) in zip(values, heads, strict=False)
        ]


def lines(probe: str, text: str) -> Iterator[Line]:
    """The lines that are not blank.

    Only "\\n" ends a line: splitlines() would also cut at control characters in names.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield Line(probe, number, line)


def only_line(probe: str, text: str) -> Line:
    """The one line of a file that has no more; ProbeError if it has none, or several."""
    found = list(lines(probe, text))
    if len(found) != 1:
        raise Line(probe, 1, text).malformed()
    return found[0]

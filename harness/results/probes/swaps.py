# SPDX-License-Identifier: GPL-2.0-only
"""/proc/swaps: the active swap areas."""

from __future__ import annotations

from harness.results.probes.record import Record, integer, lines, malformed

NAME = "swaps"


def parse(text: str, path: str = "") -> tuple[Record, ...]:
    """Records keyed by the area's file name: size and used (B), priority, type.<type> = 1.

    used counts physical slots, so it means less on a kernel with virtual swap space.
    """
    records: list[Record] = []
    for number, line in lines(text):
        if line.startswith("Filename"):
            continue
        # From the right: the kernel escapes blanks in the name, but " (deleted)" may follow it.
        words = line.rsplit(maxsplit=4)
        if len(words) != 5:
            raise malformed(NAME, number, line)
        name, kind, size, used, priority = words
        key = name.strip()
        records += [
            Record(NAME, key, "size", integer(NAME, number, line, size) * 1024, "B"),
            Record(NAME, key, "used", integer(NAME, number, line, used) * 1024, "B"),
            Record(NAME, key, "priority", integer(NAME, number, line, priority), ""),
            Record(NAME, key, f"type.{kind}", 1, "flag"),
        ]
    return tuple(records)

# SPDX-License-Identifier: GPL-2.0-only
"""/proc/swaps: the active swap areas."""

from __future__ import annotations

from harness.results.probes.record import Record, Records, lines

NAME = "swaps"


def parse(text: str, path: str = "") -> Records:
    """Records keyed by the area's file name: size and used (B), priority, type.<type> = 1.

    used counts physical slots, so it means less on a kernel with virtual swap space.
    """
    for line in lines(NAME, text):
        if line.text.startswith("Filename"):
            continue
        # From the right: the kernel escapes blanks in the name, but " (deleted)" may follow it.
        words = line.text.rsplit(maxsplit=4)
        if len(words) != 5:
            raise line.malformed()
        name, kind, size, used, priority = words
        key = name.strip()
        yield Record(NAME, key, "size", line.integer(size) * 1024, "B")
        yield Record(NAME, key, "used", line.integer(used) * 1024, "B")
        yield Record(NAME, key, "priority", line.integer(priority), "")
        yield Record(NAME, key, f"type.{kind}", 1, "flag")

# SPDX-License-Identifier: GPL-2.0-only
"""/proc/meminfo: `Name: value kB` lines; kB there means KiB."""

from __future__ import annotations

from harness.results.probes.record import Record, Records, lines

NAME = "meminfo"


def parse(text: str, path: str = "") -> Records:
    """Records with key "": bytes where the kernel prints kB, else counts (HugePages_*)."""
    for line in lines(NAME, text):
        field, colon, rest = line.text.partition(":")
        words = rest.split()
        if not colon or not words or words[1:] not in ([], ["kB"]):
            raise line.malformed()
        value = line.integer(words[0])
        kib = len(words) == 2
        yield Record(
            NAME, "", field.strip(), value * 1024 if kib else value, "B" if kib else "count"
        )

# SPDX-License-Identifier: GPL-2.0-only
"""The sampler's pseudo file "smaps": the sums of /proc/PID/smaps_rollup over the workload's
processes, as "NAME KiB" lines, and how many processes those are."""

from __future__ import annotations

from harness.results.probes.record import Record, Records, lines

NAME = "smaps"
_PROCESSES = "processes"


def parse(text: str, path: str = "") -> Records:
    """Records with key ""; sizes in bytes."""
    for line in lines(NAME, text):
        words = line.text.split()
        if len(words) != 2:
            raise line.malformed()
        value = line.integer(words[1])
        if words[0] == _PROCESSES:
            yield Record(NAME, "", _PROCESSES, value, "count")
        else:
            yield Record(NAME, "", words[0], value * 1024, "B")

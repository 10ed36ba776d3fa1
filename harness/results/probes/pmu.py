# SPDX-License-Identifier: GPL-2.0-only
"""The sampler's pseudo file: what the guest's CPUs counted outside of its own work at marks."""

from __future__ import annotations

from harness.results.probes.record import Record, Records, lines

NAME = "pmu"
FIELDS = ("cycles", "instructions", "cache-misses")


def parse(text: str, path: str = "") -> Records:
    """A record for each event, in user and kernel mode together, of all CPUs."""
    for line in lines(NAME, text):
        words = line.text.split()
        if len(words) != 2 or words[0] not in FIELDS:
            raise line.malformed()
        yield Record(NAME, "", words[0], line.integer(words[1]), "count")

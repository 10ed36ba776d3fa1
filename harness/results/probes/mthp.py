# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages of one size: /sys/kernel/mm/transparent_hugepage/hugepages-*/stats/*.

Documentation/admin-guide/mm/transhuge.rst.  All count since boot but nr_anon and
nr_anon_partially_mapped, which are gauges.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.results.probes.record import Record, Records, only_line

NAME = "mthp"


def parse(text: str, path: str = "") -> Records:
    """One record, keyed by the size of the page ("64kB"); it counts huge pages."""
    where = PurePosixPath(path)
    size = where.parent.parent.name.removeprefix("hugepages-")
    line = only_line(NAME, text)
    return (Record(NAME, size, where.name, line.integer(line.text.strip()), "count"),)
